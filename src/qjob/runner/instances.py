"""Instances: the processes of one job on this machine, their output and their ends, as the runner sees them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from qjob.runner.capture import LOOK_S
from qjob.runner.instance import Instance
from qjob.runner.process_tree import signal_all

_LOOK_S = 1.0  # how often the runner looks around when nothing wakes it
_LOOK_WITHOUT_ALARM_S = 0.02  # how often the logs are looked at where nothing tells that they grew
_ALARMS_AFTER_S = 0.05  # many a script has ended by then; until then the logs are looked at

Listen = Callable[[int, Callable[[], bool]], None]
"""Has a function called whenever a descriptor is readable, until it returns False."""


class Ended(Protocol):
    """How one instance ended, wherever it ran."""

    @property
    def number(self) -> int:
        """From 0."""

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the number of the signal that killed it; None while it runs."""

    @property
    def reason(self) -> str:
        """Why it failed, in a sentence; empty when it told nothing."""

    @property
    def traceback(self) -> str:
        """The user's own traceback, or nothing."""


class Instances(Protocol):
    """All instances of a job, here or elsewhere."""

    @property
    def all(self) -> Sequence[Ended]:
        """Each instance, in the order of their numbers."""

    @property
    def polls(self) -> bool:
        """Whether `look` wants to be called every few milliseconds now."""

    def start(self, listen: Listen) -> None:
        """Start them. Raises OSError."""

    def take_end(self, pid: int, wait_status: int) -> None:
        """Take note that a child of this process has ended."""

    def look(self) -> None:
        """Take note of output, and of what ended elsewhere."""

    def look_within_s(self) -> float:
        """Return when to look at the latest, in seconds from now."""

    def tell_to_end(self, pids: list[int]) -> None:
        """Ask all processes of the job to end; ``pids`` are those that are this process's descendants."""

    def disk_error(self) -> OSError | None:
        """Return why output cannot be kept, if that is so."""

    def close(self) -> None:
        """Keep the rest of the output; all have ended."""

    def let_go(self) -> None:
        """Let go of what the kernel takes its time to take away."""


class LocalInstances:
    """Instances that are children of the runner."""

    polls = property(lambda self: self._alarms_at is not None)

    def __init__(self, start: Callable[[int], Instance], numbers: Sequence[int]) -> None:
        """Start instances of these numbers by ``start``."""
        self._start = start
        self._numbers = numbers
        self._instances: list[Instance] = []
        self._alarms_at: float | None = None  # when alarms are set on the logs; None: that is done
        self._listen: Listen = lambda _fd, _heed: None

    @property
    def all(self) -> Sequence[Instance]:
        return self._instances

    def start(self, listen: Listen) -> None:
        self._listen = listen
        self._alarms_at = time.monotonic() + _ALARMS_AFTER_S
        for number in self._numbers:
            instance = self._start(number)
            self._instances.append(instance)
            listen(instance.report_fd, instance.hear)

    def take_end(self, pid: int, wait_status: int) -> None:
        for instance in self._instances:
            if instance.pid == pid:
                instance.ended(wait_status)

    def look(self) -> None:
        for instance in self._instances:
            if instance.capture.alarm_fd is None:
                instance.capture.note()
        if self._alarms_at is not None and time.monotonic() >= self._alarms_at:
            self._set_alarms()

    def look_within_s(self) -> float:
        if self._alarms_at is not None:
            return LOOK_S
        without_alarm = any(instance.capture.alarm_fd is None for instance in self._instances)
        return _LOOK_WITHOUT_ALARM_S if without_alarm else _LOOK_S

    def tell_to_end(self, pids: list[int]) -> None:
        signal_all(pids, signal.SIGTERM)
        signal_all(pids, signal.SIGCONT)  # those that were stopped would not hear of it

    def disk_error(self) -> OSError | None:
        return next((each.capture.error for each in self._instances if each.capture.error), None)

    def close(self) -> None:
        for instance in self._instances:
            instance.capture.close()

    def let_go(self) -> None:
        for instance in self._instances:
            instance.capture.end_alarm()

    def _set_alarms(self) -> None:
        for instance in self._instances:
            instance.capture.set_alarm()
            if instance.capture.alarm_fd is not None:
                self._listen(instance.capture.alarm_fd, instance.capture.heed)
        self._alarms_at = None
