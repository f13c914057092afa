"""Store: the index over all job folders, one SQLite file on a local disk."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from qjob.errors import InvalidInput, StoreCorrupt, StoreError, StoreMissing, StoreTooNew
from qjob.forks import HoldsStill
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord, SweepSummary, sweep_from_json, sweep_to_json
from qjob.store.packing import pack, unpack
from qjob.store.query import Query, find_ids, find_sweeps, microseconds
from qjob.store.schema import SCHEMA_VERSION, drop_tables, make_indexes, make_tables, migrate, version_of

__all__ = ["SCHEMA_VERSION", "ActiveJob", "Query", "Store"]
_BUSY_TIMEOUT_S = 30.0
_BUSY_POLL_S = 0.005
_CHUNK = 500
_REMEDY = "The job folders are not touched by that: 'qjob reindex' builds a new index from them."
_STATUS = {str(status): status for status in JobStatus}
_ACTIVE = tuple(str(status) for status in JobStatus if not status.ended)


class ActiveJob(NamedTuple):
    """What the index knows, without reading the record, of a job that has not ended.

    A tuple, as ten thousand of them are made for one look.

    Attributes:
        id: the job's id.
        status: where it stands by the record.
        engine: the name of its engine.
        ref: the engine's own handle; None until the engine has taken the job.
    """

    id: str
    status: JobStatus
    engine: str
    ref: str | None


class Store(HoldsStill):
    """The rows. Safe to use from several threads and, each with its own, from several processes."""

    def __init__(self, path: Path, jobs: Path) -> None:
        """Use the index at ``path`` over the folders in ``jobs``; the file is opened when it is needed."""
        self._path = path
        self._jobs = jobs
        self._process = os.getpid()
        self._db: sqlite3.Connection | None = None
        self._opened_as: tuple[int, int] | None = None
        self._inherited: sqlite3.Connection | None = None
        self._is_together = False
        super().__init__()

    # Changing

    def insert(self, record: JobRecord) -> bool:
        """Put a new job on record, for good; False when the id is taken."""
        with self._transaction(durable=True) as db:
            if _is_taken(db, [record.id]):
                return False
            _add(db, [record])
            return True

    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        """Put a sweep and all its jobs on record, for good; False, with nothing done, when an id is taken."""
        with self._transaction(durable=True) as db:
            if _is_taken(db, [sweep.id, *(record.id for record in records)]):
                return False
            _add_sweep(db, sweep)
            _add(db, records)
            return True

    def change(self, record: JobRecord, was: int, write: Callable[[JobRecord], None]) -> bool:
        """Replace a job's row, if it is still the version ``was``; return whether it was.

        ``write`` is called for the folder's copy before the row is committed, while no other process can
        change the row. A crash between the two, or a power cut soon after, leaves a row that lags: the next
        look draws the same conclusion again from the folder.
        """
        return bool(self.change_many([(record, was)], write))

    def change_many(self, changes: Sequence[tuple[JobRecord, int]], write: Callable[[JobRecord], None]) -> set[str]:
        """Do `change` for several jobs at once, each with the version that it was; return the ids of those changed.

        When ``write`` raises, none is.
        """
        with self._transaction() as db:
            versions = _versions(db, [record.id for record, _ in changes])
            current = [record for record, was in changes if versions.get(record.id) == was]
            for record in current:
                write(record)
            db.executemany(
                "UPDATE job SET status = ?, engine = ?, ref = ?, version = ?, record = ? WHERE id = ?",
                [(*_changing(record), record.id) for record in current],
            )
            return {record.id for record in current}

    def delete(self, job_id: str) -> None:
        """Take a job off the record, for good; harmless when it is not there."""
        with self._transaction(durable=True) as db:
            _remove(db, job_id)

    def delete_sweep(self, sweep_id: str) -> None:
        """Take a sweep and its jobs off the record, for good; harmless when it is not there."""
        with self._transaction(durable=True) as db:
            for job_id in _ids_of_sweep(db, sweep_id):
                _remove(db, job_id)
            db.execute("DELETE FROM sweep WHERE id = ?", (sweep_id,))

    def rebuild(self, read: Callable[[set[str]], Iterable[JobRecord | SweepRecord]]) -> int:
        """Make the index anew; return how many jobs it has.

        ``read`` is called with the ids of the jobs that were on record, while no other process can add one, and
        returns the records that shall be. A damaged index is set aside, under a name beside it.
        """
        self._start_anew_after_fork()
        with self._lock:
            self._set_aside_if_unusable()
            with self._transaction(durable=True, fresh=True) as db:
                known = {row[0] for row in db.execute("SELECT id FROM job")}
                drop_tables(db)
                make_tables(db)
                _add_all(db, read(known))
                make_indexes(db)
                return int(db.execute("SELECT count(*) FROM job").fetchone()[0])

    # Jobs

    def get(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Return those of the jobs that are on record."""
        with self._using() as db:
            return _get(db, ids)

    def has(self, job_id: str) -> bool:
        """Return whether a job is on record."""
        with self._using() as db:
            return db.execute("SELECT 1 FROM job WHERE id = ?", (job_id,)).fetchone() is not None

    def find(self, query: Query) -> list[JobRecord]:
        """Return the jobs that match, the newest first."""
        with self._reading() as db:
            ids = find_ids(db, query)
            found = _get(db, ids)
            return [found[job_id] for job_id in ids if job_id in found]

    def ids_by_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return the ids of jobs that begin so, at most ``limit`` of them."""
        return self._ids_by_prefix("job", prefix, limit)

    def newest_by_name(self, name: str) -> str | None:
        """Return the id of the newest job of that name."""
        with self._reading() as db:
            return next(iter(find_ids(db, Query(name=name, limit=1))), None)

    def active(self, sweep: str | None = None) -> list[ActiveJob]:
        """Return the jobs that have not ended, of all or of one sweep, the oldest first.

        Ten thousand take some hundredths of a second.
        """
        with self._using() as db:
            rows = _active(db, "id, status, engine, ref", sweep)
            return [ActiveJob(job_id, _STATUS[status], engine, ref) for job_id, status, engine, ref in rows]

    def active_ids(self, sweep: str | None = None) -> list[str]:
        """Return the ids of the jobs that have not ended, of all or of one sweep, the oldest first."""
        with self._using() as db:
            return [row[0] for row in _active(db, "id", sweep)]

    # Sweeps

    def sweep(self, sweep_id: str) -> SweepRecord | None:
        """Return what is known of a sweep as a whole; None when there is no such sweep."""
        with self._using() as db:
            row = db.execute("SELECT record FROM sweep WHERE id = ?", (sweep_id,)).fetchone()
        return None if row is None else _sweep(row[0])

    def find_sweeps(self, query: Query) -> list[SweepRecord]:
        """Return the sweeps that have a job that matches, the newest first; their own name matches as well."""
        with self._reading() as db:
            return [_sweep(text) for text in find_sweeps(db, query)]

    def summaries(self, query: Query) -> list[SweepSummary]:
        """Return `find_sweeps` with what a list shows of them."""
        with self._reading() as db:
            sweeps = [_sweep(text) for text in find_sweeps(db, query)]
            counts = _counts(db, [sweep.id for sweep in sweeps])
            examples = _examples(db, [sweep.id for sweep in sweeps])
        return [SweepSummary(sweep=sweep, counts=counts[sweep.id], example=examples.get(sweep.id)) for sweep in sweeps]

    def newest_sweep_by_name(self, name: str) -> str | None:
        """Return the id of the newest sweep of that name."""
        sql = "SELECT id FROM sweep WHERE name = ? ORDER BY id DESC LIMIT 1"
        with self._using() as db:
            row = db.execute(sql, (name,)).fetchone()
        return None if row is None else row[0]

    def sweep_ids_by_prefix(self, prefix: str, limit: int) -> list[str]:
        """Return the ids of sweeps that begin so, at most ``limit`` of them."""
        return self._ids_by_prefix("sweep", prefix, limit)

    def sweep_jobs(self, sweep_id: str) -> list[str]:
        """Return the ids of a sweep's jobs, in the order of their points."""
        with self._using() as db:
            return _ids_of_sweep(db, sweep_id)

    def sweep_counts(self, sweep_ids: Sequence[str]) -> dict[str, dict[JobStatus, int]]:
        """Return for each sweep how many of its jobs are in which state; a state that none is in is left out."""
        with self._reading() as db:
            return _counts(db, sweep_ids)

    # The file

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

    def let_go(self) -> None:
        """Let go of the file for a fork, unless that comes in the middle of a change."""
        if not self._is_together:
            self.close()

    def __del__(self) -> None:
        """Let go of the file: nobody has to close a service, and from 3.13 on Python warns of open databases."""
        self.close()

    def _ids_by_prefix(self, table: str, prefix: str, limit: int) -> list[str]:
        sql = f"SELECT id FROM {table} WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
        with self._using() as db:
            return [row[0] for row in db.execute(sql, (prefix, prefix + "\x7f", limit))]

    @contextmanager
    def _using(self, fresh: bool = False) -> Iterator[sqlite3.Connection]:
        self._start_anew_after_fork()
        with self._lock:
            try:
                db = self._connection(fresh)
                if db.in_transaction and not self._is_together:  # Ctrl-C came in the very moment when it was to end
                    db.execute("ROLLBACK")
                yield db
            except sqlite3.Error as error:
                raise self._explained(error) from error
            except UnicodeEncodeError as error:
                raise InvalidInput(
                    f"{error.object!r} holds bytes that are no character: the index can neither hold nor find it."
                ) from error

    def _start_anew_after_fork(self) -> None:
        """Have a lock of this process's own: the parent's is held, by the thread that forked or by another one."""
        if self._process != os.getpid():
            self._inherited = self._db  # only one in whose transaction it forked: a child must not even close that
            self._db, self._lock, self._process = None, threading.RLock(), os.getpid()
            self._is_together = False

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Let several statements see one state of the index."""
        with self._using() as db, self._together(db, "BEGIN", "ROLLBACK"):
            yield db

    @contextmanager
    def _transaction(self, *, durable: bool = False, fresh: bool = False) -> Iterator[sqlite3.Connection]:
        """Make a change; with ``durable``, one that outlives a power cut: that takes the disk some time."""
        with self._using(fresh) as db:
            if not self._is_together:
                db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with self._together(db, "BEGIN IMMEDIATE", "COMMIT"):
                yield db

    @contextmanager
    def _together(self, db: sqlite3.Connection, begin: str, end: str) -> Iterator[None]:
        """Keep statements together; what a signal handler of this thread does in the middle is one of them."""
        if self._is_together:
            yield
            return
        try:
            self._is_together = True
            db.execute(begin)  # in here, as Ctrl-C may come in the very moment when it has begun
            yield
            db.execute(end)
        finally:
            self._is_together = False
            if db.in_transaction:
                db.execute("ROLLBACK")

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
            self._bring_up_to_date(db, fresh)
        except BaseException:
            db.close()
            raise
        return db

    def _bring_up_to_date(self, db: sqlite3.Connection, fresh: bool) -> None:
        if self._version(db) == SCHEMA_VERSION:
            return
        _turn_on_wal(db)
        db.execute("BEGIN IMMEDIATE")
        version = self._version(db)
        if version == 0:
            if not fresh:
                self._refuse_to_forget()
            make_tables(db)
            make_indexes(db)
        elif version < SCHEMA_VERSION:
            migrate(db)
        db.execute("COMMIT")

    def _version(self, db: sqlite3.Connection) -> int:
        version = version_of(db)
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


def _is_taken(db: sqlite3.Connection, ids: Sequence[str]) -> bool:
    """Return whether one of these is the id of a job or of a sweep."""
    return any(
        db.execute(f"SELECT 1 FROM {table} WHERE id IN ({_places(part)}) LIMIT 1", part).fetchone()
        for part in _chunks(ids)
        for table in ("job", "sweep")
    )


def _add_all(db: sqlite3.Connection, records: Iterable[JobRecord | SweepRecord]) -> None:
    jobs: list[JobRecord] = []
    for record in records:
        if isinstance(record, SweepRecord):
            _add_sweep(db, record)
            continue
        jobs.append(record)
        if len(jobs) == _CHUNK:
            _add(db, jobs)
            jobs.clear()
    _add(db, jobs)


def _add(db: sqlite3.Connection, records: Sequence[JobRecord]) -> None:
    db.executemany(
        "INSERT INTO job (id, name, device, created_us, sweep, alone, status, engine, ref, version, record)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        map(_row, records),
    )
    db.executemany("INSERT OR IGNORE INTO tag (key, value, alone, job_id) VALUES (?, ?, ?, ?)", _tags(records))


def _row(record: JobRecord) -> tuple[Any, ...]:
    spec = record.spec
    sweep = None if spec.sweep_point is None else spec.sweep_point.sweep
    created_us = microseconds(record.created_at)
    fixed = (record.id, spec.name, spec.device, created_us, sweep, sweep is None)
    return (*fixed, *_changing(record))


def _changing(record: JobRecord) -> tuple[Any, ...]:
    """Return what changes in a job's life: status, engine, ref, version and record."""
    ref = None if record.status.ended else record.ref
    return str(record.status), record.spec.engine, ref, record.version, pack(record)


def _tags(records: Iterable[JobRecord]) -> Iterator[tuple[str, str, bool, str]]:
    for record in records:
        for key, value in record.spec.tags.items():
            yield key, value, record.spec.sweep_point is None, record.id


def _add_sweep(db: sqlite3.Connection, sweep: SweepRecord) -> None:
    text = json.dumps(sweep_to_json(sweep), separators=(",", ":"))
    row = (sweep.id, sweep.name, microseconds(sweep.created_at), text)
    db.execute("INSERT INTO sweep (id, name, created_us, record) VALUES (?, ?, ?, ?)", row)


def _remove(db: sqlite3.Connection, job_id: str) -> None:
    tags = "DELETE FROM tag WHERE job_id = ?"
    row = db.execute("SELECT record FROM job WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        return
    try:
        db.executemany(
            f"{tags} AND key = ? AND value = ?", [(job_id, *tag) for tag in unpack(row[0]).spec.tags.items()]
        )
    except StoreCorrupt:
        db.execute(tags, (job_id,))  # slow, as no index helps here
    db.execute("DELETE FROM job WHERE id = ?", (job_id,))


def _versions(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in _chunks(ids):
        found.update(db.execute(f"SELECT id, version FROM job WHERE id IN ({_places(part)})", part))
    return found


def _get(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, JobRecord]:
    found: dict[str, JobRecord] = {}
    for part in _chunks(ids):
        query = f"SELECT id, record FROM job WHERE id IN ({_places(part)})"
        found.update((row[0], unpack(row[1])) for row in db.execute(query, part))
    return found


def _active(db: sqlite3.Connection, columns: str, sweep: str | None) -> sqlite3.Cursor:
    of_sweep, values = ("", ()) if sweep is None else (" AND sweep = ?", (sweep,))
    sql = f"SELECT {columns} FROM job WHERE status IN ({_places(_ACTIVE)}){of_sweep} ORDER BY id"
    return db.execute(sql, (*_ACTIVE, *values))


def _ids_of_sweep(db: sqlite3.Connection, sweep_id: str) -> list[str]:
    return [row[0] for row in db.execute("SELECT id FROM job WHERE sweep = ? ORDER BY id", (sweep_id,))]


def _counts(db: sqlite3.Connection, sweep_ids: Sequence[str]) -> dict[str, dict[JobStatus, int]]:
    counts: dict[str, dict[JobStatus, int]] = {sweep_id: {} for sweep_id in sweep_ids}
    for part in _chunks(sweep_ids):
        sql = f"SELECT sweep, status, count(*) FROM job WHERE sweep IN ({_places(part)}) GROUP BY sweep, status"
        for sweep_id, status, count in db.execute(sql, part):
            counts[sweep_id][JobStatus(status)] = count
    return counts


def _examples(db: sqlite3.Connection, sweep_ids: Sequence[str]) -> dict[str, JobRecord]:
    """Return for each sweep one of its jobs: which one, any list of them begins with."""
    sql = "SELECT record FROM job WHERE sweep = ? LIMIT 1"
    rows = ((sweep_id, db.execute(sql, (sweep_id,)).fetchone()) for sweep_id in sweep_ids)
    return {sweep_id: unpack(row[0]) for sweep_id, row in rows if row is not None}


def _sweep(text: str) -> SweepRecord:
    try:
        return sweep_from_json(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreCorrupt(f"the index holds a row that is no sweep ({error!r}). {_REMEDY}") from error


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield them in parts that any SQLite takes as parameters."""
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


def _places(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
