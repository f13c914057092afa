"""Tell when the first line runs after the import with which scripts for Braket begin."""

import os
import time

import braket.devices  # noqa: F401

_STARTED = time.monotonic()

with open(os.environ["BENCH_OUT"], "w") as _out:
    _out.write(repr(_STARTED))
