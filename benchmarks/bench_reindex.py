"""The index and many folders: building it anew from them, and putting on record that many jobs have ended."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import history
from qjob.app import open_service
from qjob.folder import JobFolder
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query, Store
from room import fresh_home, size
from rounds import interleaved
from row import Row, at_least, compared

_READ = "reading record.json of each"
_WRITE = "replacing record.json of each"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare with reading, or writing, the file that is read or written of each job."""
    folders = size(full=20_000, quick=2_000, smoke=20, is_quick=quick)
    with fresh_home(root) as home:
        records = _make_folders(home / "jobs", folders)
        yield _reindex_row(open_service(), home / "jobs", records, rounds=3 if quick else 7)
    ended = size(full=1000, quick=300, smoke=20, is_quick=quick)
    with fresh_home(root) as home:
        records = _make_folders(home / "jobs", ended)
        yield _settle_row(home, records, rounds=3 if quick else 5)


def _reindex_row(service: Service, jobs: Path, records: list[JobRecord], rounds: int) -> Row:
    faults: list[str] = []

    def reindex() -> float:
        started = time.monotonic()
        done = service.reindex()
        took_s = time.monotonic() - started
        if (done.jobs, done.problems) != (len(records), ()):
            faults.append(f"{done.jobs} jobs, {len(done.problems)} problems")
        return len(records) / took_s

    def read() -> float:
        started = time.monotonic()
        for entry in os.scandir(jobs):
            Path(entry.path, "record.json").read_bytes()
        return len(records) / (time.monotonic() - started)

    found = interleaved({_READ: read, "reindex": reindex}, rounds)
    if service.find(Query(limit=1)) != records[-1:]:
        faults.append("the newest job is another one")
    return compared(
        f"reindex of {len(records):,} folders",
        "folders/s",
        found["reindex"],
        found[_READ],
        anchor_name=_READ,
        goal=at_least(5000, "folders/s"),
        fault="; ".join(faults),
    )


def _settle_row(home: Path, records: list[JobRecord], rounds: int) -> Row:
    """Measure how fast a look puts on record that jobs have ended whose runners have said so."""
    running = [replace(record, status=JobStatus.RUNNING, ended_at=None, version=4) for record in records]
    faults: list[str] = []

    def settle() -> float:
        _put_on_record(home, running)
        service = open_service()
        started = time.monotonic()
        found = service.find(Query())
        took_s = time.monotonic() - started
        if {record.status for record in found} != {JobStatus.COMPLETED}:
            faults.append("not all have ended")
        return len(records) / took_s

    def write() -> float:
        started = time.monotonic()
        for record in running:
            path = home / "jobs" / record.id / "record.json"
            new = path.with_name("new")
            new.write_bytes(path.read_bytes())
            new.replace(path)
        return len(records) / (time.monotonic() - started)

    found = interleaved({_WRITE: write, "settle": settle}, rounds)
    return compared(
        f"find() when {len(records):,} jobs have ended",
        "jobs/s",
        found["settle"],
        found[_WRITE],
        anchor_name=_WRITE,
        fault="; ".join(faults),
    )


def _make_folders(jobs: Path, count: int) -> list[JobRecord]:
    """Make the folders of so many jobs, in which everything is but what the jobs themselves have left."""
    shutil.rmtree(jobs, ignore_errors=True)
    jobs.mkdir()
    records = [record for record in history.history(count, sweeps=False) if isinstance(record, JobRecord)]
    for record in records:
        folder = JobFolder(jobs / record.id)
        for path in (folder.source, folder.logs, folder.results, folder.checkpoints):
            path.mkdir(parents=True)
        folder.write_new(record, folder.path)
        folder.events.write_bytes(b"")
        outcome = Outcome(status=JobStatus.COMPLETED, ended_at=record.created_at, exit_codes=(0,))
        folder.write_outcome(outcome)
    return records


def _put_on_record(home: Path, records: list[JobRecord]) -> None:
    store = Store(home / "index.db", home / "jobs")
    store.rebuild(lambda _: records)
    store.close()
