"""FolderWatch: sleep until something in a directory changes.

By inotify(7) on Linux, where waiting costs nothing; elsewhere, and where the system has no watches left, by
looking often. Changes made on another machine (NFS) wake nobody: callers look again after a while anyway.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_POLL_S = 0.02


class FolderWatch:
    """Notices changes in directories from the moment when it is made; use it as a context manager."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._fd = _inotify(directories) if sys.platform == "linux" else -1

    def wait(self, timeout_s: float) -> None:
        """Return when something has changed since the last call, or after the timeout in seconds."""
        if self._fd < 0:
            time.sleep(max(0.0, min(timeout_s, _POLL_S)))
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if poll.poll(max(0.0, timeout_s) * 1000):
            os.read(self._fd, 1 << 16)

    def close(self) -> None:
        """Let go of the watches; harmless to repeat."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inotify(directories: Iterable[Path]) -> int:
    """Return an inotify descriptor that watches the directories, or -1 when the system has none left."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        return -1
    for directory in directories:
        if libc.inotify_add_watch(fd, os.fsencode(directory), _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE) < 0:
            os.close(fd)
            return -1
    return fd
