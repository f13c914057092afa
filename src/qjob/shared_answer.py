"""SharedAnswer: one question to a scheduler for all processes of a state directory, at most once in an interval.

The answer lies in a file that everybody reads; whoever finds it too old asks anew under a lock, and who comes
meanwhile makes do with the old one. While nothing is submitted or cancelled here the interval is long: what happens to
running jobs is told by their folders. After such an act the first questions come sooner.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qjob.atomic import write_unsynced
from qjob.errors import EngineUnavailable
from qjob.file_lock import file_lock

T = TypeVar("T")
_SHORTEST_S = 1.0
_GROWTH = 3.0  # after an act, the time to the next question is so many times the time that has passed since
_LONGEST_BACK_OFF_S = 60.0
_DOUBLINGS = 6  # of the back-off, until it is the longest
_CLOCK_RESOLUTION_S = 0.01
_APART_S = 10.0  # several questions in a row must not push out what was so before all of them


@dataclass(frozen=True)
class Answer:
    """What a scheduler said.

    Attributes:
        text: the answer.
        asked_at: when it was asked, in seconds since 1970: what happened later is not in it.
    """

    text: str
    asked_at: float


@dataclass(frozen=True)
class _Trouble:
    at: float
    times: int
    error: str

    @property
    def until(self) -> float:
        return self.at + min(_LONGEST_BACK_OFF_S, 2.0 ** min(self.times, _DOUBLINGS))


class Patience:
    """Leaves a scheduler alone that does not answer: for some seconds, and longer each time, a minute at the most."""

    def __init__(self, directory: Path, clock: Callable[[], float] = time.time) -> None:
        """Remember in a directory, which is made when it is needed, for all processes that use it."""
        self._file = directory / "trouble"
        self._clock = clock

    def ask(self, ask: Callable[[], T]) -> T:
        """Return what ``ask`` returns, unless it failed a moment ago. Raises EngineUnavailable, as it may."""
        trouble = self._trouble()
        now = self._clock()
        if trouble is not None and trouble.at <= now < trouble.until:
            raise EngineUnavailable(f"{trouble.error} It is asked again in {trouble.until - now:.0f} s.")
        try:
            answer = ask()
        except EngineUnavailable as error:
            self._note(_Trouble(self._clock(), 1 if trouble is None else trouble.times + 1, str(error)))
            raise
        self._file.unlink(missing_ok=True)
        return answer

    def _trouble(self) -> _Trouble | None:
        try:
            at, times, error = json.loads(self._file.read_bytes())
            return _Trouble(float(at), int(times), str(error))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _note(self, trouble: _Trouble) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_unsynced(self._file, json.dumps([trouble.at, trouble.times, trouble.error]).encode())


class SharedAnswer:
    """The last answer to one question, shared through a directory on a local disk."""

    def __init__(
        self, directory: Path, ask: Callable[[], str], interval_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep the answers of ``ask`` in a directory, which is made when it is needed.

        ``ask`` raises EngineUnavailable when there is no answer now; then nobody asks for some seconds, and longer
        each time, a minute at the most.
        """
        self._directory = directory
        self._ask = ask
        self._interval_s = interval_s
        self._clock = clock
        self._patience = Patience(directory, clock)

    def read(self) -> Answer:
        """Return the last answer, or a new one when it is time for that. Raises EngineUnavailable."""
        last = self.last()
        if last is not None and not self._is_due(last):
            return last
        with self._lock(wait=last is None) as is_mine:
            if not is_mine and last is not None:
                return last
            newer = self.last()  # by the one who had the lock before
            if newer is not None and newer != last and not self._is_due(newer):
                return newer
            return self._asked()

    def ask(self) -> Answer:
        """Return a new answer, whatever the time. Raises EngineUnavailable."""
        with self._lock(wait=True):
            return self._asked()

    def last(self) -> Answer | None:
        """Return the last answer; None when there is none."""
        return _read(self._directory / "answer")

    def before_last(self) -> Answer | None:
        """Return the last answer that was some seconds old when another was asked for; None when there is none."""
        return _read(self._directory / "answer.before")

    def note_act(self) -> None:
        """Note that something was changed now: the next questions come sooner."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._directory / "acted").touch()
        now = self._clock()
        os.utime(self._directory / "acted", (now, now))

    def _is_due(self, last: Answer) -> bool:
        quiet_s = last.asked_at - self._acted_at()
        wait_s = self._interval_s if quiet_s > self._interval_s else _GROWTH * max(0.0, quiet_s)
        wait_s = min(self._interval_s, max(_SHORTEST_S, wait_s))
        return not 0 <= self._clock() - last.asked_at + _CLOCK_RESOLUTION_S < wait_s

    def _acted_at(self) -> float:
        try:
            return (self._directory / "acted").stat().st_mtime
        except FileNotFoundError:
            return 0.0

    def _asked(self) -> Answer:
        now = self._clock()
        answer = Answer(self._patience.ask(self._ask), now)
        self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        path = self._directory / "answer"
        last = self.last()
        if last is not None and not 0 <= answer.asked_at - last.asked_at < _APART_S:
            path.replace(self._directory / "answer.before")
        write_unsynced(path, f"{answer.asked_at!r}\n{answer.text}".encode())

    def _lock(self, *, wait: bool) -> AbstractContextManager[bool]:
        return file_lock(self._directory / "lock", wait=wait)


def _read(path: Path) -> Answer | None:
    try:
        head, _, text = path.read_bytes().decode("utf-8", "replace").partition("\n")
        return Answer(text, float(head))
    except (FileNotFoundError, ValueError):
        return None
