"""QueueView: where our jobs are by Slurm's word, from one answer of squeue for all who watch, and from sacct."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from qjob.atomic import write_unsynced
from qjob.engine import Presence
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.handover import Key, Ref
from qjob.engines.slurm.rows import Row, parse_accounting, parse_queue
from qjob.engines.slurm.states import PRESENCES
from qjob.errors import EngineError, EngineUnavailable
from qjob.shared_answer import Answer, SharedAnswer

_NAMES_AT_ONCE = 200
_CLOCK_SKEW_S = 2.0  # between this machine, whose time a ref has, and itself some moments later
_ACCOUNTING_KEPT_S = 600.0


class QueueView:
    """The queue as it was at the last question."""

    def __init__(self, slurm: Slurm, state: Path, poll_s: float, clock: Callable[[], float] = time.time) -> None:
        """Ask at most every ``poll_s`` seconds, but for the time after something was changed."""
        self._slurm = slurm
        self._shared = SharedAnswer(state / "queue", slurm.queue, poll_s, clock)
        self._ended = state / "ended.json"
        self._clock = clock
        self._parsed: dict[float, dict[Key, Row]] = {}

    def look(self) -> Snapshot:
        """Return the queue at the last question, or at one now when it is time. Raises EngineUnavailable."""
        return self._snapshot(self._shared.read())

    def look_now(self) -> Snapshot:
        """Return the queue as it is now. Raises EngineUnavailable."""
        return self._snapshot(self._shared.ask())

    def note_act(self) -> None:
        """Note that something was submitted or cancelled: the queue is worth a look soon."""
        self._shared.note_act()

    def ended(self, refs: Sequence[Ref]) -> Mapping[Key, Row]:
        """Return what the accounting says of jobs that have left the queue; what it does not know is left out.

        So is what it takes for running: it never hears of the end of a job that its controller has lost.
        An answer is remembered for some minutes, also that there was none.
        """
        known = self._remembered()
        unasked = [ref for ref in refs if str(ref.key) not in known]
        rows: dict[Key, Row] = {}
        for start in range(0, len(unasked), _NAMES_AT_ONCE):
            rows |= self._accounted(unasked[start : start + _NAMES_AT_ONCE])
        if unasked:
            self._remember(known, unasked, rows)
        remembered = _by_key(Row(**row) for row in (known.get(str(ref.key), {}).get("row") for ref in refs) if row)
        return remembered | rows

    def _accounted(self, refs: Sequence[Ref]) -> dict[Key, Row]:
        since = min(ref.submitted_at for ref in refs) - _CLOCK_SKEW_S
        try:
            text = self._slurm.accounting(sorted({ref.key.name for ref in refs}), since)
        except EngineUnavailable:
            raise
        except EngineError:  # the database is away, or does not want to
            return {}
        return _by_key(row for row in parse_accounting(text) if PRESENCES.get(row.state) is Presence.GONE)

    def _remembered(self) -> dict[str, dict[str, Any]]:
        try:
            known: dict[str, dict[str, Any]] = json.loads(self._ended.read_bytes())
        except (FileNotFoundError, ValueError):
            return {}
        oldest = self._clock() - _ACCOUNTING_KEPT_S
        return {key: value for key, value in known.items() if value["at"] > oldest}

    def _remember(self, known: dict[str, dict[str, Any]], refs: Iterable[Ref], rows: Mapping[Key, Row]) -> None:
        now = self._clock()
        for ref in refs:
            row = row_of(rows, ref.key)
            known[str(ref.key)] = {"at": now, "row": None if row is None else vars(row)}
        self._ended.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_unsynced(self._ended, json.dumps(known).encode())

    def _snapshot(self, answer: Answer) -> Snapshot:
        before = self._shared.before_last()
        answers = [answer] if before is None else [answer, before]
        self._parsed = {each.asked_at: self._parsed.get(each.asked_at) or _parsed(each) for each in answers}
        return Snapshot([(each.asked_at, self._parsed[each.asked_at]) for each in answers])


def row_of(rows: Mapping[Key, Row], key: Key) -> Row | None:
    """Return what is said of a job; of a task without a row of its own, what is said of all such of its array."""
    return rows.get(key) or (None if key.index is None else rows.get(Key(key.name)))


class Snapshot:
    """The queue at the last two questions, the newer one first."""

    def __init__(self, answers: Sequence[tuple[float, Mapping[Key, Row]]]) -> None:
        self._answers = answers

    @property
    def rows(self) -> Mapping[Key, Row]:
        """The jobs in the queue, and those that ended lately, by what identifies them."""
        return self._answers[0][1]

    @property
    def asked_at(self) -> float:
        """When the newer question was asked, in seconds since 1970."""
        return self._answers[0][0]

    def is_older_than(self, ref: Ref) -> bool:
        """Return whether the job may have been submitted after the question."""
        return self.was_asked_before(ref.submitted_at)

    def was_asked_before(self, handed_over_at: float) -> bool:
        """Return whether what was handed over then may not be in the answer yet."""
        return handed_over_at + _CLOCK_SKEW_S > self.asked_at

    def unseen_s(self, ref: Ref) -> float:
        """Return how long before the newer question a job was seen last, or was submitted, in seconds."""
        seen = [asked for asked, rows in self._answers if row_of(rows, ref.key) is not None]
        return self.asked_at - max([*seen, ref.submitted_at])

    def missing_since(self, ref: Ref) -> float:
        """Return since when it is known that the queue does not have a job, in seconds since 1970."""
        times = [
            asked
            for asked, rows in self._answers
            if row_of(rows, ref.key) is None and asked > ref.submitted_at + _CLOCK_SKEW_S
        ]
        return times[-1] if times else self._answers[0][0]


def _parsed(answer: Answer) -> dict[Key, Row]:
    return _by_key(parse_queue(answer.text))


def _by_key(rows: Iterable[Row]) -> dict[Key, Row]:
    """Return rows by key; of several with one key the one that has not ended, or else the newest."""
    found: dict[Key, Row] = {}
    for row in sorted(rows, key=lambda row: (PRESENCES.get(row.state) is not Presence.GONE, row.submitted_at)):
        found[Key(row.name, row.index)] = row
    return found
