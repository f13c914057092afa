"""LogCapture: an instance's log, which the instance writes itself, and the index of when its bytes came.

The instance's standard output and error are the log file: no byte passes through another process, and what was
written outlives the runner. The runner only notes when the file grew. The index has lines of 33 bytes,
``<offset> <time>``, the offset in bytes with 15 digits and the time in microseconds since 1970 with 16.
Lines of one length can be searched by halving, and read with ``cat``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

from qjob.watch import WriteAlarm

_INTERVAL_S = 0.002
"""The least time between two entries; what comes meanwhile has the time of the one before."""


class LogCapture:
    """One instance's log.

    Attributes:
        write_fd: the log, for the instance; whoever starts that closes it here.
        error: why the index is incomplete, once the disk refused an entry; None as long as it is whole.
    """

    def __init__(self, log: Path, index: Path, clock: Callable[[], float] = time.time) -> None:
        """Open a log, and go on where it ends; the clock gives seconds since 1970."""
        self.error: OSError | None = None
        self._clock = clock
        self.write_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._index_fd = os.open(index, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._log_fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        self._seen_bytes = os.fstat(self._log_fd).st_size
        self._alarm = WriteAlarm(log)
        self._alarm.set()

    @property
    def alarm_fd(self) -> int | None:
        """What becomes readable when the log grows; None where the system has no such thing."""
        return self._alarm.fd

    def heed(self) -> bool:
        """Note what made the alarm ring, and set it again after a pause; always True: there may be more.

        The pause keeps the runner, and the kernel's work of ringing, out of the way of an instance that
        writes a hundred thousand lines a second.
        """
        self.note()
        time.sleep(_INTERVAL_S)
        self._alarm.set()
        self.note()
        return True

    def note(self) -> None:
        """Write down that what is new in the log came now."""
        size = os.fstat(self._log_fd).st_size
        if size <= self._seen_bytes or self.error is not None:
            return
        line = b"%015d %016d\n" % (self._seen_bytes, round(self._clock() * 1e6))
        self._seen_bytes = size
        try:
            if os.write(self._index_fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Note the rest and let go of the files."""
        self.note()
        self._alarm.close()
        for fd in (self._log_fd, self._index_fd):
            os.close(fd)
