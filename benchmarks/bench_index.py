"""The index with a million jobs on record: finding, getting, submitting, and its size."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import history
import our_cli
import qjob
from qjob.app import open_service
from qjob.config import load_settings
from qjob.folder import JobFolder
from qjob.model.status import JobStatus
from qjob.request import Request, prepare
from qjob.service import Service
from qjob.store.store import Query, Store
from room import SCRIPTS, fresh_home, size, stop_dispatcher
from rounds import Measure, interleaved, milliseconds, run_time_s
from row import Row, at_most, at_most_more, compared, ratio_at_most

_NOOP = SCRIPTS / "noop.py"
_SLEEP = SCRIPTS / "wait_for_end.py"
_FEW = 10
_BARE = "SELECT of 20 records by id"
_BARE_ONE = "SELECT of one record by id"
_QUERIES: dict[str, dict[str, Any]] = {
    "the newest": {},
    "by status": {"status": "FAILED"},
    "by a status that none has": {"status": "CANCELLING"},
    "by a tag that all have": {"tags": {"owner": "ada"}},
    "by a tag that none has": {"tags": {"owner": "bob"}},
    "by name": {"name": history.RARE_NAME},
    "by device": {"device": history.QPU},
    "by time": {"created_after": datetime(2024, 3, 1, tzinfo=UTC)},
    "by a tag that all have and the name of one": {"tags": {"owner": "ada"}, "name": history.RARE_NAME},
    "by two tags that none has both of": {"tags": {"campaign": "c1", "molecule": "H2"}, "device": history.QPU},
    "by status, tag and device": {"status": "FAILED", "tags": {"molecule": "LiH"}, "device": history.QPU},
    "by status, tag, device and time, in vain": {
        "status": ["FAILED", "CANCELLED"],
        "tags": {"campaign": "c5"},
        "device": history.QPU,
        "created_after": datetime(2024, 4, 1, tzinfo=UTC),
    },
}


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare what is asked of a long history with SQLite's own reading, and with a history of ten jobs."""
    jobs = size(full=1_000_000, quick=30_000, smoke=300, is_quick=quick)
    rounds = 5 if quick else 15
    with fresh_home(root) as home:
        history.fill(home, jobs)
        yield _size_row(home / "index.db", jobs)
        yield from _find_rows(home, jobs, rounds)
        yield from _get_rows(home, jobs, rounds)
        yield from _beside_few(root, jobs, rounds)
        yield _state_row(home, rounds)


def _size_row(index: Path, jobs: int) -> Row:
    name = f"index of {jobs:,} jobs, for each of them"
    return compared(name, "bytes", [index.stat().st_size / jobs], goal=at_most(1024, "bytes"))


def _find_rows(home: Path, jobs: int, rounds: int) -> Iterator[Row]:
    """Compare `qjob.find` with what reading so many records takes at least."""
    with contextlib.closing(Store(home / "index.db", home / "jobs")) as store:
        ids = [record.id for record in store.find(Query(limit=20))]
        faults = {name: _fault(store, asked) for name, asked in _QUERIES.items()}
    with contextlib.closing(sqlite3.connect(home / "index.db")) as db:
        measures: dict[str, Measure] = {_BARE: lambda: _time_s(lambda: _bare(db, ids))}
        for name, asked in _QUERIES.items():
            measures[name] = lambda asked=asked: _time_s(lambda: qjob.find(limit=20, **asked))
        found = interleaved(measures, rounds)
    for name in _QUERIES:
        yield compared(
            f"find(limit=20) among {jobs:,} jobs, {name}",
            "ms",
            milliseconds(found[name]),
            milliseconds(found[_BARE]),
            anchor_name=_BARE,
            goal=at_most(100, "ms"),
            fault=faults[name],
        )


def _fault(store: Store, asked: dict[str, Any]) -> str:
    """Return what is wrong with an answer: it has to be that of looking at a part of the history job by job."""
    statuses = asked.get("status", ())
    wanted = {statuses} if isinstance(statuses, str) else set(statuses)
    query = Query(
        statuses=frozenset(map(JobStatus, wanted)),
        limit=20,
        **{key: value for key, value in asked.items() if key != "status"},
    )
    found = store.find(query)
    matching = [record for record in found if _matches(record, query)]
    newest = [record for record in store.find(Query(limit=200)) if _matches(record, query)][:20]
    missing = {record.id for record in newest} - {record.id for record in found}
    return "it has jobs that do not match, or lacks some" if matching != found or missing else ""


def _matches(record: Any, query: Query) -> bool:
    return (
        (not query.statuses or record.status in query.statuses)
        and query.name in (None, record.spec.name)
        and query.device in (None, record.spec.device)
        and query.tags.items() <= record.spec.tags.items()
        and (query.created_after is None or record.created_at >= query.created_after)
    )


def _get_rows(home: Path, jobs: int, rounds: int) -> Iterator[Row]:
    with contextlib.closing(Store(home / "index.db", home / "jobs")) as store:
        key = store.newest_by_name(history.RARE_NAME) or ""
    ways = {"by id": key, "by the beginning of its id": key[:-3], "by name": history.RARE_NAME}
    with contextlib.closing(sqlite3.connect(home / "index.db")) as db:
        measures: dict[str, Measure] = {_BARE_ONE: lambda: _time_s(lambda: _bare(db, [key]))}
        for name, selector in ways.items():
            measures[name] = lambda selector=selector: _time_s(lambda: qjob.get(selector).metadata())
        found = interleaved(measures, rounds)
    for name, selector in ways.items():
        yield compared(
            f"get() among {jobs:,} jobs {name}, and metadata()",
            "ms",
            milliseconds(found[name]),
            milliseconds(found[_BARE_ONE]),
            anchor_name=_BARE_ONE,
            goal=at_most(5, "ms"),
            fault="" if qjob.get(selector).id == key else "it is another job",
        )


def _beside_few(root: Path, jobs: int, rounds: int) -> Iterator[Row]:
    """Compare `qjob ls` and `submit` with themselves in a home where next to nothing has happened."""
    settings = load_settings()
    few = replace(settings, home=root / "few", index=root / "few")
    few.home.mkdir()
    history.fill(few.home, _FEW)
    services = {f"{jobs:,} jobs": open_service(settings), f"{_FEW} jobs": open_service(few)}
    homes = {f"{jobs:,} jobs": settings.home, f"{_FEW} jobs": few.home}
    try:
        ls = {name: _ls_of(path) for name, path in homes.items()}
        yield _beside("`qjob ls`", ls, rounds, goal=at_most_more(100, "ms"))
        submits: dict[str, Measure] = {name: _submit_to(service) for name, service in services.items()}
        yield _beside("submit()", submits, 2 * rounds, goal=ratio_at_most(1.25))
    finally:
        stop_dispatcher(few.home)


def _beside(what: str, measures: dict[str, Measure], rounds: int, **goal: Any) -> Row:
    found = interleaved(measures, rounds)
    many, few = found
    return compared(
        f"{what} with {many} on record",
        "ms",
        milliseconds(found[many]),
        milliseconds(found[few]),
        anchor_name=f"with {few}",
        **goal,
    )


def _ls_of(home: Path) -> Measure:
    return lambda: run_time_s(["env", f"QJOB_HOME={home}", *our_cli.COMMAND, "ls"])


def _submit_to(service: Service) -> Measure:
    """Return what submits a job that does nothing, and then waits for it: only the submit counts."""

    def submit() -> float:
        submission = prepare(Request(source=_NOOP))
        started = time.monotonic()
        record = service.submit(submission)
        took_s = time.monotonic() - started
        service.wait(record.id)
        return took_s

    return submit


def _state_row(home: Path, rounds: int) -> Row:
    """Compare `state()` of a running job with reading the files that tell it."""
    job = qjob.submit(_SLEEP)
    while job.state() != "RUNNING":
        time.sleep(0.01)
    folder = JobFolder(home / "jobs" / job.id)
    plain = "reading its events, looking for its outcome"
    measures = {
        plain: lambda: _time_s(lambda: (folder.events.read_bytes(), folder.outcome.exists())),
        "state": lambda: _time_s(job.state),
    }
    found = interleaved(measures, 20 * rounds)
    job.cancel()
    job.wait()
    return compared(
        "state() of a running job",
        "ms",
        milliseconds(found["state"]),
        milliseconds(found[plain]),
        anchor_name=plain,
        goal=at_most(1, "ms"),
    )


def _bare(db: sqlite3.Connection, ids: list[str]) -> list[Any]:
    return db.execute(f"SELECT record FROM job WHERE id IN ({','.join('?' * len(ids))})", ids).fetchall()


def _time_s(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
