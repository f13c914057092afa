"""The doorbell of the dispatcher: a named pipe. Whoever can ring knows that somebody is at home."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


class Doorbell:
    """A named pipe that exists as a file for ever, and has a reader as long as a dispatcher lives."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ring(self) -> bool:
        """Wake the dispatcher; return False when there is none."""
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno == errno.ENXIO:  # no reader, says fifo(7)
                return False
            raise
        try:
            with contextlib.suppress(BlockingIOError):  # full: it has been rung often enough
                os.write(fd, b"\n")
        except BrokenPipeError:
            return False
        finally:
            os.close(fd)
        return True

    def answer(self) -> int:
        """Be at home: return the descriptor to poll. It is opened for writing as well, or each ringer
        that leaves would be seen as the end of the file."""
        with contextlib.suppress(FileExistsError):
            os.mkfifo(self._path, 0o600)
        return os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def silence(fd: int) -> None:
    """Take note of all the rings so far."""
    with contextlib.suppress(BlockingIOError):
        while os.read(fd, 65536):
            pass
