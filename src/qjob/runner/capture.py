"""LogCapture: an instance's output, from a pipe to its log file, without Python touching a line.

Beside each log lies an index of when its bytes came: lines of 33 bytes, ``<offset> <time>``, the offset in
bytes with 15 digits and the time in microseconds since 1970 with 16, at most one per millisecond. Lines of
one length can be searched by halving, and read with ``cat``.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

PIPE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 20
_CHUNKS_PER_TURN = 16  # so that one noisy instance does not keep the others waiting
_INDEX_INTERVAL_S = 0.001

Move = Callable[[int, int], int]
"""Moves a chunk from one descriptor to another, at once; returns how many bytes, 0 at the end."""


def splice_chunk(source: int, target: int) -> int:
    """Move a chunk without its bytes passing through this process."""
    return os.splice(source, target, _CHUNK_BYTES, flags=os.SPLICE_F_MOVE | os.SPLICE_F_NONBLOCK)


def copy_chunk(source: int, target: int) -> int:
    """Move a chunk where there is no splice, or the file system does not take it."""
    data = os.read(source, _CHUNK_BYTES)
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return len(data)


_MOVE: Move = splice_chunk if hasattr(os, "splice") else copy_chunk


class LogCapture:
    """One pipe into one log file.

    Attributes:
        write_fd: the end that the instance writes to; `start` of the instance closes it here.
        read_fd: the end to poll for.
        error: why bytes were lost, once the disk refused some; None as long as all are kept.
    """

    def __init__(self, log: Path, index: Path, move: Move = _MOVE) -> None:
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        if sys.platform == "linux":
            _enlarge(self.read_fd)
        self.error: OSError | None = None
        self._log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._index_fd = os.open(index, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._offset = os.lseek(self._log_fd, 0, os.SEEK_END)
        self._indexed_at = 0.0
        self._move = move

    def take(self) -> bool:
        """Move what is in the pipe into the log; return False when the other end is closed for good."""
        for _ in range(_CHUNKS_PER_TURN):
            try:
                moved = self._take_chunk()
            except BlockingIOError:
                return True
            if moved == 0:
                return False
        return True

    def drain(self) -> None:
        """Move all that is in the pipe now; the processes that wrote to it have ended."""
        while True:
            try:
                if self._take_chunk() == 0:
                    return
            except BlockingIOError:
                return

    def close(self) -> None:
        """Put the log on the disk and let go of it; raises OSError when the disk refuses."""
        for fd in (self.read_fd, self._index_fd):
            os.close(fd)
        try:
            os.fsync(self._log_fd)
        finally:
            os.close(self._log_fd)

    def _take_chunk(self) -> int:
        if self.error is not None:
            return len(os.read(self.read_fd, _CHUNK_BYTES))  # lost, but the job must not hang on its pipe
        try:
            moved = self._move(self.read_fd, self._log_fd)
        except BlockingIOError:
            raise
        except OSError as error:
            return self._after(error)
        self._index(moved)
        self._offset += moved
        return moved

    def _after(self, error: OSError) -> int:
        if self._move is not copy_chunk:
            self._move = copy_chunk  # what the file system refuses to that as well, it has no room for
        else:
            self.error = error
        return self._take_chunk()

    def _index(self, moved: int) -> None:
        now = time.time()
        if not moved or now - self._indexed_at < _INDEX_INTERVAL_S:
            return
        line = b"%015d %016d\n" % (self._offset, round(now * 1e6))
        try:
            if os.write(self._index_fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.error = error
        self._indexed_at = now


def _enlarge(fd: int) -> None:
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    except PermissionError:
        return  # over the user's limit of pipe memory; the usual 64 KiB do as well, only slower
