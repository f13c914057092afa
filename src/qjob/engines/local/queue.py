"""Queue: what waits for this machine and what runs on it; the local engine's own memory.

One SQLite file, so that submitters and the dispatcher see one truth and a killed one leaves none half done.
It holds nothing that the job folders do not tell as well, but for the order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'gone')),
    priority INTEGER NOT NULL,
    slots INTEGER NOT NULL,
    device TEXT,
    capacity INTEGER NOT NULL,
    pid INTEGER,
    started TEXT,
    detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS job_order ON job (state, priority DESC, seq);
CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), slots INTEGER NOT NULL);
"""
_BUSY_TIMEOUT_S = 30.0
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
    pid: int | None = None
    started: str | None = None
    detail: str = ""


class Queue:
    """The rows, and the few things that are done with them."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        """Open or make the queue; ``durable``: a change outlives a power cut once the call is back."""
        self._db = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        if not self._db.execute("PRAGMA schema_version").fetchone()[0]:
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add(self, job: QueuedJob, machine_slots: int) -> None:
        """Put a job at the end of its priority, and note the machine's slots; harmless when it is there."""
        with self._transaction():
            self._db.execute(
                "INSERT OR IGNORE INTO job (id, folder, priority, slots, device, capacity) VALUES (?, ?, ?, ?, ?, ?)",
                (job.id, job.folder, job.priority, job.slots, job.device, job.capacity),
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
        return self._db.execute(query, (job_id,)).rowcount == 1

    def set_process(self, job_id: str, pid: int, started: str | None) -> None:
        """Note the runner of a job that was claimed."""
        self._db.execute("UPDATE job SET pid = ?, started = ? WHERE id = ?", (pid, started, job_id))

    def put_back(self, job_id: str) -> None:
        """Let a job that was claimed, and never started, wait again in its old place."""
        self._db.execute("UPDATE job SET state = 'waiting' WHERE id = ? AND state = 'running'", (job_id,))

    def remove(self, job_id: str) -> None:
        """Forget a job; harmless when it is not there."""
        self._db.execute("DELETE FROM job WHERE id = ?", (job_id,))

    def remove_waiting(self, job_id: str) -> bool:
        """Forget a job if it waits; return whether it did."""
        return self._db.execute("DELETE FROM job WHERE id = ? AND state = 'waiting'", (job_id,)).rowcount == 1

    def set_gone(self, job_id: str, detail: str) -> None:
        """Note that a job ended without an outcome, and how."""
        self._db.execute("UPDATE job SET state = 'gone', detail = ? WHERE id = ?", (detail, job_id))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _job(row: sqlite3.Row) -> QueuedJob:
    fields: dict[str, Any] = dict(row)
    del fields["seq"]
    return QueuedJob(**fields)
