"""Queue: what waits for this machine and what runs on it; the local engine's own memory.

One SQLite file, so that submitters and the dispatcher see one truth and a killed one leaves none half done.
It holds nothing that the job folders do not tell as well, but for the order.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    pid INTEGER,
    started TEXT,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS job_order ON job (state, priority DESC, seq);
CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), slots INTEGER NOT NULL);
COMMIT;
"""
_LATER_COLUMNS = {"warm": "INTEGER NOT NULL DEFAULT 1", "parent": "TEXT"}
"""What a queue that an earlier version has made lacks."""
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
    pid: int | None = None
    started: str | None = None
    detail: str = ""


class Queue:
    """The rows, and the few things that are done with them; threads may share it, forked processes may not."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Open or make the queue; ``durable``: a change outlives a power cut once the call is back."""
        self._path = path
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare(durable)
        except BaseException:
            self._db.close()
            raise
        self._file = _identity(path)

    def is_current(self) -> bool:
        """Return whether this process opened it, and the file has not been removed or replaced since."""
        return self._process == os.getpid() and self._file == _identity(self._path)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add(self, job: QueuedJob, machine_slots: int) -> None:
        """Put a job at the end of its priority, and note the machine's slots; harmless when it is there."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO job (id, folder, priority, slots, device, capacity, warm, parent) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (job.id, job.folder, job.priority, job.slots, job.device, job.capacity, job.warm, job.parent),
            )
            self._db.execute("INSERT OR REPLACE INTO machine (id, slots) VALUES (1, ?)", (machine_slots,))

    def jobs(self, ids: Sequence[str]) -> dict[str, QueuedJob]:
        """Return those of the jobs that are in the queue."""
        found: dict[str, QueuedJob] = {}
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            query = f"SELECT * FROM job WHERE id IN ({','.join('?' * len(part))})"
            found.update((row["id"], _job(row)) for row in self._db.execute(query, part))
        return found

    def in_state(self, state: str) -> Iterator[QueuedJob]:
        """Yield the jobs of one state, the next to start first."""
        rows = self._db.execute("SELECT * FROM job WHERE state = ? ORDER BY priority DESC, seq", (state,))
        return map(_job, rows)

    def waiting_children(self, parents: Sequence[str]) -> list[QueuedJob]:
        """Return the waiting jobs that these have submitted, the next to start first."""
        found: list[QueuedJob] = []
        for start in range(0, len(parents), _CHUNK):
            part = parents[start : start + _CHUNK]
            places = ",".join("?" * len(part))
            query = f"SELECT * FROM job WHERE parent IN ({places}) AND state = 'waiting' ORDER BY priority DESC, seq"
            found.extend(map(_job, self._db.execute(query, part)))
        return found

    def machine_slots(self) -> int:
        """Return how many slots the machine has, by the newest submit."""
        row = self._db.execute("SELECT slots FROM machine").fetchone()
        return int(row["slots"]) if row else 1

    def is_empty(self) -> bool:
        """Return whether nothing waits and nothing runs."""
        return self._db.execute("SELECT 1 FROM job WHERE state != 'gone' LIMIT 1").fetchone() is None

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

    def remove_waiting(self, job_id: str) -> bool:
        """Forget a job if it waits; return whether it did."""
        return self._change("DELETE FROM job WHERE id = ? AND state = 'waiting'", (job_id,)) == 1

    def set_gone(self, job_id: str, detail: str) -> None:
        """Note that a job ended without an outcome, and how."""
        self._change("UPDATE job SET state = 'gone', detail = ? WHERE id = ?", (detail, job_id))

    def _prepare(self, durable: bool) -> None:
        self._db.row_factory = sqlite3.Row
        _patiently(lambda: self._db.execute("PRAGMA journal_mode = WAL"))
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if not self._db.execute("PRAGMA schema_version").fetchone()[0]:
            _patiently(lambda: self._db.executescript(_SCHEMA))
        elif _LATER_COLUMNS.keys() - self._columns():
            with self._transaction():
                for name in _LATER_COLUMNS.keys() - self._columns():
                    self._db.execute(f"ALTER TABLE job ADD COLUMN {name} {_LATER_COLUMNS[name]}")
        self._db.execute("CREATE INDEX IF NOT EXISTS job_parent ON job (parent) WHERE parent IS NOT NULL")

    def _columns(self) -> set[str]:
        return {row["name"] for row in self._db.execute("PRAGMA table_info(job)")}

    def _change(self, query: str, values: tuple[object, ...]) -> int:
        with self._lock:
            return self._db.execute(query, values).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise


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
    fields: dict[str, Any] = dict(row)
    del fields["seq"]
    return QueuedJob(**{**fields, "warm": bool(fields["warm"])})
