"""Listing the jobs when there are ten thousand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import our_cli
import qjob
from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.record import JobRecord, apply
from qjob.model.spec import JobSpec
from qjob.model.status import EventType
from qjob.store.store import Store
from room import fresh_home
from rounds import Measure, interleaved, milliseconds, run_time_s
from row import Row, at_most, compared, not_measured

_JOBS = 10_000
_LIFE = (
    EventType.QUEUED_FOR_EXECUTION,
    EventType.STARTING_INSTANCE,
    EventType.RUNNING,
    EventType.COMPLETED,
)
_LS = f"`qjob ls` with {_JOBS:,} jobs"
_LS_ALL = f"`qjob ls --all` with {_JOBS:,} jobs"
_FIND_ALL = f"find() of {_JOBS:,} jobs"
_FIND_SOME = f"find(limit=20) of {_JOBS:,} jobs"
_DIRECTORY = f"ls of {_JOBS:,} files"
_PASS = "python -c pass"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the list of many ended jobs with that of as many files."""
    goal = at_most(300, "ms")
    no_cli = our_cli.why_not("ls")
    with fresh_home(root) as home:
        _fill(home)
        measures = _measures(_many_files(root))
        if no_cli is not None:
            del measures[_LS], measures[_LS_ALL]
        found = interleaved(measures, rounds=5 if quick else 15)
    samples = {name: milliseconds(values) for name, values in found.items()}
    if no_cli is None:
        yield compared(_LS, "ms", samples[_LS], samples[_DIRECTORY], anchor_name=_DIRECTORY, goal=goal)
        yield compared(_LS, "ms", samples[_LS], samples[_PASS], anchor_name=_PASS)
        yield compared(_LS_ALL, "ms", samples[_LS_ALL], samples[_DIRECTORY], anchor_name=_DIRECTORY)
    else:
        yield not_measured(_LS, no_cli, goal)
    for name in (_FIND_SOME, _FIND_ALL):
        yield compared(name, "ms", samples[name], samples[_DIRECTORY], anchor_name=_DIRECTORY)


def _measures(files: Path) -> dict[str, Measure]:
    return {
        _PASS: lambda: run_time_s([sys.executable, "-c", "pass"]),
        _DIRECTORY: lambda: run_time_s(["ls", str(files)]),
        _FIND_SOME: lambda: _find_s(20),
        _FIND_ALL: lambda: _find_s(None),
        _LS: lambda: run_time_s([*our_cli.COMMAND, "ls"]),
        _LS_ALL: lambda: run_time_s([*our_cli.COMMAND, "ls", "--all"]),
    }


def _find_s(limit: int | None) -> float:
    started = time.monotonic()
    qjob.find(limit=limit)
    return time.monotonic() - started


def _fill(home: Path) -> None:
    """Put ended jobs on record, one a minute until now; they have no folders, which nobody asks for."""
    jobs = home / "jobs"
    jobs.mkdir()
    now = datetime.now(UTC)
    store = Store(home / "index.db", jobs)
    store.rebuild(lambda _: (_ended(number, now - timedelta(minutes=_JOBS - number)) for number in range(_JOBS)))
    store.close()


def _ended(number: int, created_at: datetime) -> JobRecord:
    spec = JobSpec(
        name=f"scan-{number}",
        entry_point="scan",
        source_name="scan.py",
        source_uri="file:///home/ada/scan.py",
        hyperparameters={"theta": "0.5", "shots": "1000"},
        tags={"sweep": "h2"},
        python=sys.executable,
    )
    record = JobRecord(id=job_id(int(created_at.timestamp() * 1e6), number), spec=spec, created_at=created_at)
    for second, kind in enumerate(_LIFE):
        record = apply(record, JobEvent(type=kind, time=created_at + timedelta(seconds=second)))
    return record


def _many_files(root: Path) -> Path:
    directory = root / "files"
    directory.mkdir()
    for number in range(_JOBS):
        (directory / f"scan-{number}").touch()
    return directory
