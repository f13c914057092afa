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

from qjob.log_index import INDEX_LINE_BYTES
from qjob.watch import WriteAlarm

LOOK_S = 0.002
"""The least time between two entries, in seconds; what comes meanwhile has the time of the one before."""
_ENTRIES_PER_DOUBLING = 500_000
"""After so many entries the least time between them doubles: the index of a job that prints for a month without a
pause has 190 MB, where it would have 40 GB, and a time on its last day is known to four seconds."""


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
        self._entries = os.fstat(self._index_fd).st_size // INDEX_LINE_BYTES
        self._noted_at = 0.0
        self._log = log
        self._alarm: WriteAlarm | None = None

    @property
    def alarm_fd(self) -> int | None:
        """What becomes readable when the log grows; None without an alarm, or where the system has no such thing."""
        return self._alarm.fd if self._alarm is not None else None

    def set_alarm(self) -> None:
        """Have an alarm ring when the log grows; until then somebody has to look.

        The kernel takes ten milliseconds to take an alarm away, which is longer than many a script runs.
        """
        self._alarm = WriteAlarm(self._log)
        self._alarm.set()
        self.note()

    def heed(self) -> bool:
        """Note what made the alarm ring, and set it again after a pause; always True: there may be more.

        The pause keeps the runner, and the kernel's work of ringing, out of the way of an instance that
        writes a hundred thousand lines a second.
        """
        self.note()
        time.sleep(LOOK_S)
        if self._alarm is not None:
            self._alarm.set()
        self.note()
        return True

    def note(self) -> None:
        """Write down that what is new in the log came now."""
        size = os.fstat(self._log_fd).st_size
        if size <= self._seen_bytes or self.error is not None:
            return
        now, start = self._clock(), self._seen_bytes
        self._seen_bytes = size
        if 0 <= now - self._noted_at < self._least_interval_s():
            return
        self._noted_at = now
        self._entries += 1
        line = b"%015d %016d\n" % (start, round(now * 1e6))
        try:
            if os.write(self._index_fd, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self.error = error

    def _least_interval_s(self) -> float:
        """Return how long the last entry stands for what comes after it; nothing as long as there are few."""
        doublings = self._entries // _ENTRIES_PER_DOUBLING
        return LOOK_S * 2**doublings if doublings else 0.0

    def close(self) -> None:
        """Note the rest and let go of the files."""
        self.note()
        for fd in (self._log_fd, self._index_fd):
            os.close(fd)

    def end_alarm(self) -> None:
        """Take the alarm away, if there is one; see `set_alarm`."""
        if self._alarm is not None:
            self._alarm.close()
