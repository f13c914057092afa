"""Queue: what waits for this machine and what runs on it; the local engine's own memory.

One SQLite file, so that submitters and the dispatcher see one truth and a killed one leaves none half done.
It holds nothing that the job folders do not tell as well, but for the order.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from qjob.forks import HoldsStill

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'gone')),
    priority INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    device TEXT,
    capacity INTEGER NOT NULL,
    warm INTEGER NOT NULL DEFAULT 1,
    parent TEXT,
    sweep TEXT,
    concurrency INTEGER,
    limits TEXT,
    pid INTEGER,
    started TEXT,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS job_order ON job (state, priority DESC, seq);
CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), slots INTEGER NOT NULL);
COMMIT;
"""
_LATER_COLUMNS = {
    "warm": "INTEGER NOT NULL DEFAULT 1",
    "parent": "TEXT",
    "sweep": "TEXT",
    "concurrency": "INTEGER",
    "limits": "TEXT",
}
"""What a queue that an earlier version has made lacks."""
_STARTABLE = """
SELECT * FROM job AS waiting WHERE state = 'waiting'
AND (device IS NULL OR capacity > (SELECT count(*) FROM job WHERE state = 'running' AND device = waiting.device))
AND (sweep IS NULL OR sweep NOT IN (
    SELECT sweep FROM job WHERE state = 'running' AND concurrency IS NOT NULL
    GROUP BY sweep HAVING count(*) >= min(concurrency)))
AND (sweep IS NULL OR sweep NOT IN ({full}))
AND (priority < ? OR (priority = ? AND seq > ?))
ORDER BY priority DESC, seq
"""
_CHILDREN = """
SELECT * FROM job WHERE parent IN ({parents}) AND state = 'waiting'
AND parent NOT IN (SELECT parent FROM job WHERE state = 'running' AND parent IS NOT NULL)
ORDER BY priority DESC, seq
"""
_ADDED = ("id", "folder", "priority", "slots", "device", "capacity", "warm", "parent", "sweep", "concurrency", "limits")
_FIRST_PRIORITY = 1 << 62  # above any that there is
_Place = tuple[int, int]  # priority and number in the queue
_BUSY_TIMEOUT_S = 30.0
_BUSY_POLL_S = 0.005
_CHUNK = 500  # below SQLite's limit of parameters in every build


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """One row.

    Attributes:
        id: the job's id.
        folder: its folder, an absolute path.
        state: ``waiting``, ``running``, or ``gone``: ended without an outcome.
        priority: a higher one starts first; equal ones in the order in which they came.
        slots: how many of the machine's slots it takes.
        device: the device that it holds while it runs; None for one that is shared freely.
        capacity: how many jobs that device takes at a time.
        warm: whether it may be started in a zygote.
        parent: the job that submitted it, if one did.
        sweep: the sweep that it is a point of.
        concurrency: how many jobs of that may run at a time; None for no limit.
        limits: the submitter's `qjob.engines.local.limits.Limits`, as their text; None for the dispatcher's own.
        pid: its runner's process; None until that was started.
        started: the start time that belongs to the pid.
        detail: how it went, when it is ``gone``.
    """

    id: str
    folder: str
    state: str = "waiting"
    priority: int
    slots: int
    device: str | None = None
    capacity: int = 1
    warm: bool = True
    parent: str | None = None
    sweep: str | None = None
    concurrency: int | None = None
    limits: str | None = None
    pid: int | None = None
    started: str | None = None
    detail: str = ""


_FIELDS = [field.name for field in fields(QueuedJob)]


class Queue(HoldsStill):
    """The rows, and the few things that are done with them.

    Threads may share it, but for what is yielded row by row, which is the dispatcher's; forked processes may not.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Open or make the queue; ``durable``: a change outlives a power cut once the call is back."""
        self._path = path
        self._durable = durable
        self._process = os.getpid()
        self._is_together = False
        self._db: sqlite3.Connection | None = self._open()
        self._file = _identity(path)
        super().__init__()

    def is_current(self) -> bool:
        """Return whether this process opened it, and the file has not been removed or replaced since."""
        return self._process == os.getpid() and self._file == _identity(self._path)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def let_go(self) -> None:
        """Let go of the file for a fork, unless that comes in the middle of a change."""
        if not self._is_together:
            self.close()

    def add(self, jobs: Iterable[QueuedJob], machine_slots: int) -> None:
        """Put jobs at the end of their priority, and note the machine's slots; harmless when they are there."""
        query = f"INSERT OR IGNORE INTO job ({', '.join(_ADDED)}) VALUES ({', '.join('?' * len(_ADDED))})"
        with self._transaction() as db:
            db.executemany(query, map(attrgetter(*_ADDED), jobs))
            db.execute("INSERT OR REPLACE INTO machine (id, slots) VALUES (1, ?)", (machine_slots,))

    def jobs(self, ids: Sequence[str]) -> dict[str, QueuedJob]:
        """Return those of the jobs that are in the queue."""
        found: dict[str, QueuedJob] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            query = f"SELECT * FROM job WHERE id IN ({','.join('?' * len(part))})"
            found.update((row["id"], _job(row)) for row in self._rows(query, part))
        return found

    def states(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Return state and detail of those of the jobs that are in the queue; thousands may be asked for."""
        found: dict[str, tuple[str, str]] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            query = f"SELECT id, state, detail FROM job WHERE id IN ({','.join('?' * len(part))})"
            found.update((job_id, (state, detail)) for job_id, state, detail in self._rows(query, part))
        return found

    def in_state(self, state: str) -> list[QueuedJob]:
        """Return the jobs of one state, the next to start first."""
        return [
            _job(row) for row in self._rows("SELECT * FROM job WHERE state = ? ORDER BY priority DESC, seq", (state,))
        ]

    def startable(self) -> Iterator[QueuedJob]:
        """Yield the waiting jobs, the next to start first, but for those whose device or sweep has no room now.

        Of a sweep that runs so many at a time, no more than so many: there may be thousands behind them.
        """
        offered: Counter[str] = Counter()
        full: list[str] = []
        place: _Place | None = (_FIRST_PRIORITY, 0)
        while place is not None:
            place = yield from self._startable_after(place, offered, full)

    def _startable_after(
        self, place: _Place, offered: Counter[str], full: list[str]
    ) -> Generator[QueuedJob, None, _Place | None]:
        """Yield them until one sweep has had all it may; return where to go on without it, None at the end."""
        query = _STARTABLE.format(full=",".join("?" * len(full)))
        for row in self._connection().execute(query, (*full, place[0], *place)):
            yield _job(row)
            offered[row["sweep"]] += 1
            if offered[row["sweep"]] == row["concurrency"] and len(full) < _CHUNK:
                full.append(row["sweep"])
                return row["priority"], row["seq"]
        return None

    def places(self) -> dict[str, int]:
        """Return the place of each waiting job, 1 for the next to start."""
        query = "SELECT id FROM job WHERE state = 'waiting' ORDER BY priority DESC, seq"
        return {row[0]: place for place, row in enumerate(self._rows(query), start=1)}

    def waiting_children(self, parents: Sequence[str]) -> Iterator[QueuedJob]:
        """Yield the waiting jobs that these have submitted, the next to start first; none where one runs already.

        There may be thousands of them, and one at a time is what matters.
        """
        for start in range(0, len(parents), _CHUNK):
            part = parents[start : start + _CHUNK]
            places = ",".join("?" * len(part))
            query = _CHILDREN.format(parents=places)
            yield from map(_job, self._connection().execute(query, part))

    def machine_slots(self) -> int:
        """Return how many slots the machine has, by the newest submit."""
        rows = self._rows("SELECT slots FROM machine")
        return int(rows[0]["slots"]) if rows else 1

    def is_empty(self) -> bool:
        """Return whether nothing waits and nothing runs."""
        return not self._rows("SELECT 1 FROM job WHERE state != 'gone' LIMIT 1")

    def claim(self, job_id: str) -> bool:
        """Take a waiting job to be started; False when it does not wait any more."""
        query = "UPDATE job SET state = 'running', pid = NULL WHERE id = ? AND state = 'waiting'"
        return self._change(query, (job_id,)) == 1

    def set_process(self, job_id: str, pid: int, started: str | None) -> None:
        """Note the runner of a job that was claimed."""
        self._change("UPDATE job SET pid = ?, started = ? WHERE id = ?", (pid, started, job_id))

    def put_back(self, job_id: str) -> None:
        """Let a job that was claimed, and never started, wait again in its old place."""
        self._change("UPDATE job SET state = 'waiting' WHERE id = ? AND state = 'running'", (job_id,))

    def remove(self, job_id: str) -> None:
        """Forget a job; harmless when it is not there."""
        self._change("DELETE FROM job WHERE id = ?", (job_id,))

    def remove_waiting(self, ids: Iterable[str]) -> None:
        """Forget those of the jobs that wait; of a sweep that is cancelled none may start meanwhile."""
        with self._transaction() as db:
            db.executemany("DELETE FROM job WHERE id = ? AND state = 'waiting'", [(each,) for each in ids])

    def set_gone(self, job_id: str, detail: str) -> None:
        """Note that a job ended without an outcome, and how."""
        self._change("UPDATE job SET state = 'gone', detail = ? WHERE id = ?", (detail, job_id))

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db, self._durable)
        except BaseException:
            db.close()
            raise
        weakref.finalize(self, _close_in, self._process, db)  # from 3.13 on, Python warns of open databases
        return db

    def _connection(self) -> sqlite3.Connection:
        if self._db is None:  # it was closed for a fork
            self._db = self._open()
        if self._db.in_transaction and not self._is_together:  # Ctrl-C came in the very moment when it was to end
            self._db.execute("ROLLBACK")
        return self._db

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        # Never two threads in one connection: where one waits in it for a writer, and another asks it for something,
        # which Python's sqlite3 does with the interpreter's lock held, a writer of this process cannot end.
        with self._lock:
            return self._connection().execute(query, values).fetchall()

    def _change(self, query: str, values: tuple[object, ...]) -> int:
        with self._lock:
            return self._connection().execute(query, values).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Keep statements together; what a signal handler of this thread does in the middle is one of them."""
        with self._lock:
            db = self._connection()
            if self._is_together:
                yield db
                return
            try:
                self._is_together = True
                db.execute("BEGIN IMMEDIATE")  # in here, as Ctrl-C may come in the very moment when it has begun
                yield db
                db.execute("COMMIT")
            finally:
                self._is_together = False
                if db.in_transaction:
                    db.execute("ROLLBACK")


def _prepare(db: sqlite3.Connection, durable: bool) -> None:
    db.row_factory = sqlite3.Row
    _patiently(lambda: db.execute("PRAGMA journal_mode = WAL"))
    db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
    if not db.execute("PRAGMA schema_version").fetchone()[0]:
        _patiently(lambda: db.executescript(_SCHEMA))
    elif _LATER_COLUMNS.keys() - _columns(db):
        db.execute("BEGIN IMMEDIATE")  # whoever called closes it when this is not to be
        for name in _LATER_COLUMNS.keys() - _columns(db):
            db.execute(f"ALTER TABLE job ADD COLUMN {name} {_LATER_COLUMNS[name]}")
        db.execute("COMMIT")
    db.execute("CREATE INDEX IF NOT EXISTS job_parent ON job (parent) WHERE parent IS NOT NULL")


def _columns(db: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in db.execute("PRAGMA table_info(job)")}


def _close_in(process: int, db: sqlite3.Connection) -> None:
    """Close it, unless this process was forked from the one that opened it (sqlite.org/howtocorrupt.html)."""
    if os.getpid() == process:
        db.close()


def _patiently(change: Callable[[], object]) -> None:
    """Make a change to a file that others open in the same moment; SQLite does not wait for them then, as elsewhere."""
    deadline = time.monotonic() + _BUSY_TIMEOUT_S
    while True:
        try:
            change()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_POLL_S)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _job(row: sqlite3.Row) -> QueuedJob:
    known: dict[str, Any] = {name: row[name] for name in _FIELDS}  # a later version's queue may have more
    return QueuedJob(**{**known, "warm": bool(row["warm"])})
