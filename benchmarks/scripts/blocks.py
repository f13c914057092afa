"""Write BENCH_BYTES bytes in blocks of 64 KiB, each with its number in it."""

import os
import sys

_BLOCK_BYTES = 1 << 16
_REST = bytes(range(32, 96)) * (_BLOCK_BYTES // 64)

for _number in range(int(os.environ["BENCH_BYTES"]) // _BLOCK_BYTES):
    sys.stdout.buffer.write((b"\n%015d " % _number + _REST)[:_BLOCK_BYTES])
