"""Print when the first line runs, and when the interpreter begins to leave."""

import time

print(time.time())

import atexit  # noqa: E402 - nothing comes before the first line

atexit.register(lambda: print(time.time()))
