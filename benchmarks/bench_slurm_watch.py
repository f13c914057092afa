"""How often a Slurm is asked while many processes watch many jobs that wait."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import qjob
from peer import Program, program
from room import SCRIPTS, size
from row import Row, at_most, compared, not_measured
from slurm_room import HELD, counted_calls, slurm_room, why_no_slurm

_SCRIPT = str(SCRIPTS / "noop.py")
_WATCHER = Path(__file__).resolve().with_name("slurm_watcher.py")
_NAME = "slurm: calls while {watchers} processes watch {points} jobs of a sweep and {jobs} others"
_GOAL = at_most(2, "calls/min")


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Count the calls of Slurm's commands, in the first minute after the submit and when nothing has happened since."""
    points = size(full=500, quick=500, smoke=3, is_quick=quick)
    jobs = size(full=500, quick=50, smoke=2, is_quick=quick)
    watchers = size(full=10, quick=10, smoke=2, is_quick=quick)
    first_s = size(full=60, quick=60, smoke=1, is_quick=quick)
    steady_s = size(full=180, quick=40, smoke=1, is_quick=quick)
    name = _NAME.format(watchers=watchers, points=points, jobs=jobs)
    if reason := why_no_slurm():
        yield not_measured(name, reason, _GOAL)
        return
    found = _watched(root, points, jobs, watchers, first_s + steady_s)
    first, steady = found.between(0, first_s), found.between(first_s, first_s + steady_s)
    note = f"{_named(steady)} in {steady_s} s; {found.looks / (first_s + steady_s):.0f} looks/s"
    yield compared(name, "calls/min", [_per_minute(steady, steady_s)], goal=_GOAL, note=note, fault=found.fault)
    yield compared(f"{name}, in the first {first_s} s", "calls", [len(first)], note=_named(first), fault=found.fault)


@dataclass(frozen=True, kw_only=True)
class _Call:
    """One call of a command of Slurm's, and when it was, in seconds since the submit."""

    command: str
    at_s: float


@dataclass(frozen=True, kw_only=True)
class _Watched:
    """What came of it: the calls, how often all watchers have looked, and what they saw that was wrong."""

    calls: Sequence[_Call]
    looks: int
    fault: str

    def between(self, from_s: float, to_s: float) -> list[_Call]:
        """Return the calls of some time after the submit."""
        return [call for call in self.calls if from_s <= call.at_s < to_s]


def _watched(root: Path, points: int, jobs: int, watchers: int, for_s: float) -> _Watched:
    """Submit held jobs, the sweep as the last, and have them watched by so many processes for so long."""
    with slurm_room(root), counted_calls(root) as log, _programs(watchers) as programs:
        alone = [qjob.submit(_SCRIPT, options=HELD).id for _ in range(jobs)]
        submitted_at = time.time()
        sweep = qjob.sweep(_SCRIPT, {"seed": range(points)}, options=HELD)
        for number, each in enumerate(programs):
            each.ask({"sweep": sweep.id, "jobs": alone[number::watchers]})
        time.sleep(max(0.0, submitted_at + for_s - time.time()))
        answers = [each.ask("end") for each in programs]
        calls = _calls(log, submitted_at)
    faults = sorted({fault for answer in answers for fault in answer["faults"]})
    return _Watched(calls=calls, looks=sum(answer["looks"] for answer in answers), fault="; ".join(faults))


@contextlib.contextmanager
def _programs(count: int) -> Iterator[Sequence[Program]]:
    """Have processes that have imported all they need, and watch what they are asked to."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(program([sys.executable, str(_WATCHER)])) for _ in range(count)]


def _calls(log: Path, submitted_at: float) -> list[_Call]:
    lines = [line.split() for line in log.read_text().splitlines()]
    return [_Call(command=command, at_s=float(at) - submitted_at) for at, command in lines]


def _per_minute(calls: Sequence[_Call], within_s: float) -> float:
    """Return the rate from the first call to the last: a time that begins by chance has one more or one less."""
    if len(calls) < 2:
        return 60 * len(calls) / within_s
    return round(60 * (len(calls) - 1) / (calls[-1].at_s - calls[0].at_s), 2)


def _named(calls: Sequence[_Call]) -> str:
    counts = Counter(call.command for call in calls)
    return ", ".join(f"{count} {command}" for command, count in counts.most_common()) or "none"
