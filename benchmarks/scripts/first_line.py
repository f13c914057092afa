"""Tell when the first line runs. Both modules are loaded before any script is."""

import os
import time

_STARTED = time.monotonic()

with open(os.environ["BENCH_OUT"], "w") as _out:
    _out.write(repr(_STARTED))
