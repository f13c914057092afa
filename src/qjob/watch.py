"""FolderWatch: sleep until something in a directory changes. WriteAlarm: hear of the next write to a file.

By inotify(7) on Linux, where waiting costs nothing; elsewhere, and where the system has no watches left, by
looking often. Changes made on another machine (NFS) wake nobody: callers look again after a while anyway.
"""

from __future__ import annotations

import contextlib
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
_IN_ONESHOT = 0x80000000
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


class WriteAlarm:
    """Rings once when a file is written to, and is silent until it is set again.

    So somebody who writes a lot pays for one ring, not for one per write.

    Attributes:
        fd: becomes readable when it rings; None where the system has no such thing, or none left.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        fd = _inotify([]) if sys.platform == "linux" else -1
        self.fd = fd if fd >= 0 else None

    def set(self) -> None:
        """Silence it and set it for the next write; harmless to repeat."""
        if self.fd is None:
            return
        with contextlib.suppress(BlockingIOError):
            os.read(self.fd, 1 << 16)
        _add_watch(self.fd, self._path, _IN_MODIFY | _IN_ONESHOT)

    def close(self) -> None:
        """Let go of it; harmless to repeat."""
        if self.fd is not None:
            os.close(self.fd)
        self.fd = None


def _inotify(directories: Iterable[Path]) -> int:
    """Return an inotify descriptor that watches the directories, or -1 when the system has none left."""
    fd = int(ctypes.CDLL(None).inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd < 0:
        return -1
    for directory in directories:
        if not _add_watch(fd, directory, _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE):
            os.close(fd)
            return -1
    return fd


def _add_watch(fd: int, path: Path, mask: int) -> bool:
    watch = int(ctypes.CDLL(None).inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)))
    return watch >= 0
