"""The lock on a directory of results or checkpoints: one process at a time saves there. It ends with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from qjob.atomic import TEMPORARY_SUFFIX

_held: dict[Path, int] = {}
"""The directories that a thread of this process has locked, and which."""


@contextlib.contextmanager
def alone_in(directory: Path) -> Iterator[bool]:
    """Keep others from saving results or checkpoints in a directory; tell whether that is so.

    It is not in a signal handler that saves while its own thread is saving: what the thread has begun must stay then.
    Raises OSError when the directory is missing or cannot be locked.
    """
    directory = directory.resolve()
    if _held.get(directory) == threading.get_ident():
        yield False
        return
    with _locked(directory):
        _held[directory] = threading.get_ident()
        try:
            yield True
        finally:
            del _held[directory]


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    fd = _open_locked(directory)
    try:
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor as well
        os.close(fd)


def _open_locked(directory: Path) -> int:
    """Return a descriptor that holds the lock of a directory: on itself, or on a file in it where NFS wants one."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError:
        os.close(fd)
        fd = os.open(directory / f".lock{TEMPORARY_SUFFIX}", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX)
    return fd
