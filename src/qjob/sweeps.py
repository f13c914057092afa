"""Sweeps: the use cases of many jobs that are submitted, awaited and ended as one."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from qjob.disk import sync_file_system
from qjob.engine import Engine
from qjob.errors import (
    EngineUnavailable,
    FolderError,
    InvalidInput,
    JobNotFound,
    JobStateError,
    ResultTimeout,
    SubmitError,
)
from qjob.folder import CancelMark, JobFolder
from qjob.model import naming
from qjob.model.event import JobEvent
from qjob.model.record import JobRecord, apply
from qjob.model.spec import SweepPoint
from qjob.model.status import EventType
from qjob.model.sweep import Counts, SweepRecord, active_in
from qjob.register import Register
from qjob.staging import Staging
from qjob.store.store import Store
from qjob.sweep_folder import SweepFolder, sweep_folder
from qjob.sweep_staging import SweepStaging, SweepSubmission
from qjob.watch import FolderWatch

_LOOK_S = 1.0  # how often all jobs are looked at that have not ended: a runner that was killed tells nobody
_LOOK_SHARE = 20  # and a look at thousands takes long: at most one part in so many of the time goes into it
_GATHER_S = 0.05  # what ends within this time is put on record together


class Sweeps:
    """What can be done with sweeps. One object serves a process; several processes need no word between them."""

    def __init__(
        self,
        *,
        store: Store,
        engine_of: Callable[[str], Engine],
        jobs: Path,
        staging: Staging,
        register: Register,
        now: Callable[[], datetime],
    ) -> None:
        """Work on the sweeps beside the directory ``jobs`` of all job folders."""
        self._store = store
        self._engine_of = engine_of
        self._jobs = jobs
        self._job_staging = staging
        self._staging = SweepStaging(jobs, staging)
        self._register = register
        self._now = now

    def submit(self, submission: SweepSubmission) -> SweepRecord:
        """Put a sweep and all of its jobs on record and hand them to their engine; return at once.

        As with a single job, the folders are complete before anything is on record, all jobs are on record
        in the same moment, and only then the engine hears of them.

        Raises InvalidInput, FolderError, StoreError, SubmitError; there is no sweep then. Raises
        EngineUnavailable when it is on record and will be handed over later.
        """
        problems = self._engine_of(submission.spec.engine).check(submission.spec)
        if problems:
            raise InvalidInput(problems)
        sweep, records = self._put_on_record(submission)
        try:
            self._promote(records)
            self._register.hand_over_sweep(records)
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"{error} Sweep {sweep.id} is on record and will be handed over by the next look at it."
            ) from error
        except SubmitError:
            self._remove(sweep.id, [record.id for record in records])
            raise
        except BaseException:
            # Ctrl-C, say: whether the engine has heard of the jobs is not known, see `qjob.service.Service.submit`.
            self._promote(records)
            self._mark_cancelled([record.id for record in records], "The submit was interrupted")
            raise
        return sweep

    def _put_on_record(self, submission: SweepSubmission) -> tuple[SweepRecord, list[JobRecord]]:
        while True:
            sweep, records = self._new_records(submission)
            self._staging.write(sweep, records, submission)
            try:
                if self._store.insert_many(records, sweep):
                    return sweep, records
            except BaseException:
                self._staging.discard(sweep.id, records)
                raise
            self._staging.discard(sweep.id, records)  # somebody got one of these ids in the same microsecond

    def _promote(self, records: Sequence[JobRecord]) -> None:
        for record in records:
            self._job_staging.promote(record.id)

    def _new_records(self, submission: SweepSubmission) -> tuple[SweepRecord, list[JobRecord]]:
        now = self._now()
        spec = submission.spec
        sweep = SweepRecord(
            id=_new_id(now, 0),
            name=spec.name,
            created_at=now,
            points=len(submission.points),
            varied=submission.varied,
            concurrency=submission.concurrency,
            resumed_from=submission.resumed_from,
        )
        like = JobRecord(id=sweep.id, spec=spec, created_at=now)
        like = apply(like, JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=now))
        digits = len(str(submission.points[-1].number))
        records = []
        for place, point in enumerate(submission.points, start=1):
            own = replace(
                spec,
                name=f"{spec.name}-{point.number:0{digits}}",
                hyperparameters=point.hyperparameters,
                copied_from=None if point.checkpoints is None else point.checkpoints.job_id,
                sweep_point=SweepPoint(sweep=sweep.id, number=point.number, concurrency=submission.concurrency),
            )
            records.append(replace(like, id=_new_id(now, place), spec=own))
        return sweep, records

    # Looking

    def folder(self, sweep_id: str) -> SweepFolder:
        """Return the folder of a sweep, whether it is there or not."""
        return sweep_folder(self._jobs, sweep_id)

    def resolve(self, selector: str) -> str:
        """Return the id of the sweep that an id, a unique id prefix or a name (the newest of it) means.

        Raises JobNotFound.
        """
        if self._store.sweep(selector) is not None:
            return selector
        named = self._store.newest_sweep_by_name(selector) if selector else None
        if named is not None:
            return named
        found = self._store.sweep_ids_by_prefix(selector, limit=2) if selector else []
        if len(found) != 1:
            raise JobNotFound(
                f"No sweep, or more than one, has the id, the beginning of an id or the name {selector!r}."
            )
        return found[0]

    def means(self, selector: str) -> str | None:
        """Return the id of the sweep that a selector means among jobs and sweeps, None when it means no sweep.

        Of a name that both have, the newer one is meant.
        """
        try:
            sweep_id = self.resolve(selector)
        except JobNotFound:
            return None
        if selector == sweep_id:
            return sweep_id
        job_id = self._store.newest_by_name(selector)
        if job_id is not None:
            return sweep_id if sweep_id > job_id else None
        is_name = self._store.newest_sweep_by_name(selector) is not None
        return sweep_id if is_name or not self._store.ids_by_prefix(selector, limit=1) else None

    def record(self, sweep_id: str) -> SweepRecord:
        """Return what is known of a sweep; raises JobNotFound."""
        found = self._store.sweep(sweep_id)
        if found is None:
            raise JobNotFound(f"sweep {sweep_id} was removed.")
        return found

    def job_ids(self, sweep_id: str) -> list[str]:
        """Return the ids of its jobs, in the order of their points."""
        return self._store.sweep_jobs(sweep_id)

    def job_records(self, sweep_id: str) -> list[JobRecord]:
        """Return what is known of its jobs now, in the order of their points."""
        self._register.look_active(sweep_id)
        ids = self.job_ids(sweep_id)
        found = self._store.get(ids)
        return [found[each] for each in ids if each in found]

    def counts(self, sweep_id: str) -> Counts:
        """Return how many of its jobs are in which state now."""
        self._register.look_active(sweep_id)
        return self._counts(sweep_id)

    def wait(
        self, sweep_id: str, timeout_s: float | None = None, tell: Callable[[Counts], None] = lambda _: None
    ) -> Counts:
        """Wait until all jobs of a sweep have ended; return how many did in which way.

        ``tell`` is told how the jobs stand, now and whenever some have ended. Raises ResultTimeout after
        ``timeout_s`` seconds (0 = look once; None = never).
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        folder = self.folder(sweep_id)
        with FolderWatch([folder.ended]) as watch:
            known = folder.ended_ids()
            next_look = time.monotonic()
            while True:
                if time.monotonic() >= next_look:
                    next_look = self._look_at_all(sweep_id)
                counts = self._counts(sweep_id)
                tell(counts)
                if not active_in(counts):
                    return counts
                if deadline is not None and time.monotonic() >= deadline:
                    raise ResultTimeout(_too_long(self.record(sweep_id), counts, timeout_s))
                watch.wait(_until(next_look, deadline))
                time.sleep(min(_GATHER_S, _until(next_look, deadline)))
                ended = folder.ended_ids()
                self._register.look(sorted(ended - known))
                known |= ended

    def _look_at_all(self, sweep_id: str) -> float:
        """Look at all jobs that have not ended; return when to do it again, on the monotonic clock."""
        started = time.monotonic()
        self._register.look_active(sweep_id)
        ended = time.monotonic()
        return ended + max(_LOOK_S, _LOOK_SHARE * (ended - started))

    def _counts(self, sweep_id: str) -> Counts:
        counts = self._store.sweep_counts([sweep_id]).get(sweep_id, {})
        if not counts:
            self.record(sweep_id)
        return counts

    # Ending

    def cancel(self, sweep_id: str, reason: str = "") -> Counts:
        """End all jobs that have not ended; return how many are in which state then. Harmless to repeat.

        Raises JobStateError when all have ended, FolderError when the cancellation cannot be written down, and
        EngineUnavailable when it was, and the engine cannot be told now: the next look tells it.
        """
        active = [record for record in self.job_records(sweep_id) if not record.status.ended]
        if not active:
            raise JobStateError(f"sweep {self.record(sweep_id).name} ({sweep_id}): all of its jobs have ended.")
        ids = [record.id for record in active]
        self._mark_cancelled(ids, reason)
        self._engine_of(active[0].spec.engine).cancel([record.ref for record in active if record.ref is not None])
        self._register.look(ids)
        return self._counts(sweep_id)

    def _mark_cancelled(self, ids: Sequence[str], reason: str) -> None:
        mark = CancelMark(time=self._now(), reason=reason)
        try:
            for each in ids:
                folder = JobFolder(self._jobs / each)
                if not folder.cancel_mark.exists():
                    with contextlib.suppress(FileNotFoundError):  # the job is gone
                        folder.write_unsynced_cancel_mark(mark)
            sync_file_system(self._jobs)
        except OSError as error:
            raise FolderError(f"The cancellation cannot be written to {self._jobs}: {error}.") from error

    def delete(self, sweep_id: str) -> None:
        """Remove a sweep and its jobs, with their folders. Raises JobStateError while one of them has not ended."""
        active = active_in(self.counts(sweep_id))
        if active:
            raise JobStateError(
                f"sweep {self.record(sweep_id).name} ({sweep_id}): {active} of its jobs have not ended; "
                "cancel it first, then remove it."
            )
        self._remove(sweep_id, self.job_ids(sweep_id))

    def forget_empty(self, sweep_id: str) -> None:
        """Remove a sweep whose last job was removed; harmless to repeat."""
        if not self.job_ids(sweep_id):
            self._remove(sweep_id, [])

    def discard_abandoned(self) -> None:
        """Remove what submitters that were killed long ago left behind, where it never became a sweep."""
        self._staging.discard_abandoned(lambda sweep_id: self._store.sweep(sweep_id) is not None)

    def _remove(self, sweep_id: str, ids: Sequence[str]) -> None:
        doomed = self._jobs / f".{sweep_id}.deleted"
        shutil.rmtree(doomed, ignore_errors=True)
        try:
            doomed.mkdir(mode=0o700)
            for path in (*(self._jobs / each for each in ids), self.folder(sweep_id).path):
                with contextlib.suppress(FileNotFoundError):
                    path.rename(doomed / path.name)
        except OSError as error:
            raise FolderError(f"sweep {sweep_id} cannot be removed: {error}.") from error
        self._store.delete_sweep(sweep_id)
        shutil.rmtree(doomed, ignore_errors=True)


def _new_id(now: datetime, number: int) -> str:
    """Return an id that comes after the ones of smaller numbers."""
    return naming.job_id(int(now.timestamp() * 1_000_000) + number, secrets.randbits(20))


def _until(next_look: float, deadline: float | None) -> float:
    until = next_look if deadline is None else min(next_look, deadline)
    return max(0.0, until - time.monotonic())


def _too_long(sweep: SweepRecord, counts: Counts, timeout_s: float | None) -> str:
    active = active_in(counts)
    return f"{sweep.name}: after {timeout_s:g} seconds {active} of {sweep.points} jobs have not ended; they go on."
