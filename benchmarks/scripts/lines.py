"""Print BENCH_BYTES bytes in lines of 100, each with its number in it."""

import os

_REST = "x" * 88

for _number in range(int(os.environ["BENCH_BYTES"]) // 100):
    print(f"{_number:010d}", _REST)
