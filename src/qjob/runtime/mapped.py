"""Files mapped into memory without an open descriptor each.

Python's own `mmap` keeps the file open, and a process may often have no more than 1,024 files open: the arrays of a
sweep's results would use them up.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import weakref
from typing import Any

_FAILED = ctypes.c_void_p(-1).value


def map_private(fd: int, size: int) -> memoryview:
    """Map the first bytes of a file, to read and to write; what is written stays in this process.

    Raises OSError, with ENOMEM where the system does not lend as much memory as changes to all of it could take.
    """
    return _mapped(fd, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE)


def map_to_read(fd: int, size: int) -> memoryview:
    """Map the first bytes of a file, to read only; raises OSError."""
    return _mapped(fd, size, mmap.PROT_READ, mmap.MAP_SHARED).toreadonly()


def _mapped(fd: int, size: int, protection: int, flags: int) -> memoryview:
    libc = _libc()
    address = libc.mmap(None, size, protection, flags, fd, 0)
    if address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    memory = (ctypes.c_char * size).from_address(address)
    # Not at the end of the interpreter, where others may hold it longer than this finalizer lives.
    weakref.finalize(memory, libc.munmap, address, size).atexit = False
    return memoryview(memory).cast("B")


@functools.cache
def _libc() -> Any:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,  # off_t, in its 64-bit systems as wide
    ]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return libc
