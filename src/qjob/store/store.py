"""Store: the index over all job folders, one SQLite file on a local disk."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from qjob.errors import InvalidInput, StoreCorrupt, StoreError, StoreMissing, StoreTooNew
from qjob.model.record import JobRecord, record_from_json, record_to_json
from qjob.model.status import JobStatus

SCHEMA_VERSION = 1
_BUSY_TIMEOUT_S = 30.0
_BUSY_POLL_S = 0.005
_CHUNK = 500
_REMEDY = "The job folders are not touched by that: 'qjob reindex' builds a new index from them."


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which jobs to find; what is left out matches everything.

    Attributes:
        statuses: any of these.
        name: exactly this name.
        tags: all of these, key and value.
        device: exactly this device.
        created_after: created at this aware time or later.
        limit: at most so many, the newest; None for all.
    """

    statuses: frozenset[JobStatus] = frozenset()
    name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    device: str | None = None
    created_after: datetime | None = None
    limit: int | None = None


class Store:
    """The rows. Safe to use from several threads and, each with its own, from several processes."""

    def __init__(self, path: Path, jobs: Path) -> None:
        """Use the index at ``path`` over the folders in ``jobs``; the file is opened when it is needed."""
        self._path = path
        self._jobs = jobs
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._inherited: sqlite3.Connection | None = None

    def insert(self, record: JobRecord) -> bool:
        """Put a new job on record; False when the id is taken."""
        with self._transaction() as db:
            if db.execute("SELECT 1 FROM job WHERE id = ?", (record.id,)).fetchone():
                return False
            _put(db, record)
            return True

    def change(self, record: JobRecord, was: int, write: Callable[[JobRecord], None]) -> bool:
        """Replace a job's row, if it is still the version ``was``; return whether it was.

        ``write`` is called for the folder's copy before the row is committed, while no other process can
        change the row. A crash between the two leaves a row that lags: the next look draws the same
        conclusion again from the folder.
        """
        with self._transaction() as db:
            row = db.execute("SELECT version FROM job WHERE id = ?", (record.id,)).fetchone()
            if row is None or row[0] != was:
                return False
            write(record)
            _put(db, record)
            return True

    def get(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Return those of the jobs that are on record."""
        found: dict[str, JobRecord] = {}
        with self._using() as db:
            for start in range(0, len(ids), _CHUNK):
                part = ids[start : start + _CHUNK]
                query = f"SELECT id, record FROM job WHERE id IN ({','.join('?' * len(part))})"
                found.update((row[0], _record(row[1])) for row in db.execute(query, part))
        return found

    def find(self, query: Query) -> list[JobRecord]:
        """Return the jobs that match, the newest first."""
        where, values = _conditions(query)
        sql = f"SELECT record FROM job{where} ORDER BY id DESC LIMIT ?"
        limit = -1 if query.limit is None else query.limit
        with self._using() as db:
            return [_record(row[0]) for row in db.execute(sql, (*values, limit))]

    def ids_by_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return the ids that begin so, at most ``limit`` of them."""
        sql = "SELECT id FROM job WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
        with self._using() as db:
            return [row[0] for row in db.execute(sql, (prefix, prefix + "\x7f", limit))]

    def newest_by_name(self, name: str) -> str | None:
        """Return the id of the newest job of that name."""
        sql = "SELECT id FROM job WHERE name = ? ORDER BY id DESC LIMIT 1"
        with self._using() as db:
            row = db.execute(sql, (name,)).fetchone()
        return None if row is None else row[0]

    def active_ids(self) -> list[str]:
        """Return the ids of the jobs that have not ended."""
        active = [str(status) for status in JobStatus if not status.ended]
        sql = f"SELECT id FROM job WHERE status IN ({','.join('?' * len(active))}) ORDER BY id"
        with self._using() as db:
            return [row[0] for row in db.execute(sql, active)]

    def delete(self, job_id: str) -> None:
        """Take a job off the record; harmless when it is not there."""
        with self._transaction() as db:
            _remove(db, job_id)

    def rebuild(self, read: Callable[[set[str]], Iterable[JobRecord]]) -> int:
        """Make the index anew; return how many jobs it has.

        ``read`` is called with the ids that were on record, while no other process can add one, and
        returns the records that shall be. A damaged index is set aside, under a name beside it.
        """
        self._start_anew_after_fork()
        with self._lock:
            self._set_aside_if_unusable()
            with self._transaction(fresh=True) as db:
                known = {row[0] for row in db.execute("SELECT id FROM job")}
                db.execute("DELETE FROM tag")
                db.execute("DELETE FROM job")
                for record in read(known):
                    _put(db, record)
                return int(db.execute("SELECT count(*) FROM job").fetchone()[0])

    def check(self) -> None:
        """Raise StoreError when the index cannot be used."""
        with self._using() as db:
            db.execute("SELECT 1 FROM job LIMIT 1").fetchone()

    def close(self) -> None:
        """Let go of the file."""
        self._start_anew_after_fork()
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def __del__(self) -> None:
        """Let go of the file: nobody has to close a service, and from 3.13 on Python warns of open databases."""
        self.close()

    @contextmanager
    def _using(self, fresh: bool = False) -> Iterator[sqlite3.Connection]:
        self._start_anew_after_fork()
        with self._lock:
            try:
                yield self._connection(fresh)
            except sqlite3.Error as error:
                raise self._explained(error) from error
            except UnicodeEncodeError as error:
                raise InvalidInput(
                    f"{error.object!r} holds bytes that are no character: the index can neither hold nor find it."
                ) from error

    def _start_anew_after_fork(self) -> None:
        """Leave connection and lock to the parent, a thread of which may be using them right now."""
        if self._process != os.getpid():
            self._inherited = self._db  # kept for good: a child must not even close it (sqlite.org/howtocorrupt.html)
            self._db, self._lock, self._process = None, threading.RLock(), os.getpid()

    @contextmanager
    def _transaction(self, fresh: bool = False) -> Iterator[sqlite3.Connection]:
        with self._using(fresh) as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def _connection(self, fresh: bool) -> sqlite3.Connection:
        """Return a connection to the file that has the name now."""
        if self._db is None or self._opened_as != self._identity():
            self.close()
            self._db = self._open(fresh)
            self._opened_as = self._identity()
        return self._db

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _open(self, fresh: bool) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            self._make_schema(db, fresh)
            db.execute("PRAGMA synchronous = FULL")  # a job that was accepted outlives a power cut
        except BaseException:
            db.close()
            raise
        return db

    def _make_schema(self, db: sqlite3.Connection, fresh: bool) -> None:
        if self._version(db) == SCHEMA_VERSION:
            return
        _turn_on_wal(db)
        db.execute("BEGIN IMMEDIATE")
        if self._version(db) == 0:
            if not fresh:
                self._refuse_to_forget()
            schema = Path(__file__).with_name("schema.sql").read_text()
            for statement in schema.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")

    def _version(self, db: sqlite3.Connection) -> int:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StoreTooNew(
                f"{self._path} was written by a newer qjob (index version {version}, this one knows "
                f"{SCHEMA_VERSION}): update qjob. {_REMEDY}"
            )
        return version

    def _refuse_to_forget(self) -> None:
        """Raise when a new, empty index would hide jobs that are there."""
        if self._jobs.is_dir() and any(not name.startswith(".") for name in os.listdir(self._jobs)):
            raise StoreMissing(f"There are jobs in {self._jobs}, but no index over them. {_REMEDY}")

    def _set_aside_if_unusable(self) -> None:
        try:
            self.check()
        except StoreMissing:
            return
        except (StoreCorrupt, StoreTooNew):
            self.close()
            number = len(list(self._path.parent.glob(f"{self._path.name}.set-aside-*"))) + 1
            for suffix in ("", "-wal", "-shm"):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(self._path.with_name(f"{self._path.name}.set-aside-{number}{suffix}"))

    def _explained(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return StoreCorrupt(f"{self._path} is damaged ({error}). {_REMEDY}")
        return StoreError(f"{self._path} cannot be used: {error}. 'qjob doctor' looks into it.")


def _turn_on_wal(db: sqlite3.Connection) -> None:
    """Turn on write-ahead logging. SQLite does not wait here, as it does elsewhere, for another who is at it."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_POLL_S)


def _put(db: sqlite3.Connection, record: JobRecord) -> None:
    text = json.dumps(record_to_json(record, ""), separators=(",", ":"))
    created_us = int(record.created_at.timestamp() * 1_000_000)
    db.execute(
        "INSERT OR REPLACE INTO job (id, name, status, device, created_us, version, record)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            record.id,
            record.spec.name,
            str(record.status),
            record.spec.device,
            created_us,
            record.version,
            text,
        ),
    )
    if record.version == 1 or record.spec.tags:
        tags = [(key, value, record.id) for key, value in record.spec.tags.items()]
        db.executemany("INSERT OR REPLACE INTO tag (key, value, job_id) VALUES (?, ?, ?)", tags)


def _remove(db: sqlite3.Connection, job_id: str) -> None:
    db.execute("DELETE FROM tag WHERE job_id = ?", (job_id,))
    db.execute("DELETE FROM job WHERE id = ?", (job_id,))


def _record(text: str) -> JobRecord:
    try:
        return record_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"the index holds a row that is no record ({error!r}). {_REMEDY}") from error


def _conditions(query: Query) -> tuple[str, list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    if query.statuses:
        clauses.append(f"status IN ({','.join('?' * len(query.statuses))})")
        values += sorted(str(status) for status in query.statuses)
    for column, value in (("name", query.name), ("device", query.device)):
        if value is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if query.created_after is not None:
        clauses.append("created_us >= ?")
        values.append(int(query.created_after.timestamp() * 1_000_000))
    for key, value in query.tags.items():
        clauses.append("id IN (SELECT job_id FROM tag WHERE key = ? AND value = ?)")
        values += [key, value]
    return (f" WHERE {' AND '.join(clauses)}" if clauses else ""), values
