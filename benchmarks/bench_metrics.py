"""Reading the metrics out of a long log: the first time, after somebody else, and when there are more of them."""

from __future__ import annotations

import contextlib
import gc
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import peer_braket
import qjob
from peer import PeerMissing, Program
from qjob.app import open_service
from qjob.config import load_settings
from qjob.folder import JobFolder
from qjob.model.config import MetricType
from qjob.model.event import JobEvent
from qjob.model.metric_line import metric_line
from qjob.model.naming import job_id
from qjob.model.record import JobRecord, apply
from qjob.model.spec import JobSpec
from qjob.model.status import EventType
from qjob.store.store import Store
from room import fresh_home, size
from rounds import interleaved, milliseconds
from row import Row, at_most, compared, not_measured, ratio_at_least

_FIRST, _KEPT, _AGAIN = "the first time", "read by another process before", "again, after 1,000 more lines"
_GOALS = {_FIRST: ratio_at_least(5), _KEPT: ratio_at_least(20), _AGAIN: ratio_at_least(200)}
_ROUNDS = 3
_MORE_LINES = 1000
_POINTS = 500
_LONG = (
    "import qjob, resource, sys, time; job = qjob.get(sys.argv[1]); started = time.monotonic(); "
    "found = job.metrics(); took = time.monotonic() - started; "
    "print(len(found['loss']), took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
)


@dataclass(frozen=True, kw_only=True)
class _Logged:
    """A job on record with a log of metrics.

    Attributes:
        id: the job's.
        log: its log.
        kind: what makes a row.
        line: returns the line of a number, without its end.
        count: how many lines the log begins with.
    """

    id: str
    log: Path
    kind: MetricType
    line: Callable[[int], str]
    count: int


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare ``job.metrics()`` with Braket's parser; say what few points and ten times the log take."""
    lines = size(full=1_000_000, quick=100_000, smoke=500, is_quick=quick)
    with fresh_home(root) as home, contextlib.ExitStack() as stack:
        braket = _parser_if_there(stack)
        for name, line, kind in (
            ("by time", _by_time, MetricType.TIMESTAMP),
            ("by iteration, one line in five no metric", _by_iteration, MetricType.ITERATION_NUMBER),
        ):
            logged = _job_with_log(home, kind, line, lines)
            yield from _reading(f"metrics() of {lines:,} lines {name}", logged, braket, root / "table.json")
            yield _series(logged)
            logged.log.unlink()
        yield from _long(home, 10 * lines)


def _parser_if_there(stack: contextlib.ExitStack) -> Program | str:
    """Return Braket's parser, or why there is none."""
    try:
        return stack.enter_context(peer_braket.parser())
    except PeerMissing as error:
        return str(error)


def _reading(name: str, logged: _Logged, braket: Program | str, table: Path) -> Iterator[Row]:
    if isinstance(braket, str):
        yield from (not_measured(f"{name}, {when}", braket, goal) for when, goal in _GOALS.items())
        return
    warm, lines = _handle(logged.id), logged.count

    def theirs() -> float:
        took_s, _ = peer_braket.parsed(braket, logged.log, logged.kind.value, table)
        return took_s

    def first() -> float:
        logged.log.with_suffix(".metrics").unlink(missing_ok=True)
        return _time_s(_handle(logged.id), logged.kind)

    def kept() -> float:
        return _time_s(_handle(logged.id), logged.kind)

    def again() -> float:
        nonlocal lines
        warm.metrics(logged.kind)
        _append(logged, lines)
        lines += _MORE_LINES
        return _time_s(warm, logged.kind)

    found = interleaved({_AGAIN: again, peer_braket.NAME: theirs, _FIRST: first, _KEPT: kept}, _ROUNDS)
    _, right = peer_braket.parsed(braket, logged.log, logged.kind.value, table)
    same = warm.metrics(logged.kind) == right == _handle(logged.id).metrics(logged.kind)
    for when, goal in _GOALS.items():
        yield compared(
            f"{name}, {when}",
            "k lines/s",
            [logged.count / 1000 / took_s for took_s in found[when]],
            [logged.count / 1000 / took_s for took_s in found[peer_braket.NAME]],
            anchor_name=peer_braket.NAME,
            goal=goal,
            fault="" if same else "not the same table",
        )


def _series(logged: _Logged) -> Row:
    job, name = _handle(logged.id), logged.line(0).split("; ")[1].partition("=")[0]
    service = open_service(load_settings())

    def series() -> float:
        started = time.monotonic()
        service.metric_series(job.id, name, _POINTS)
        return time.monotonic() - started

    whole = "metrics() of them"
    found = interleaved({"series": series, whole: lambda: _time_s(_handle(logged.id), logged.kind)}, _ROUNDS)
    return compared(
        f"a series of {_POINTS} points of these",
        "ms",
        milliseconds(found["series"]),
        milliseconds(found[whole]),
        anchor_name=whole,
        goal=at_most(50, "ms"),
    )


def _long(home: Path, lines: int) -> Iterator[Row]:
    """Say what a log takes that is ten times as long, in a process of its own."""
    logged = _job_with_log(home, MetricType.TIMESTAMP, _by_time, lines)
    for when, goal in ((_FIRST, None), (_KEPT, None)):
        done = subprocess.run([sys.executable, "-c", _LONG, logged.id], check=True, capture_output=True, text=True)
        count, took_s, peak_gb = map(float, done.stdout.split())
        yield compared(
            f"metrics() of {lines:,} lines by time, {when}",
            "s",
            [took_s],
            goal=goal,
            note=f"at most {peak_gb:.2g} GB of memory, of which the lists that are the answer are {count * 96e-9:.2g}",
            fault="" if count == lines else f"{count:,.0f} rows",
        )
    logged.log.unlink()


def _handle(job_id: str) -> qjob.Job:
    """Return a handle that remembers nothing, as that of a new process."""
    return qjob.Job(job_id, service=open_service(load_settings()))


def _time_s(job: qjob.Job, kind: MetricType) -> float:
    gc.collect()
    started = time.monotonic()
    found = job.metrics(kind)
    took_s = time.monotonic() - started
    del found
    return took_s


def _by_time(number: int) -> str:
    value = random.Random(number).random()
    return metric_line("loss", value, timestamp=1_700_000_000 + number / 100, iteration_number=number)


def _by_iteration(number: int) -> str:
    """Return one of five lines: four metrics of one iteration, and something else."""
    iteration, which = divmod(number, 5)
    if which == 4:
        return f"iteration {iteration}: still going down"
    name, value = ("energy", "gradient", "step", "shots")[which], random.Random(number).random()
    return metric_line(name, value, timestamp=1_700_000_000 + iteration / 20, iteration_number=iteration)


def _append(logged: _Logged, first: int) -> None:
    with logged.log.open("a") as file:
        file.writelines(logged.line(number) + "\n" for number in range(first, first + _MORE_LINES))


def _job_with_log(home: Path, kind: MetricType, line: Callable[[int], str], count: int) -> _Logged:
    """Put an ended job on record whose log has so many lines."""
    now = datetime.now(UTC)
    spec = JobSpec(name="scan", entry_point="scan", source_name="scan.py", source_uri="", python=sys.executable)
    record = JobRecord(id=job_id(int(now.timestamp() * 1e6), 0), spec=spec, created_at=now)
    record = apply(record, JobEvent(type=EventType.COMPLETED, time=now))
    folder = JobFolder(home / "jobs" / record.id)
    qjob.find()  # makes the home
    store = Store(home / "index.db", home / "jobs")
    store.insert(record)
    store.close()
    folder.logs.mkdir(parents=True)
    with folder.log(0).open("w") as file:
        file.writelines(line(number) + "\n" for number in range(count))
    return _Logged(id=record.id, log=folder.log(0), kind=kind, line=line, count=count)
