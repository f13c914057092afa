"""Service: the use cases of qjob. Everything that happens to a job happens here, and nowhere else."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qjob.download import copy_results
from qjob.engine import Engine, Fact
from qjob.errors import (
    AmbiguousJob,
    EngineUnavailable,
    FolderError,
    InvalidInput,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobStateError,
    ResultTimeout,
    SubmitError,
)
from qjob.folder import CancelMark, JobFolder
from qjob.logs import LogPiece, LogReader
from qjob.metric_log import MetricLog, MetricMemory
from qjob.model import naming
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.event import JobEvent
from qjob.model.metric_series import MetricSeries
from qjob.model.metrics import MetricsParser
from qjob.model.naming import ARN_PREFIX, ID_PATTERN
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, QueueInfo, apply, get_job
from qjob.model.spec import JobSpec
from qjob.model.status import EventType, JobStatus
from qjob.model.sweep import SweepRecord, SweepSummary
from qjob.register import Register
from qjob.runtime import PersistedJobDataFormat, read_persisted
from qjob.runtime.document import read_document
from qjob.staging import Checkpoints, Staging, Submission
from qjob.store.folders import read_folders
from qjob.store.store import Query, Store
from qjob.sweeps import Sweeps
from qjob.watch import FolderWatch

_LONGEST_LOOK_S = 1.0  # an engine's word that a job is gone comes by looking, not by waking
_SHORTEST_LOOK_S = 0.02  # whatever interval a caller wants: a look is not for free
_TRACEBACK_LINES = 12


class Service:
    """The use cases. One object serves a process; several processes need no word between them.

    Attributes:
        sweeps: the use cases of many jobs at once.
    """

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
        self._metric_memory = MetricMemory()
        self._register = Register(store=store, engine_of=engine_of, jobs=jobs, staging=self._staging, now=now)
        self.sweeps = Sweeps(
            store=store, engine_of=engine_of, jobs=jobs, staging=self._staging, register=self._register, now=now
        )

    # Submitting

    def check(self, spec: JobSpec) -> None:
        """Raise InvalidInput with every reason why the spec's engine cannot run it."""
        problems = self._engine_of(spec.engine).check(spec)
        if problems:
            raise InvalidInput(problems)

    def describe_engine(self, name: str) -> list[Fact]:
        """Return what an engine offers now; raises InvalidInput for one that there is not, and EngineUnavailable."""
        return self._engine_of(name).describe()

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
            return self._register.hand_over(record)
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"{error} Job {record.id} is on record and will be handed over by the next look at it."
            ) from error
        except SubmitError:
            self._forget(record.id)
            raise
        except BaseException:
            # Ctrl-C, say: whether the engine has heard of the job is not known. The mark sees to it that
            # it does not run, and the next look puts that on record.
            self._mark_cancelled(self.folder(record.id), "The submit was interrupted")
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

    def _forget(self, job_id: str) -> None:
        self._store.delete(job_id)
        shutil.rmtree(self.folder(job_id).path, ignore_errors=True)

    # Looking

    def folder(self, job_id: str) -> JobFolder:
        """Return the folder of a job, whether it is there or not."""
        return self._register.folder(job_id)

    def resolve(self, selector: str) -> str:
        """Return the id of the job that an id, a unique id prefix, a name (the newest of it) or an ARN means.

        Raises JobNotFound or AmbiguousJob.
        """
        wanted = selector.removeprefix(ARN_PREFIX)
        if ID_PATTERN.fullmatch(wanted) and self._store.has(wanted):
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
        sweep_id = self.sweeps.means(selector)
        if sweep_id is not None:
            raise JobNotFound(
                f"{selector!r} is a sweep, and one job is wanted: 'qjob ls --sweep {selector}' has their names and ids."
            )
        raise JobNotFound(f"No job has the id, the beginning of an id, the name or the ARN {selector!r}.")

    def record(self, selector: str) -> JobRecord:
        """Return what is known of a job now; raises JobNotFound."""
        wanted = self.resolve(selector)
        return self.look([wanted])[wanted]

    def find(self, query: Query) -> list[JobRecord]:
        """Return the jobs that match now, the newest first."""
        self._register.look_active()
        return self._store.find(query)

    def overview(self, query: Query) -> list[JobRecord | SweepSummary]:
        """Return the jobs that match now and, in the place of those that are of sweeps, the sweeps; newest first."""
        self._register.look_active()
        jobs = self._store.find(replace(query, alone=True))
        found: list[JobRecord | SweepSummary] = [*jobs, *self._store.summaries(query)]
        return sorted(found, key=lambda each: each.id, reverse=True)[: query.limit]

    def look(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        """Return what is known of jobs now; ids that are not on record are left out."""
        return self._register.look(ids)

    def metadata(self, selector: str) -> dict[str, Any]:
        """Return what GetJob would say of a job now, ``queueInfo`` included."""
        record = self.record(selector)
        return get_job(record, str(self.folder(record.id).path), self._register.queue_info(record))

    def queue_info(self, job_id: str) -> QueueInfo:
        """Return where a waiting job stands and what it waits for."""
        return self._register.queue_info(self.record(job_id))

    # Waiting

    def wait(self, job_id: str, timeout_s: float | None = None, interval_s: float = 5.0) -> JobRecord:
        """Return the job's record when it has ended.

        The end of the job wakes this; ``interval_s`` is the longest time between two looks.
        Raises ResultTimeout after ``timeout_s`` seconds (0 = look once; None = never), and FolderError when
        the job's folder is damaged.
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
                next_look = self._next_look(job_id, min(left_s, interval_s))
                while self._doze(watch, job_id, next_look):
                    pass

    def _looked(self, job_id: str) -> JobRecord:
        found = self.look([job_id]).get(job_id)
        if found is None:
            raise JobNotFound(f"job {job_id} was removed.")
        return found

    def _next_look(self, job_id: str, interval_s: float) -> float:
        """Return when to look at a job again that had not ended, on the monotonic clock.

        Raises FolderError when the folder is damaged: nobody would ever see the job end.
        """
        folder = self.folder(job_id)
        folder.read_events()
        folder.read_cancel_mark()
        if folder.read_outcome() is not None:  # it came just now, or cannot be put on record
            time.sleep(_SHORTEST_LOOK_S)
        return time.monotonic() + max(_SHORTEST_LOOK_S, min(interval_s, _LONGEST_LOOK_S))

    def _doze(self, watch: FolderWatch, job_id: str, next_look: float) -> bool:
        """Wait for a change in the folder; return False when it is time to look at the job."""
        left_s = next_look - time.monotonic()
        if left_s <= 0 or self.folder(job_id).outcome.exists():
            return False
        watch.wait(left_s)
        return True

    # What jobs leave

    def result(
        self, job_id: str, *, allow_pickle: bool = False, partial: bool = False, plain: bool = False
    ) -> dict[str, Any]:
        """Return what an ended job saved; ``{}`` when it saved nothing.

        With ``partial``, what it has saved until now, whatever its state is. With ``plain``, what stands in the
        file for values that are more than JSON, for which no package is needed: see docs/results.md.

        Raises JobFailed, JobCancelled, ResultError, JobStateError while it has not ended, and FolderError when
        its folder is gone.
        """
        if not partial:
            self._raise_unless_completed(self._ended(job_id))
        results = self._existing_folder(job_id).results / "results.json"
        if not results.exists():
            return {}
        document = read_document(results) if plain else None
        if document is not None and document.data_format is PersistedJobDataFormat.PLAINTEXT:
            return document.values
        return read_persisted(results, allow_pickle)

    def download(self, job_id: str, extract_to: Path) -> Path:
        """Copy an ended job's results into ``extract_to/<job name>/``; return that directory.

        Raises FolderError when something else is there, or the job's folder is not; JobStateError while the
        job has not ended; JobFailed or JobCancelled, after the copy, when it did not complete: what it saved
        until then may be all the more precious.
        """
        record = self._ended(job_id)
        target = copy_results(self._existing_folder(job_id).results, extract_to / record.spec.name)
        self._raise_unless_completed(record)
        return target

    def _ended(self, job_id: str) -> JobRecord:
        record = self._looked(job_id)
        if not record.status.ended:
            raise JobStateError(f"job {record.spec.name} is {record.status}: its results come when it ends.")
        return record

    def _existing_folder(self, job_id: str) -> JobFolder:
        folder = self.folder(job_id)
        if not folder.path.is_dir():
            raise FolderError(
                f"{folder.path} is missing: it was removed or moved, and what the job left with it; "
                f"'qjob rm {job_id}' removes what the index still has."
            )
        return folder

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
        return LogReader(self._existing_folder(job_id), list(wanted))

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

        Raises FolderError when the job's folder is damaged.
        """
        folder = self.folder(job_id)
        with FolderWatch([folder.path, folder.logs]) as watch:
            while True:
                record = self._looked(job_id)
                if record.status is JobStatus.QUEUED:
                    waiting(self._register.queue_info(record))
                yield from read(record.status.ended)
                if record.status.ended:
                    return
                next_look = self._next_look(job_id, interval_s)
                while self._doze(watch, job_id, next_look):
                    yield from read(False)

    def metrics(
        self,
        job_id: str,
        metric_type: MetricType = MetricType.TIMESTAMP,
        statistic: MetricStatistic = MetricStatistic.MAX,
    ) -> dict[str, list[Any]]:
        """Return the metrics that the job has logged until now, as columns; see `qjob.model.metrics`."""
        record = self._looked(job_id)
        question = (job_id, metric_type, statistic)
        remembered = self._metric_memory.take(question)
        log, parser = remembered or (self.metric_log(job_id), MetricsParser(metric_type, statistic))
        for lines in log.read(final=record.status.ended):
            parser.add(lines)
        columns = parser.columns()
        self._metric_memory.put(question, log, parser)
        return columns

    def metric_series(self, job_id: str, name: str, points: int = 500) -> list[MetricSeries]:
        """Return one metric that the job has logged until now in at most so many points, for a plot.

        There is a series for each node that reports it, of all values in the order in which they were reported.
        Most of the log, or what was kept of it, is not read for that once somebody has asked for the metrics.
        Raises InvalidInput for less than one point.
        """
        if points < 1:
            raise InvalidInput(f"points={points}: a series has at least one point.")
        return self.metric_log(job_id).series(name, points, final=self._looked(job_id).status.ended)

    def metric_log(self, job_id: str) -> MetricLog:
        """Return a reader of the job's metric lines, of all instances."""
        count = self._looked(job_id).spec.instance_count
        return MetricLog(self._existing_folder(job_id), range(count))

    # Ending

    def cancel(self, job_id: str, reason: str = "") -> JobRecord:
        """End a job and all that it started; return its record, CANCELLING or already CANCELLED.

        Harmless to repeat until the job has ended; then raises JobStateError. Raises FolderError when the
        cancellation cannot be written down, and EngineUnavailable when it was, and the engine cannot be told
        now: the next look tells it.
        """
        record = self._looked(job_id)
        if record.status.ended:
            raise JobStateError(f"job {record.spec.name} ({job_id}) is {record.status}: it cannot be cancelled.")
        folder = self.folder(job_id)
        if not folder.cancel_mark.exists():
            self._mark_cancelled(folder, reason)
        try:
            record = self._register.request_cancel(record)
        except EngineUnavailable as error:
            raise EngineUnavailable(
                f"{error} The cancellation is on record, and the next look tells the engine."
            ) from error
        if record.status is JobStatus.COMPLETED or record.status is JobStatus.FAILED:
            raise JobStateError(f"job {record.spec.name} ({job_id}) is {record.status}: it ended just now.")
        return self._looked(job_id)

    def _mark_cancelled(self, folder: JobFolder, reason: str) -> None:
        mark = CancelMark(time=self._now(), reason=reason)
        try:
            with contextlib.suppress(FileNotFoundError):
                folder.write_cancel_mark(mark)
                return
            # The job is gone, or ends this very moment: then unfinished files were swept out of its folder.
            folder.write_cancel_mark(mark)
        except OSError as error:
            raise FolderError(f"The cancellation cannot be written to {folder.cancel_mark}: {error}.") from error

    def delete(self, job_id: str) -> None:
        """Remove an ended job: its folder and its row. Raises JobStateError while it has not ended, or FolderError."""
        record = self._looked(job_id)
        if not record.status.ended:
            raise JobStateError(
                f"job {record.spec.name} ({job_id}) is {record.status}: cancel it first, then remove it."
            )
        doomed = self._jobs / f".{job_id}.deleted"
        shutil.rmtree(doomed, ignore_errors=True)
        try:
            with contextlib.suppress(FileNotFoundError):
                self.folder(job_id).path.rename(doomed)
        except OSError as error:
            raise FolderError(f"{self.folder(job_id).path} cannot be removed: {error.strerror}.") from error
        self._store.delete(job_id)
        if record.spec.sweep_point is not None:
            self.sweeps.forget_empty(record.spec.sweep_point.sweep)
        shutil.rmtree(doomed, ignore_errors=True)

    def reindex(self) -> Reindexed:
        """Build the index anew from the folders; a damaged index is set aside, not removed."""
        problems: list[str] = []

        def read(known: set[str]) -> Iterator[JobRecord | SweepRecord]:
            for job_id in known.difference(os.listdir(self._jobs)):
                self._staging.promote(job_id)
            yield from read_folders(self._jobs, problems)

        jobs = self._store.rebuild(read)
        self._staging.discard_abandoned(self._store.has)
        self.sweeps.discard_abandoned()
        for doomed in self._jobs.glob(".*.deleted"):
            shutil.rmtree(doomed, ignore_errors=True)
        return Reindexed(jobs=jobs, problems=tuple(problems))


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
