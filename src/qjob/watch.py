"""FolderWatch: sleep until something in a directory changes. WriteAlarm: hear of the next write to a file.

By inotify(7) on Linux, where waiting costs nothing; elsewhere, and where the system has no watches left, by
looking often. Changes made on another machine (NFS) wake nobody: callers look again after a while anyway.

All watches of a process share one inotify descriptor, which stays open: a user has 128 of them, and to close one
takes the kernel ten milliseconds. Of the threads that wait, one reads it for all of them.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import select
import struct
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_IGNORED = 0x8000
_IN_ONESHOT = 0x80000000
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, size of the name behind it
_OVERFLOWN = -1
_POLL_S = 0.02


class FolderWatch:
    """Notices changes in directories from the moment when it is made; use it as a context manager."""

    def __init__(self, directories: Iterable[Path]) -> None:
        self._ear = _Ear.of_this_process()
        self._heard = self._ear.listen(directories) if self._ear is not None else None

    def wait(self, timeout_s: float) -> None:
        """Return when something has changed since the last call, or after the timeout in seconds."""
        if self._ear is None or self._heard is None or not self._ear.is_ours():
            time.sleep(max(0.0, min(timeout_s, _POLL_S)))
            return
        self._ear.wait(self._heard, timeout_s)

    def close(self) -> None:
        """Let go of the watches; harmless to repeat."""
        if self._ear is not None and self._heard is not None and self._ear.is_ours():
            self._ear.forget(self._heard)
        self._heard = None

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
        fd = _inotify()
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


class _Heard:
    """What one `FolderWatch` has heard.

    Attributes:
        watches: the kernel's numbers of its directories.
        news: whether something has changed since it was last asked.
        woken: notified when there is news, or nobody left who reads for all.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self.watches: list[int] = []
        self.news = False
        self.woken = threading.Condition(lock)


class _Ear:
    """The inotify descriptor of a process, and who wants to hear of what."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._listeners: dict[int, set[_Heard]] = {}
        self._waiting: dict[_Heard, None] = {}
        self._is_read = False  # whether a thread reads the descriptor, without the lock

    @classmethod
    def of_this_process(cls) -> _Ear | None:
        """Return it; None where there is no inotify, or none left."""
        found = _EARS.get(os.getpid())
        if found is None:
            fd = _inotify()
            if fd < 0:
                return None
            found = _EARS.setdefault(os.getpid(), cls(fd))
            if found._fd != fd:  # another thread was faster
                os.close(fd)
        return found

    def is_ours(self) -> bool:
        """Return whether this process made it, and is not a fork of the one that did."""
        return self._pid == os.getpid()

    def listen(self, directories: Iterable[Path]) -> _Heard | None:
        """Begin to hear of directories; None when one of them is not there, or the system has no watches left."""
        heard = _Heard(self._lock)
        with self._lock:
            for directory in directories:
                watch = _add_watch(self._fd, directory, _IN_MODIFY | _IN_MOVED_TO | _IN_CREATE)
                if watch < 0:
                    self._remove(heard)
                    return None
                self._listeners.setdefault(watch, set()).add(heard)
                heard.watches.append(watch)
        return heard

    def forget(self, heard: _Heard) -> None:
        """Hear no more of what only this one listens to."""
        with self._lock:
            self._remove(heard)

    def wait(self, heard: _Heard, timeout_s: float) -> None:
        """Return when there is news, or after the timeout."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._waiting[heard] = None
            try:
                while not heard.news and (left_s := deadline - time.monotonic()) > 0:
                    if self._is_read:
                        heard.woken.wait(left_s)
                    else:
                        self._read(left_s)
                heard.news = False
            finally:
                del self._waiting[heard]
                if not self._is_read:
                    self._let_another_read()

    def _read(self, timeout_s: float) -> None:
        """Read events for all; gives up the lock while there are none."""
        self._is_read = True
        try:
            self._lock.release()
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            poll.poll(timeout_s * 1000)
        finally:
            self._lock.acquire()
            self._is_read = False
        self._tell(_events(self._fd))

    def _tell(self, events: Iterable[tuple[int, int]]) -> None:
        for watch, mask in events:
            everybody = self._listeners.values() if watch == _OVERFLOWN else [self._listeners.get(watch, set())]
            for heard in {heard for listeners in everybody for heard in listeners}:
                heard.news = True
                heard.woken.notify()
            if mask & _IN_IGNORED:  # the directory is gone
                self._listeners.pop(watch, None)

    def _let_another_read(self) -> None:
        for heard in self._waiting:
            heard.woken.notify()
            return

    def _remove(self, heard: _Heard) -> None:
        for watch in heard.watches:
            listeners = self._listeners.get(watch, set())
            listeners.discard(heard)
            if not listeners and self._listeners.pop(watch, None) is not None:
                _libc().inotify_rm_watch(self._fd, watch)
        heard.watches.clear()


_EARS: dict[int, _Ear] = {}
"""By process: a fork has none of its own yet, and must not read its parent's."""


def _inotify() -> int:
    """Return a new inotify descriptor, or -1 when there is none."""
    return int(_libc().inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)) if sys.platform == "linux" else -1


def _add_watch(fd: int, path: Path, mask: int) -> int:
    """Return the number of the watch, or -1 when it cannot be."""
    return int(_libc().inotify_add_watch(fd, os.fsencode(path), ctypes.c_uint32(mask)))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _events(fd: int) -> list[tuple[int, int]]:
    """Return the (watch, mask) of each event that has come."""
    try:
        data = os.read(fd, 1 << 16)
    except BlockingIOError:
        return []
    found, at = [], 0
    while at < len(data):
        watch, mask, _, size = _EVENT.unpack_from(data, at)
        found.append((watch, mask))
        at += _EVENT.size + size
    return found
