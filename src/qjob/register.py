"""Register: the jobs on record, and what is true of them now.

The one place that writes the record: in the index, and beside it in the folder. It looks at a job's folder, asks
its engine, lets `judge` decide, and puts on record what follows.
"""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from qjob.engine import Engine, Observation, Presence
from qjob.errors import (
    EngineError,
    EngineUnavailable,
    FolderError,
    InvalidInput,
    MissingExtra,
    SettingsError,
    StoreError,
)
from qjob.folder import JobFolder, look_anew, remove_temporaries
from qjob.judge import Findings, judge, judge_unstarted
from qjob.model.event import JobEvent
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, QueueInfo, apply, with_ref
from qjob.model.status import JobStatus
from qjob.staging import Staging
from qjob.store.store import ActiveJob, Store
from qjob.sweep_folder import sweep_folder

T = TypeVar("T")
_UNCERTAIN_GONE_S = 15.0
_BATCH = 200  # jobs that are put on record together: nobody else can write meanwhile, some hundredths of a second
_NO_NEWS = (EngineUnavailable, InvalidInput, SettingsError, MissingExtra, OSError)
"""What says nothing of a job: its engine is away, not installed or not set up here, or unknown to this qjob."""
_SUBMISSION_LOST = "The submit was cut short and the job's folder is gone; submit it again."


class Register:
    """Keeps the records of jobs true."""

    def __init__(
        self,
        *,
        store: Store,
        engine_of: Callable[[str], Engine],
        jobs: Path,
        staging: Staging,
        now: Callable[[], datetime],
    ) -> None:
        """Keep the records in a store, of the folders in the directory ``jobs``."""
        self._store = store
        self._engine_of = engine_of
        self._jobs = jobs
        self._staging = staging
        self._now = now
        self._gone_since: dict[str, float] = {}

    def folder(self, job_id: str) -> JobFolder:
        """Return the folder of a job, whether it is there or not."""
        return JobFolder(self._jobs / job_id)

    def hand_over(self, record: JobRecord) -> JobRecord:
        """Give the job to its engine; once, whoever tries, and as often as it takes.

        Raises SubmitError or EngineUnavailable.
        """
        folder = self.folder(record.id)
        with folder.submitting() as mine:
            current = self._store.get([record.id]).get(record.id, record)
            if not mine or current.ref is not None or current.status.ended:
                return current
            (ref,) = self._engine_of(record.spec.engine).submit([(folder, record.spec)])
            return self._update(current, lambda record: with_ref(record, ref))

    def hand_over_sweep(self, records: Sequence[JobRecord]) -> None:
        """Give jobs of one sweep to their engine with one call; once, whoever tries, and as often as it takes.

        Those that it has are left alone. Raises SubmitError or EngineUnavailable.
        """
        first = records[0].spec
        if first.sweep_point is None:
            raise ValueError(f"job {records[0].id} is of no sweep")
        with sweep_folder(self._jobs, first.sweep_point.sweep).submitting() as mine:
            without_ref = {job.id for job in self._store.active(first.sweep_point.sweep) if job.ref is None}
            wanted = [record for record in records if record.id in without_ref]
            if not mine or not wanted:
                return
            jobs = [(self.folder(record.id), record.spec) for record in wanted]
            refs = self._engine_of(first.engine).submit(jobs)
            # The folders' own copies follow with the first event: that is no news which they lack.
            moved = [(with_ref(record, ref), record.version) for record, ref in zip(wanted, refs, strict=True)]
            self._store.change_many(moved, lambda _: None)

    def look(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Look at jobs: at their folders, and for those that have left no outcome ask their engine.

        What follows is put on record. Ids that are not on record are left out. A job whose folder is damaged
        stays as it was on record, with a warning, and so does one whose engine is away: neither must hide the
        others.
        """
        records = self._store.get(ids)
        active = [record for record in records.values() if not record.status.ended]
        observations = self._observe(list(map(_active_job, active)))
        return records | self._settle(active, observations)

    def look_active(self, sweep: str | None = None) -> None:
        """Look at all jobs that have not ended, or at those of one sweep.

        The records of those that just wait are not even read: there may be very many.
        """
        active = self._store.active(sweep)
        observations = self._observe(active)
        moving = [job.id for job in active if not self._just_waits(job, observations.get(job.id))]
        for ids in _batches(moving):
            records = self._store.get(ids).values()
            self._settle([record for record in records if not record.status.ended], observations)

    def request_cancel(self, record: JobRecord) -> JobRecord:
        """Put on record that a job has its cancel mark, and tell its engine."""
        record = self._put(record, judge(record, self._findings(record, None), self._now()))
        if record.ref is not None and not record.status.ended:
            self._engine_of(record.spec.engine).cancel([record.ref])
        return record

    def queue_info(self, record: JobRecord) -> QueueInfo:
        """Return where a waiting job stands and what it waits for."""
        if record.status is not JobStatus.QUEUED or record.ref is None:
            return QueueInfo()
        seen = self._observe([_active_job(record)]).get(record.id)
        if seen is None or seen.presence is not Presence.WAITING:
            return QueueInfo()
        return QueueInfo(position=seen.position, message=seen.message)

    def _has_outcome(self, job_id: str) -> bool:
        return self._has(job_id, "outcome.json")

    def _has(self, job_id: str, name: str) -> bool:
        """Return whether a file is in a job's folder; asked for thousands at a time, so without a Path or an error."""
        return os.access(f"{self._jobs}/{job_id}/{name}", os.F_OK)

    def _observe(self, jobs: Iterable[ActiveJob]) -> dict[str, Observation]:
        """Ask each engine once for all its jobs without an outcome; an engine that is away has no news of any."""
        refs: dict[str, dict[str, str]] = {}
        for job in jobs:
            if job.ref is not None and not self._has_outcome(job.id):
                refs.setdefault(job.engine, {})[job.ref] = job.id
        found: dict[str, Observation] = {}
        for engine, ids in refs.items():
            try:
                seen = self._engine_of(engine).observe(list(ids))
            except _NO_NEWS as error:
                warnings.warn(f"engine {engine!r} has no news: {error}", RuntimeWarning, stacklevel=4)
                continue
            found.update((ids[ref], observation) for ref, observation in seen.items())
        return found

    def _just_waits(self, job: ActiveJob, observation: Observation | None) -> bool:
        """Return whether nothing can have happened to a job: thousands may wait, and are looked at often.

        An engine's word may be some seconds old; a job that has begun since has events.
        """
        if observation is None or observation.presence is not Presence.WAITING or job.status is not JobStatus.QUEUED:
            return False
        return not self._has(job.id, "cancel.json") and not self._has(job.id, "events.jsonl")

    def _settle(self, records: Sequence[JobRecord], observations: Mapping[str, Observation]) -> dict[str, JobRecord]:
        """Put on record what the folders and the engines say; hand over the jobs that no engine has yet."""
        settled = self._hand_over_late([record for record in records if record.ref is None])
        others = [record for record in records if record.id not in settled]
        for batch in _batches(others):
            settled |= self._put_many([(record, self._news(record, observations.get(record.id))) for record in batch])
        self._cancel_again(others, observations)
        return settled

    def _hand_over_late(self, records: Sequence[JobRecord]) -> dict[str, JobRecord]:
        """Hand over jobs, those of a sweep together; leave out those that were handed over, and ended, before."""
        settled: dict[str, JobRecord] = {}
        ready: dict[str, list[JobRecord]] = {}
        for record in records:
            if not self._staging.promote(record.id):
                settled[record.id] = self._never_started(record, _SUBMISSION_LOST)
            elif not self._has_outcome(record.id):
                together = record.id if record.spec.sweep_point is None else record.spec.sweep_point.sweep
                ready.setdefault(together, []).append(record)
        for group in ready.values():
            settled |= self._hand_over_group(group)
        return settled

    def _hand_over_group(self, records: Sequence[JobRecord]) -> dict[str, JobRecord]:
        """Hand over one job, or several of one sweep."""
        waiting = {record.id: record for record in records}
        try:
            if records[0].spec.sweep_point is None:
                return {records[0].id: self.hand_over(records[0])}
            self.hand_over_sweep(records)
            return waiting | self._store.get(list(waiting))
        except _NO_NEWS as error:
            warnings.warn(f"{_called(records)} is not handed over yet: {error}", RuntimeWarning, stacklevel=5)
            return waiting
        except (EngineError, FolderError) as error:
            return {record.id: self._never_started(record, str(error)) for record in records}

    def _never_started(self, record: JobRecord, reason: str) -> JobRecord:
        try:
            mark = self.folder(record.id).read_cancel_mark()
        except FolderError as error:
            _warn_of(record, error)
            return record
        return self._put(record, [judge_unstarted(record, mark, reason, self._now())])

    def _news(self, record: JobRecord, observation: Observation | None) -> list[JobEvent]:
        """Return what has happened to a job that an engine has, or had."""
        if self._just_waits(_active_job(record), observation):
            return []
        try:
            if record.ref is not None:
                self._engine_of(record.spec.engine).sync(record.ref, self.folder(record.id))
            findings = self._findings(record, observation)
        except (FolderError, *_NO_NEWS) as error:
            _warn_of(record, error)
            return []
        return judge(record, findings, self._now())

    def _findings(self, record: JobRecord, observation: Observation | None) -> Findings:
        folder = self.folder(record.id)
        look_anew(folder.path)
        outcome = folder.read_outcome()
        return Findings(
            events=folder.read_events(),
            outcome=outcome,
            interruption=self._interruption(folder, observation) if outcome is None else None,
            cancel_mark=folder.read_cancel_mark(),
            observation=self._made_certain(record.id, observation),
        )

    def _interruption(self, folder: JobFolder, observation: Observation | None) -> Outcome | None:
        """Return the last words of a job's last attempt, where they may matter."""
        is_gone = observation is not None and observation.presence is Presence.GONE
        return folder.read_interruption() if is_gone else None

    def _made_certain(self, job_id: str, observation: Observation | None) -> Observation | None:
        """Take an uncertain GONE for certain when it was seen long enough: a shared disk may lag."""
        if observation is None or observation.presence is not Presence.GONE:
            self._gone_since.pop(job_id, None)
            return observation
        since = self._gone_since.setdefault(job_id, time.monotonic())
        seen_long_enough = time.monotonic() - since >= _UNCERTAIN_GONE_S
        return replace(observation, certain=observation.certain or seen_long_enough)

    def _cancel_again(self, records: Sequence[JobRecord], observations: Mapping[str, Observation]) -> None:
        """Tell the engines once more of cancellations, should the first word have been lost; one call for many."""
        refs: dict[str, list[str]] = {}
        for record in records:
            seen = observations.get(record.id)
            alive = seen is not None and seen.presence in (Presence.WAITING, Presence.RUNNING)
            if alive and record.ref is not None and self._wants_end(record.id):
                refs.setdefault(record.spec.engine, []).append(record.ref)
        for engine, wanted in refs.items():
            with contextlib.suppress(*_NO_NEWS):  # the next look tries again
                self._engine_of(engine).cancel(wanted)

    def _wants_end(self, job_id: str) -> bool:
        return self._has(job_id, "cancel.json") and not self._has_outcome(job_id)

    def _put_many(self, news: Sequence[tuple[JobRecord, Sequence[JobEvent]]]) -> dict[str, JobRecord]:
        """Apply events to records and put the results on record, all at once where nobody else is at it too."""
        moved = {record.id: _after(record, events) for record, events in news}
        changes = [(moved[record.id], record.version) for record, _ in news if moved[record.id] is not record]
        done: set[str] = set()
        if len(changes) > 1:
            with contextlib.suppress(StoreError, OSError):  # then each for itself: one must not hold up the others
                done = self._store.change_many(changes, self._write)
        for record, events in news:
            if moved[record.id] is not record and record.id not in done:
                moved[record.id] = self._put(record, events)
        return moved

    def _put(self, record: JobRecord, events: Sequence[JobEvent]) -> JobRecord:
        """Apply events to a record that may have moved on meanwhile, and put the result on record."""
        return self._update(record, lambda current: _after(current, events))

    def _update(self, record: JobRecord, move: Callable[[JobRecord], JobRecord]) -> JobRecord:
        while True:
            moved = move(record)
            if moved is record:
                return record
            try:
                done = self._store.change(moved, record.version, self._write)
            except (StoreError, OSError) as error:
                return _unwritten(moved, error)
            if done:
                return moved
            current = self._store.get([record.id]).get(record.id)
            if current is None:
                return moved  # deleted by another process
            record = current

    def _write(self, record: JobRecord) -> None:
        """Write the folder's copy of the record, as far as the folder is still there."""
        folder = self.folder(record.id)
        if not folder.path.is_dir():
            return
        folder.write_record(record)
        if record.status.ended:
            folder.remove_environment()
            remove_temporaries(folder.path)


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + _BATCH] for start in range(0, len(items), _BATCH))


def _active_job(record: JobRecord) -> ActiveJob:
    return ActiveJob(record.id, record.status, record.spec.engine, record.ref)


def _after(record: JobRecord, events: Iterable[JobEvent]) -> JobRecord:
    for event in events:
        record = apply(record, event)
    return record


def _called(records: Sequence[JobRecord]) -> str:
    point = records[0].spec.sweep_point
    return f"job {records[0].id}" if point is None else f"sweep {point.sweep}"


def _warn_of(record: JobRecord, error: Exception) -> None:
    warnings.warn(f"job {record.id}: {error}", RuntimeWarning, stacklevel=5)


def _unwritten(record: JobRecord, error: Exception) -> JobRecord:
    """Return what is true although it could not be put on record: a full disk must not hide it."""
    warnings.warn(
        f"job {record.id} is {record.status}, which cannot be put on record: {error}", RuntimeWarning, stacklevel=2
    )
    return record
