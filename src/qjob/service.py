"""Service: the use cases of qjob. Everything that happens to a job happens here, and nowhere else."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qjob.download import copy_results
from qjob.engine import Engine, Observation, Presence
from qjob.errors import (
    AmbiguousJob,
    EngineError,
    EngineUnavailable,
    FolderError,
    InvalidInput,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobStateError,
    QjobError,
    ResultTimeout,
    StoreError,
)
from qjob.folder import CancelMark, JobFolder, remove_temporaries
from qjob.judge import Findings, judge
from qjob.logs import LogPiece, LogReader
from qjob.model import naming
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.event import JobEvent
from qjob.model.metrics import MetricsParser
from qjob.model.naming import ARN_PREFIX, ID_PATTERN
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, QueueInfo, apply, get_job, with_ref
from qjob.model.spec import JobSpec
from qjob.model.status import EventType, JobStatus
from qjob.runtime import read_persisted
from qjob.staging import Checkpoints, Staging, Submission
from qjob.store.store import Query, Store
from qjob.watch import FolderWatch

_LONGEST_LOOK_S = 1.0  # an engine's word that a job is gone comes by looking, not by waking
_UNCERTAIN_GONE_S = 15.0
_TRACEBACK_LINES = 12


class Service:
    """The use cases. One object serves a process; several processes need no word between them."""

    def __init__(
        self,
        *,
        store: Store,
        engine_of: Callable[[str], Engine],
        jobs: Path,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Work on the jobs in a directory.

        Args:
            store: the index over them.
            engine_of: returns the engine of a name; raises InvalidInput for one that there is not.
            jobs: the directory of the job folders.
            now: the clock.
        """
        self._store = store
        self._engine_of = engine_of
        self._jobs = jobs
        self._staging = Staging(jobs)
        self._now = now
        self._gone_since: dict[str, float] = {}

    # Submitting

    def check(self, spec: JobSpec) -> None:
        """Raise InvalidInput with every reason why the spec's engine cannot run it."""
        problems = self._engine_of(spec.engine).check(spec)
        if problems:
            raise InvalidInput(problems)

    def submit(self, submission: Submission) -> JobRecord:
        """Put a job on record and hand it to its engine; return at once.

        The folder is complete before the job is on record, and the job is on record before the engine
        hears of it. A process that is killed in between leaves either nothing that counts, or a job that
        the next look hands over.

        Raises InvalidInput, StoreError, SubmitError; there is no job then. Raises EngineUnavailable when
        the job is on record and will be handed over later.
        """
        self.check(submission.spec)
        record = self._new_record(submission.spec)
        self._staging.write(record, submission, self._checkpoints_for(submission.spec))
        try:
            while not self._store.insert(record):
                record = self._with_another_id(record)
        except BaseException:
            self._staging.discard(record.id)
            raise
        self._staging.promote(record.id)
        try:
            return self._hand_over(record)
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"{error} Job {record.id} is on record and will be handed over by the next look at it."
            ) from error
        except BaseException:
            self._forget(record.id)
            raise

    def _checkpoints_for(self, spec: JobSpec) -> Checkpoints | None:
        if spec.copied_from is None:
            return None
        other = self.record(spec.copied_from)
        directory = self.folder(other.id).checkpoints
        return Checkpoints(job_id=other.id, job_name=other.spec.name, directory=directory)

    def _new_record(self, spec: JobSpec) -> JobRecord:
        now = self._now()
        record = JobRecord(id=_new_id(now), spec=spec, created_at=now)
        return apply(record, JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=now))

    def _with_another_id(self, record: JobRecord) -> JobRecord:
        """Return the record under a new id: somebody got this very one in the same microsecond."""
        another = replace(record, id=_new_id(self._now()))
        self._staging.rename(record.id, another)
        return another

    def _hand_over(self, record: JobRecord) -> JobRecord:
        """Give the job to its engine; once, whoever tries, and as often as it takes."""
        folder = self.folder(record.id)
        with folder.submitting() as mine:
            current = self._store.get([record.id]).get(record.id, record)
            if not mine or current.ref is not None or current.status.ended:
                return current
            ref = self._engine_of(record.spec.engine).submit(folder, record.spec)
            return self._update(current, lambda record: with_ref(record, ref))

    def _forget(self, job_id: str) -> None:
        self._store.delete(job_id)
        shutil.rmtree(self.folder(job_id).path, ignore_errors=True)

    # Looking

    def folder(self, job_id: str) -> JobFolder:
        """Return the folder of a job, whether it is there or not."""
        return JobFolder(self._jobs / job_id)

    def resolve(self, selector: str) -> str:
        """Return the id of the job that an id, a unique id prefix, a name (the newest of it) or an ARN means.

        Raises JobNotFound or AmbiguousJob.
        """
        wanted = selector.removeprefix(ARN_PREFIX)
        if ID_PATTERN.fullmatch(wanted) and self._store.get([wanted]):
            return wanted
        if not selector:
            raise JobNotFound("an empty text is no job: give an id, the beginning of one, a name or an ARN.")
        named = self._store.newest_by_name(selector)
        if named is not None:
            return named
        found = self._store.ids_by_prefix(wanted, limit=3) if wanted == selector else []
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousJob(f"{selector!r} is the beginning of several jobs' ids ({', '.join(found)}, …).")
        raise JobNotFound(f"No job has the id, the beginning of an id, the name or the ARN {selector!r}.")

    def record(self, selector: str) -> JobRecord:
        """Return what is known of a job now; raises JobNotFound."""
        wanted = self.resolve(selector)
        return self.look([wanted])[wanted]

    def find(self, query: Query) -> list[JobRecord]:
        """Return the jobs that match now, the newest first."""
        self.look(self._store.active_ids())
        return self._store.find(query)

    def look(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Look at jobs: at their folders, and for those that have left no outcome ask their engine.

        What follows is put on record. Ids that are not on record are left out.
        """
        records = self._store.get(ids)
        active = [record for record in records.values() if not record.status.ended]
        observations = self._observe([record for record in active if not self._has_outcome(record)])
        for record in active:
            records[record.id] = self._settle(record, observations.get(record.id))
        return records

    def metadata(self, selector: str) -> dict[str, Any]:
        """Return what GetJob would say of a job now, ``queueInfo`` included."""
        record = self.record(selector)
        return get_job(record, str(self.folder(record.id).path), self._queue_info(record))

    def queue_info(self, job_id: str) -> QueueInfo:
        """Return where a waiting job stands and what it waits for."""
        return self._queue_info(self.record(job_id))

    def _queue_info(self, record: JobRecord) -> QueueInfo:
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
            except EngineUnavailable as error:
                warnings.warn(f"engine {engine!r} has no news: {error}", RuntimeWarning, stacklevel=4)
                continue
            found.update((ids[ref], observation) for ref, observation in seen.items())
        return found

    def _settle(self, record: JobRecord, observation: Observation | None) -> JobRecord:
        """Put on record what the folder and the engine say; hand over a job that no engine has yet."""
        if record.ref is None and not self._staging.promote(record.id):
            return self._put(record, [_submission_lost(self._now())])
        if record.ref is None and not self._has_outcome(record):
            return self._hand_over_late(record)
        if self._just_waits(record, observation):
            return record
        findings = self._findings(record, observation)
        self._cancel_again(record, findings)
        return self._put(record, judge(record, findings, self._now()))

    def _just_waits(self, record: JobRecord, observation: Observation | None) -> bool:
        """Return whether nothing can have happened to a job: thousands may wait, and are looked at often."""
        waits = observation is not None and observation.presence is Presence.WAITING
        return waits and record.status is JobStatus.QUEUED and not self.folder(record.id).cancel_mark.exists()

    def _hand_over_late(self, record: JobRecord) -> JobRecord:
        try:
            return self._hand_over(record)
        except EngineUnavailable:
            return record
        except EngineError as error:
            now = self._now()
            return self._put(record, [JobEvent(type=EventType.FAILED, time=now, message=str(error))])

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

    # Waiting

    def wait(self, job_id: str, timeout_s: float | None = None, interval_s: float = 5.0) -> JobRecord:
        """Return the job's record when it has ended.

        The end of the job wakes this; ``interval_s`` is the longest time between two looks.
        Raises ResultTimeout after ``timeout_s`` seconds (0 = look once; None = never).
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        with FolderWatch([self.folder(job_id).path]) as watch:
            while True:
                record = self._looked(job_id)
                if record.status.ended:
                    return record
                left_s = _LONGEST_LOOK_S if deadline is None else deadline - time.monotonic()
                if left_s <= 0:
                    raise ResultTimeout(
                        f"{record.spec.name}: Polling for job completion timed out after "
                        f"{timeout_s:g} seconds; it is {record.status}."
                    )
                self._doze(watch, job_id, min(left_s, interval_s, _LONGEST_LOOK_S))

    def _looked(self, job_id: str) -> JobRecord:
        found = self.look([job_id]).get(job_id)
        if found is None:
            raise JobNotFound(f"job {job_id} was removed.")
        return found

    def _doze(self, watch: FolderWatch, job_id: str, timeout_s: float) -> None:
        """Wait for the outcome: other changes in the folder need no look."""
        deadline = time.monotonic() + timeout_s
        outcome = self.folder(job_id).outcome
        while not outcome.exists() and (left_s := deadline - time.monotonic()) > 0:
            watch.wait(left_s)

    # What jobs leave

    def result(self, job_id: str, *, allow_pickle: bool = False) -> dict[str, Any]:
        """Return what an ended job saved; ``{}`` when it saved nothing.

        Raises JobFailed, JobCancelled, ResultError.
        """
        record = self._looked(job_id)
        self._raise_unless_completed(record)
        results = self.folder(job_id).results / "results.json"
        return read_persisted(results, allow_pickle) if results.exists() else {}

    def download(self, job_id: str, extract_to: Path) -> Path:
        """Copy an ended job's results into ``extract_to/<job name>/``; return that directory.

        Raises FolderError when something else is there; JobFailed or JobCancelled, after the copy, when
        the job did not complete: what it saved until then may be all the more precious.
        """
        record = self._looked(job_id)
        if not record.status.ended:
            raise JobStateError(f"job {record.spec.name} is {record.status}: its results come when it ends.")
        target = copy_results(self.folder(job_id).results, extract_to / record.spec.name)
        self._raise_unless_completed(record)
        return target

    def raise_if_failed(self, job_id: str) -> None:
        """Raise JobFailed, with the reason and the end of the traceback, when the job has FAILED."""
        record = self._looked(job_id)
        if record.status is JobStatus.FAILED:
            self._raise_unless_completed(record)

    def outcome(self, job_id: str) -> Outcome | None:
        """Return what the runner left, if it did."""
        return self.folder(job_id).read_outcome()

    def _raise_unless_completed(self, record: JobRecord) -> None:
        if record.status is JobStatus.COMPLETED:
            return
        if record.status is JobStatus.CANCELLED:
            raise JobCancelled(f"Job {record.spec.name} ({record.id}) is CANCELLED: {record.failure_reason}")
        lines = [f"Job {record.spec.name} ({record.id}) is {record.status}: {record.failure_reason}"]
        raise JobFailed("\n".join([*lines, *self._last_words(record.id)]))

    def _last_words(self, job_id: str) -> list[str]:
        try:
            outcome = self.outcome(job_id)
        except FolderError:
            return []
        trace = (outcome.traceback or "") if outcome is not None else ""
        return trace.rstrip().splitlines()[-_TRACEBACK_LINES:]

    def log(self, job_id: str, instances: Sequence[int] | None = None) -> LogReader:
        """Return a reader of the job's output, of all instances or of some."""
        count = self._looked(job_id).spec.instance_count
        wanted = range(count) if instances is None else instances
        unknown = [number for number in wanted if number not in range(count)]
        if unknown:
            raise InvalidInput(f"instance {unknown[0]}: the job has instances 0 to {count - 1}.")
        return LogReader(self.folder(job_id), list(wanted))

    def follow(
        self,
        job_id: str,
        read: Callable[[bool], Iterator[LogPiece]],
        interval_s: float = 5.0,
        waiting: Callable[[QueueInfo], None] = lambda _: None,
    ) -> Iterator[LogPiece]:
        """Yield the job's output as it comes, until the job has ended.

        Args:
            job_id: the job.
            read: returns what is new; its argument says whether that is the last call.
            interval_s: the longest time between two looks at the job.
            waiting: told what a queued job waits for, now and at every look.
        """
        folder = self.folder(job_id)
        with FolderWatch([folder.path, folder.logs]) as watch:
            while True:
                record = self._looked(job_id)
                if record.status is JobStatus.QUEUED:
                    waiting(self._queue_info(record))
                yield from read(record.status.ended)
                if record.status.ended:
                    return
                looked_at = time.monotonic()
                longest_s = min(interval_s, _LONGEST_LOOK_S)
                while not folder.outcome.exists() and time.monotonic() - looked_at < longest_s:
                    watch.wait(longest_s - (time.monotonic() - looked_at))
                    yield from read(False)

    def metrics(
        self,
        job_id: str,
        metric_type: MetricType = MetricType.TIMESTAMP,
        statistic: MetricStatistic = MetricStatistic.MAX,
    ) -> dict[str, list[Any]]:
        """Return the metrics that the job has logged until now, as columns; see `qjob.model.metrics`."""
        record = self._looked(job_id)
        parser = MetricsParser(metric_type, statistic)
        reader = self.log(job_id)
        for data, time_of in reader.blocks(final=record.status.ended):
            parser.feed(data, time_of)
        return parser.columns()

    # Ending

    def cancel(self, job_id: str, reason: str = "") -> JobRecord:
        """End a job and all that it started; return its record, CANCELLING or already CANCELLED.

        Harmless to repeat until the job has ended; then raises JobStateError.
        """
        record = self._looked(job_id)
        if record.status.ended:
            raise JobStateError(f"job {record.spec.name} ({job_id}) is {record.status}: it cannot be cancelled.")
        folder = self.folder(job_id)
        if not folder.cancel_mark.exists():
            folder.write_cancel_mark(CancelMark(time=self._now(), reason=reason))
        record = self._put(record, judge(record, self._findings(record, None), self._now()))
        if record.status is JobStatus.COMPLETED or record.status is JobStatus.FAILED:
            raise JobStateError(f"job {record.spec.name} ({job_id}) is {record.status}: it ended just now.")
        if record.ref is not None and not record.status.ended:
            self._engine_of(record.spec.engine).cancel(record.ref)
        return self._looked(job_id)

    def delete(self, job_id: str) -> None:
        """Remove an ended job: its folder and its row. Raises JobStateError while it has not ended."""
        record = self._looked(job_id)
        if not record.status.ended:
            raise JobStateError(
                f"job {record.spec.name} ({job_id}) is {record.status}: cancel it first, then remove it."
            )
        doomed = self._jobs / f".{job_id}.deleted"
        with contextlib.suppress(FileNotFoundError):
            self.folder(job_id).path.rename(doomed)
        self._store.delete(job_id)
        shutil.rmtree(doomed, ignore_errors=True)

    def reindex(self) -> Reindexed:
        """Build the index anew from the folders; a damaged index is set aside, not removed."""
        problems: list[str] = []

        def read(known: set[str]) -> Iterator[JobRecord]:
            for job_id in known:
                self._staging.promote(job_id)
            for path in sorted(self._jobs.iterdir()):
                if path.name.startswith("."):
                    continue
                try:
                    yield self._record_in(JobFolder(path))
                except QjobError as error:
                    problems.append(str(error))

        jobs = self._store.rebuild(read)
        self._staging.discard_abandoned(lambda job_id: bool(self._store.get([job_id])))
        return Reindexed(jobs=jobs, problems=tuple(problems))

    def _record_in(self, folder: JobFolder) -> JobRecord:
        """Return the record that a folder tells of; from the spec alone, should record.json be lost."""
        try:
            return folder.read_record()
        except FolderError:
            spec = folder.read_spec()
            created_at = datetime.fromtimestamp(folder.spec.stat().st_mtime, UTC)
            record = JobRecord(id=folder.id, spec=spec, created_at=created_at)
            return apply(record, JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=created_at))


@dataclass(frozen=True, kw_only=True)
class Reindexed:
    """What a reindex did.

    Attributes:
        jobs: how many jobs are in the new index.
        problems: for each folder that could not be read, why.
    """

    jobs: int
    problems: tuple[str, ...]


def _new_id(now: datetime) -> str:
    return naming.job_id(int(now.timestamp() * 1_000_000), secrets.randbits(20))


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
    warnings.warn(f"job {record.id} is {record.status}, which cannot be put on record: {error}", stacklevel=2)
    return record


def _submission_lost(now: datetime) -> JobEvent:
    message = "The submit was cut short and the job's folder is gone; submit it again."
    return JobEvent(type=EventType.FAILED, time=now, message=message)
