"""An index that an earlier version has made is brought up to date where it is, and nothing of it is lost."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qjob.errors import StoreCorrupt
from qjob.model.naming import job_id
from qjob.model.record import JobRecord, record_to_json
from qjob.model.status import JobStatus
from qjob.store.schema import SCHEMA_VERSION
from qjob.store.store import Query, Store
from qjob.testing import make_spec

START = datetime(2026, 11, 22, 10, tzinfo=UTC)

VERSION_1 = """
CREATE TABLE job (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    device TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    version INTEGER NOT NULL,
    record TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX job_by_status ON job (status, id);
CREATE INDEX job_by_name ON job (name, id);
CREATE INDEX job_by_device ON job (device, id);
CREATE TABLE tag (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    job_id TEXT NOT NULL,
    PRIMARY KEY (key, value, job_id)
) WITHOUT ROWID;
CREATE INDEX tag_by_job ON tag (job_id);
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""


def record_of(number: int, status: JobStatus) -> JobRecord:
    created_at = START + timedelta(seconds=number)
    spec = make_spec(name=f"job-{number}", engine="fake", tags={"parity": str(number % 2), "of": "h2"})
    ref = f"fake-{number}" if number else None
    record_id = job_id(int(created_at.timestamp() * 1e6), 0)
    return JobRecord(id=record_id, spec=spec, created_at=created_at, status=status, ref=ref)


RECORDS = [record_of(number, status) for number, status in enumerate(JobStatus)]


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """An index of version 1, as that version wrote it."""
    path = tmp_path / "index.db"
    write_version_1(path, RECORDS)
    return path


def write_version_1(path: Path, records: Sequence[JobRecord]) -> None:
    db = sqlite3.connect(path)
    db.executescript(VERSION_1)
    with db:
        for record in records:
            text = json.dumps(record_to_json(record, ""), separators=(",", ":"))
            created_us = int(record.created_at.timestamp() * 1_000_000)
            fixed = (record.id, record.spec.name, str(record.status), record.spec.device, created_us)
            db.execute("INSERT INTO job VALUES (?, ?, ?, ?, ?, ?, ?)", (*fixed, record.version, text))
            tags = [(key, value, record.id) for key, value in record.spec.tags.items()]
            db.executemany("INSERT INTO tag VALUES (?, ?, ?)", tags)
    db.close()


def test_what_was_on_record_still_is(index: Path) -> None:
    store = Store(index, index.parent / "jobs")
    assert store.find(Query()) == RECORDS[::-1]
    assert store.find(Query(tags={"parity": "1", "of": "h2"}, alone=True)) == RECORDS[5::-2]
    assert store.find(Query(statuses=frozenset({JobStatus.FAILED}))) == [RECORDS[3]]
    assert store.newest_by_name("job-4") == RECORDS[4].id
    assert [(job.id, job.engine, job.ref) for job in store.active()] == [
        (RECORDS[0].id, "fake", None),
        (RECORDS[1].id, "fake", "fake-1"),
        (RECORDS[4].id, "fake", "fake-4"),
    ]
    assert store.find_sweeps(Query()) == []
    store.close()


def test_what_was_on_record_goes_on(index: Path) -> None:
    store = Store(index, index.parent / "jobs")
    ended = replace(RECORDS[1], status=JobStatus.COMPLETED, version=2)
    assert store.change(ended, 1, lambda record: None)
    assert store.insert(record_of(9, JobStatus.QUEUED))
    store.delete(RECORDS[0].id)
    assert [record.version for record in store.find(Query(tags={"of": "h2"}))] == [1, 1, 1, 1, 1, 2]
    store.close()


def test_its_tables_are_those_of_a_new_one(index: Path, tmp_path: Path) -> None:
    new = Store(tmp_path / "new.db", tmp_path / "jobs")
    old = Store(index, tmp_path / "jobs")
    for store in (new, old):
        store.check()
        store.close()
    assert schema_of(index) == schema_of(tmp_path / "new.db")


def schema_of(path: Path) -> tuple[int, list[tuple[str, ...]]]:
    db = sqlite3.connect(path)
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return version, rows


def test_several_find_it_at_once(index: Path) -> None:
    stores = [Store(index, index.parent / "jobs") for _ in range(6)]
    barrier = threading.Barrier(len(stores))
    found: list[int] = []

    def look(store: Store) -> None:
        barrier.wait()
        found.append(len(store.find(Query())))

    threads = [threading.Thread(target=look, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(RECORDS)] * len(stores)
    assert schema_of(index)[0] == SCHEMA_VERSION
    for store in stores:
        store.close()


def test_a_damaged_row_is_told_when_it_is_read(index: Path) -> None:
    db = sqlite3.connect(index)
    with db:
        db.execute("UPDATE job SET record = '{' WHERE name = 'job-2'")
    db.close()
    store = Store(index, index.parent / "jobs")
    assert store.find(Query(name="job-1")) == [RECORDS[1]]
    with pytest.raises(StoreCorrupt, match="'qjob reindex'"):
        store.find(Query(name="job-2"))
    assert store.rebuild(lambda known: RECORDS) == len(RECORDS)
    store.close()
