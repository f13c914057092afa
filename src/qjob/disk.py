"""The disk as a whole: one wait for all that was written to it."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path


def sync_file_system(path: Path) -> None:
    """Put everything that was written to the file system of ``path`` on the disk.

    For thousands of new files that is one wait, where a call for each would be thousands. Raises OSError.
    """
    if sys.platform != "linux":
        os.sync()
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd):  # syncfs(2)
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    finally:
        os.close(fd)
