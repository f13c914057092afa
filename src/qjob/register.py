"""Register: the jobs on record, and what is true of them now.

The one place that writes the record: in the index, and beside it in the folder. It looks at a job's folder, asks
its engine, lets `judge` decide, and puts on record what follows.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from qjob.engine import Engine, Observation, Presence
from qjob.errors import EngineError, EngineUnavailable, FolderError, InvalidInput, StoreError
from qjob.folder import JobFolder, remove_temporaries
from qjob.judge import Findings, judge, judge_unstarted
from qjob.model.event import JobEvent
from qjob.model.record import JobRecord, QueueInfo, apply, with_ref
from qjob.model.status import JobStatus
from qjob.staging import Staging
from qjob.store.store import Store

_UNCERTAIN_GONE_S = 15.0
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
            ref = self._engine_of(record.spec.engine).submit(folder, record.spec)
            return self._update(current, lambda record: with_ref(record, ref))

    def look(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Look at jobs: at their folders, and for those that have left no outcome ask their engine.

        What follows is put on record. Ids that are not on record are left out. A job whose folder is damaged
        stays as it was on record, with a warning, and so does one whose engine is away: neither must hide the
        others.
        """
        records = self._store.get(ids)
        active = [record for record in records.values() if not record.status.ended]
        observations = self._observe([record for record in active if not self._has_outcome(record)])
        for record in active:
            try:
                records[record.id] = self._settle(record, observations.get(record.id))
            except (FolderError, EngineUnavailable, InvalidInput) as error:
                warnings.warn(f"job {record.id}: {error}", RuntimeWarning, stacklevel=3)
        return records

    def request_cancel(self, record: JobRecord) -> JobRecord:
        """Put on record that a job has its cancel mark, and tell its engine."""
        record = self._put(record, judge(record, self._findings(record, None), self._now()))
        if record.ref is not None and not record.status.ended:
            self._engine_of(record.spec.engine).cancel(record.ref)
        return record

    def queue_info(self, record: JobRecord) -> QueueInfo:
        """Return where a waiting job stands and what it waits for."""
        if record.status is not JobStatus.QUEUED or record.ref is None:
            return QueueInfo()
        seen = self._observe([record]).get(record.id)
        if seen is None or seen.presence is not Presence.WAITING:
            return QueueInfo()
        return QueueInfo(position=seen.position, message=seen.message)

    def _has_outcome(self, record: JobRecord) -> bool:
        return self.folder(record.id).outcome.exists()

    def _observe(self, records: Iterable[JobRecord]) -> dict[str, Observation]:
        """Ask each engine once for all its jobs; an engine that is away has no news of any."""
        refs: dict[str, dict[str, str]] = {}
        for record in records:
            if record.ref is not None:
                refs.setdefault(record.spec.engine, {})[record.ref] = record.id
        found: dict[str, Observation] = {}
        for engine, ids in refs.items():
            try:
                seen = self._engine_of(engine).observe(list(ids))
            except (EngineUnavailable, InvalidInput) as error:  # away, or unknown to this version of qjob
                warnings.warn(f"engine {engine!r} has no news: {error}", RuntimeWarning, stacklevel=4)
                continue
            found.update((ids[ref], observation) for ref, observation in seen.items())
        return found

    def _settle(self, record: JobRecord, observation: Observation | None) -> JobRecord:
        """Put on record what the folder and the engine say; hand over a job that no engine has yet."""
        if record.ref is None:
            if not self._staging.promote(record.id):
                return self._never_started(record, _SUBMISSION_LOST)
            if not self._has_outcome(record):
                return self._hand_over_late(record)
        if self._just_waits(record, observation):
            return record
        if record.ref is not None:
            self._engine_of(record.spec.engine).sync(record.ref, self.folder(record.id))
        findings = self._findings(record, observation)
        self._cancel_again(record, findings)
        return self._put(record, judge(record, findings, self._now()))

    def _just_waits(self, record: JobRecord, observation: Observation | None) -> bool:
        """Return whether nothing can have happened to a job: thousands may wait, and are looked at often."""
        waits = observation is not None and observation.presence is Presence.WAITING
        return waits and record.status is JobStatus.QUEUED and not self.folder(record.id).cancel_mark.exists()

    def _hand_over_late(self, record: JobRecord) -> JobRecord:
        try:
            return self.hand_over(record)
        except EngineUnavailable as error:
            warnings.warn(f"job {record.id} is not handed over yet: {error}", RuntimeWarning, stacklevel=4)
            return record
        except EngineError as error:
            return self._never_started(record, str(error))

    def _never_started(self, record: JobRecord, reason: str) -> JobRecord:
        mark = self.folder(record.id).read_cancel_mark()
        return self._put(record, [judge_unstarted(record, mark, reason, self._now())])

    def _findings(self, record: JobRecord, observation: Observation | None) -> Findings:
        folder = self.folder(record.id)
        return Findings(
            events=folder.read_events(),
            outcome=folder.read_outcome(),
            cancel_mark=folder.read_cancel_mark(),
            observation=self._made_certain(record.id, observation),
        )

    def _made_certain(self, job_id: str, observation: Observation | None) -> Observation | None:
        """Take an uncertain GONE for certain when it was seen long enough: a shared disk may lag."""
        if observation is None or observation.presence is not Presence.GONE:
            self._gone_since.pop(job_id, None)
            return observation
        since = self._gone_since.setdefault(job_id, time.monotonic())
        seen_long_enough = time.monotonic() - since >= _UNCERTAIN_GONE_S
        return replace(observation, certain=observation.certain or seen_long_enough)

    def _cancel_again(self, record: JobRecord, findings: Findings) -> None:
        """Tell the engine once more of a cancellation, should the first word have been lost."""
        observation = findings.observation
        if findings.cancel_mark is None or findings.outcome is not None or record.ref is None:
            return
        if observation is not None and observation.presence in (Presence.WAITING, Presence.RUNNING):
            with contextlib.suppress(EngineUnavailable):  # the next look tries again
                self._engine_of(record.spec.engine).cancel(record.ref)

    def _put(self, record: JobRecord, events: Sequence[JobEvent]) -> JobRecord:
        """Apply events to a record that may have moved on meanwhile, and put the result on record."""

        def move(current: JobRecord) -> JobRecord:
            for event in events:
                current = apply(current, event)
            return current

        return self._update(record, move)

    def _update(self, record: JobRecord, move: Callable[[JobRecord], JobRecord]) -> JobRecord:
        folder = self.folder(record.id)
        while True:
            moved = move(record)
            if moved is record:
                return record
            try:
                done = self._store.change(moved, record.version, lambda new: _write(folder, new))
            except (StoreError, OSError) as error:
                return _unwritten(moved, error)
            if done:
                return moved
            current = self._store.get([record.id]).get(record.id)
            if current is None:
                return moved  # deleted by another process
            record = current


def _write(folder: JobFolder, record: JobRecord) -> None:
    """Write the folder's copy of the record, as far as the folder is still there."""
    if not folder.path.is_dir():
        return
    folder.write_record(record)
    if record.status.ended:
        folder.remove_environment()
        remove_temporaries(folder.path)


def _unwritten(record: JobRecord, error: Exception) -> JobRecord:
    """Return what is true although it could not be put on record: a full disk must not hide it."""
    warnings.warn(
        f"job {record.id} is {record.status}, which cannot be put on record: {error}", RuntimeWarning, stacklevel=2
    )
    return record
