"""What a file holds, copied by the kernel where that can, which on some file systems shares the blocks."""

from __future__ import annotations

import errno
import os

_STEP_BYTES = 64 << 20  # per call, so that Ctrl-C is heard while a large file is copied
_BUFFER_BYTES = 1 << 20
_NOT_HERE = {
    errno.EBADF,
    errno.EINVAL,
    errno.ENOSYS,
    errno.ENOTTY,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.ETXTBSY,
    errno.EXDEV,
}
"""What a kernel says that cannot copy from this file system to that one."""


def copy_content(source_fd: int, target_fd: int) -> None:
    """Copy all from where one file is to where the other one is; raises OSError."""
    size = os.fstat(source_fd).st_size
    if size and hasattr(os, "copy_file_range") and _copied_by_kernel(source_fd, target_fd) >= size:
        return
    # From where the kernel stopped: at once on macOS and between some file systems.
    while data := os.read(source_fd, _BUFFER_BYTES):
        view = memoryview(data)
        while view:
            view = view[os.write(target_fd, view) :]


def _copied_by_kernel(source_fd: int, target_fd: int) -> int:
    """Copy as far as the kernel does it; return the bytes."""
    copied = 0
    try:
        while count := os.copy_file_range(source_fd, target_fd, _STEP_BYTES):
            copied += count
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
    return copied
