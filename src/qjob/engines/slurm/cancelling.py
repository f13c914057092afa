"""Cancelling: jobs that wait are taken out of the queue, the runners of others are told to end them."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from qjob.engine import Presence
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.handover import Ref
from qjob.engines.slurm.options import index_list
from qjob.engines.slurm.queue_view import QueueView
from qjob.engines.slurm.rows import Row
from qjob.engines.slurm.states import PRESENCES
from qjob.errors import FolderError
from qjob.folder import JobFolder

_AGAIN_S = 10.0  # every look at a cancelled job tells the engine again; Slurm hears of it this often
_PATIENCE_S = 20.0  # for a runner, beyond the grace period of its job, before Slurm ends it by force


class Cancelling:
    """Tells Slurm which jobs are to end."""

    def __init__(self, slurm: Slurm, queue: QueueView, state: Path, jobs: Path) -> None:
        """Remember in the engine's own directory who was told when."""
        self._slurm = slurm
        self._queue = queue
        self._state = state
        self._jobs = jobs

    def cancel(self, refs: Sequence[Ref]) -> None:
        """End jobs; those that were told moments ago are passed over. Raises EngineUnavailable.

        The names decide, in the queue as it is now: Slurm may have given a number out again.
        """
        with self._told_lately() as told:
            due = [ref for ref in refs if ref.job not in told]
            if not due:
                return
            rows = self._queue.look_now().rows
            found = [(ref, rows[ref.key]) for ref in due if ref.key in rows]
            by_force = [row for ref, row in found if _must_be_taken_out(row) or self._is_overdue(ref)]
            self._slurm.take_out(_tasks(by_force))
            self._slurm.tell_to_end(
                _tasks([row for _, row in found if _is_in(row, Presence.RUNNING) and row not in by_force])
            )
            told.update((ref.job, time.time()) for ref in due)
        self._queue.note_act()
        if by_force:
            self._queue.look_now()  # what was taken out has ended: whoever cancelled it hears so at once

    def _is_overdue(self, ref: Ref) -> bool:
        """Return whether a runner has had its time to end the job."""
        folder = JobFolder(self._jobs / ref.job)
        with contextlib.suppress(FolderError):
            mark = folder.read_cancel_mark()
            if mark is not None:
                return time.time() - mark.time.timestamp() > folder.read_spec().grace_s + _PATIENCE_S
        return False

    @contextlib.contextmanager
    def _told_lately(self) -> Iterator[dict[str, float]]:
        """Hold who was told lately, by job; what is added is remembered when all went well."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._state / "told.json", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "r+", encoding="utf-8") as file:
            fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                told = _lately(file.read())
                yield told
                file.seek(0)
                file.truncate()
                json.dump(told, file)
                file.flush()
            finally:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor as well


def _lately(text: str) -> dict[str, float]:
    with contextlib.suppress(ValueError):
        return {job: at for job, at in json.loads(text).items() if 0 <= time.time() - at < _AGAIN_S}
    return {}


def _must_be_taken_out(row: Row) -> bool:
    """Return whether no runner would hear of it: the job waits, or is suspended."""
    return _is_in(row, Presence.WAITING) or row.state in ("SUSPENDED", "STOPPED")


def _is_in(row: Row, presence: Presence) -> bool:
    return PRESENCES.get(row.state) is presence


def _tasks(rows: Sequence[Row]) -> list[str]:
    """Return Slurm's names of jobs, those of one array together."""
    single = [str(row.slurm_id) for row in rows if row.index is None]
    arrays: dict[int, list[int]] = {}
    for row in rows:
        if row.index is not None:
            arrays.setdefault(row.slurm_id, []).append(row.index)
    return single + [f"{number}_[{index_list(indices)}]" for number, indices in arrays.items()]
