"""The metric lines of a long log, parsed while the job runs: whoever asks for them first has them at once."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

from qjob.folder import JobFolder
from qjob.metric_file import MetricFeed
from qjob.model.metric_line import METRIC_TAG

_STEP_BYTES = 1 << 20  # less is parsed in some milliseconds by whoever asks
_LOOK_S = 1.0
_REST_SHARE = 9  # for each second of parsing so many without: at most a tenth of the time goes into it
_FINISH_S = 5.0  # and no longer than that when the job has ended


class MetricsAhead:
    """Keeps up with the log of a job's only instance, if its first megabyte has a metric line; else it does nothing.

    What it keeps lies beside the log, see `qjob.metric_file`. Where that cannot be, nobody will miss it.
    """

    def __init__(self, folder: JobFolder) -> None:
        """Begin with the first line."""
        self._log = folder.log(0)
        self._feed = MetricFeed(folder, 0)
        self._not_before = 0.0
        self._is_wanted: bool | None = None  # None: the first megabyte is not there yet

    def go_on(self) -> None:
        """Parse a megabyte if as much has come, unless the last one was parsed just now."""
        started = time.monotonic()
        if started < self._not_before:
            return
        if not self._step():
            self._not_before = started + _LOOK_S
            return
        ended = time.monotonic()
        self._not_before = ended + _REST_SHARE * (ended - started)

    def finish(self) -> None:
        """Parse what has come since, now that nothing more comes."""
        deadline = time.monotonic() + _FINISH_S
        while self._step() and time.monotonic() < deadline:
            pass

    def _step(self) -> bool:
        """Parse a megabyte if as much has come; return whether that was so."""
        try:
            return self._has_come() and self._parse()
        except Exception:  # noqa: BLE001 - whatever it is, a job must not end because its metrics are not parsed ahead
            traceback.print_exc()  # into the engine's log
            self._is_wanted = False
            return False

    def _has_come(self) -> bool:
        """Return whether there is a megabyte to parse."""
        if self._is_wanted is False or not self._feed.certain:
            return False
        if not self._log.exists() or self._log.stat().st_size - self._feed.offset < _STEP_BYTES:
            return False
        if self._is_wanted is None:
            self._is_wanted = METRIC_TAG.encode() in _beginning(self._log)
        return self._is_wanted

    def _parse(self) -> bool:
        before = self._feed.offset
        next(self._feed.read(final=False), None)
        self._is_wanted = self._feed.offset > before  # or it is a line of a megabyte, whose end has not come
        return self._is_wanted


def _beginning(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(_STEP_BYTES)
