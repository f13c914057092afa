"""Job: the handle of a job, one class for every engine; and the functions that give handles."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from qjob.app import shared_service
from qjob.config import load_settings
from qjob.errors import InvalidInput, JobNotFound
from qjob.log_printer import LogPrinter
from qjob.model.config import (
    CheckpointConfig,
    InstanceConfig,
    MetricStatistic,
    MetricType,
    StoppingCondition,
)
from qjob.model.metric_series import MetricSeries
from qjob.model.naming import arn_of
from qjob.model.record import QueueInfo
from qjob.model.status import JobStatus
from qjob.moving import move_job
from qjob.quantum_job import QuantumJob
from qjob.request import Request, prepare
from qjob.resume import Changes, prepare_resumption
from qjob.service import Service
from qjob.source.generated import GeneratedSource
from qjob.store.store import Query


class Job(QuantumJob):
    """A hybrid job on record: an id, and the service that knows the rest.

    A handle holds nothing that another process or another handle could not see as well.
    """

    def __init__(self, job: str, *, service: Service | None = None) -> None:
        """Take up a job by its id, a unique prefix of that, its name (the newest) or its ARN.

        Raises JobNotFound or AmbiguousJob.
        """
        self._service = service or shared_service()
        self._id = self._service.resolve(job)
        self._metadata: dict[str, Any] | None = None

    @property
    def id(self) -> str:
        """The job's own id: 15 characters that sort by time."""
        return self._id

    @property
    def arn(self) -> str:
        """The job's ARN; it ends in ``job/<id>``."""
        return arn_of(self._id)

    @property
    def name(self) -> str:
        """The job's name."""
        return str(self.metadata(use_cached_value=True)["jobName"])

    def state(self, use_cached_value: bool = False) -> str:
        """Return QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED."""
        return str(self.metadata(use_cached_value)["status"])

    def metadata(self, use_cached_value: bool = False) -> dict[str, Any]:
        """Return what is known of the job in GetJob's shape, and under ``"qjob"`` what is ours."""
        if self._metadata is None or not use_cached_value:
            self._metadata = self._service.metadata(self._id)
        return self._metadata

    def queue_position(self) -> QueueInfo:
        """Return the job's place in its queue and what it waits for; position None when it does not wait."""
        return self._service.queue_info(self._id)

    def wait(self, timeout_s: float | None = None) -> str:
        """Wait for the job's end and return its state; raises TimeoutError after ``timeout_s`` seconds."""
        return str(self._service.wait(self._id, timeout_s).status)

    def logs(self, wait: bool = False, poll_interval_seconds: int = 5) -> None:
        """Print the job's log; with ``wait``, follow it until the job has ended.

        A job that waits says first what it waits for. Every byte is printed once.

        Raises RuntimeError, with the reason, if it waited and the job FAILED.
        """
        reader = self._service.log(self._id)
        instances = self.metadata()["instanceConfig"]["instanceCount"]
        printer = LogPrinter(sys.stdout, instances=instances)
        if not wait:
            for piece in reader.pieces(final=True):
                printer.write(piece)
            printer.close()
            return
        pieces = self._service.follow(
            self._id,
            lambda final: reader.pieces(final=final),
            poll_interval_seconds,
            self._tell_waiting(),
        )
        for piece in pieces:
            printer.write(piece)
        printer.close()
        self._service.raise_if_failed(self._id)

    def metrics(
        self,
        metric_type: MetricType = MetricType.TIMESTAMP,
        statistic: MetricStatistic = MetricStatistic.MAX,
    ) -> dict[str, list[Any]]:
        """Return the metrics that the job has logged until now, as columns; without a limit of rows."""
        # By value, so that Braket's own enumerations do as well.
        return self._service.metrics(self._id, MetricType(metric_type.value), MetricStatistic(statistic.value))

    def metric_series(self, name: str, points: int = 500) -> list[MetricSeries]:
        """Return one metric in at most so many points, for a plot; a series for each node that reports it."""
        return self._service.metric_series(self._id, name, points)

    def cancel(self) -> str:
        """End the job and all that it started; return CANCELLING or CANCELLED.

        Raises JobStateError, which names the state, when the job has ended.
        """
        return str(self._service.cancel(self._id).status)

    def result(
        self,
        poll_timeout_seconds: float = QuantumJob.DEFAULT_RESULTS_POLL_TIMEOUT,
        poll_interval_seconds: float = QuantumJob.DEFAULT_RESULTS_POLL_INTERVAL,
        allow_pickle: bool = False,
        *,
        partial: bool = False,
    ) -> dict[str, Any]:
        """Wait for the job's end and return what it saved; ``{}`` when it saved nothing.

        With ``partial``, return at once what it has saved until now, whatever its state is.

        Raises:
            RuntimeError: if the job FAILED or was CANCELLED, with the reason and the end of the user's
                traceback; or if the data is pickled and that is not allowed.
            TimeoutError: if the job had not ended in time; 0 looks once.
        """
        if not partial:
            self._service.wait(self._id, poll_timeout_seconds, poll_interval_seconds)
        return self._service.result(self._id, allow_pickle=allow_pickle, partial=partial)

    def download_result(
        self,
        extract_to: str | None = None,
        poll_timeout_seconds: float = QuantumJob.DEFAULT_RESULTS_POLL_TIMEOUT,
        poll_interval_seconds: float = QuantumJob.DEFAULT_RESULTS_POLL_INTERVAL,
    ) -> None:
        """Wait for the job's end and put its results into ``<extract_to or cwd>/<job name>/``.

        Files that are there and the same stay; anything else in the way is an error, and nothing is written.

        Raises:
            RuntimeError: if the job FAILED or was CANCELLED; what it had saved until then is downloaded.
            TimeoutError: if the job had not ended in time; 0 looks once.
        """
        self._service.wait(self._id, poll_timeout_seconds, poll_interval_seconds)
        self._service.download(self._id, Path.cwd() if extract_to is None else Path(extract_to))

    def resume(
        self,
        *,
        name: str | None = None,
        engine: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        stopping_condition: StoppingCondition | None = None,
        wait: bool = False,
    ) -> Job:
        """Submit this job once more, to go on from the checkpoints that it left; return the new job.

        Code and input data are those in this job's folder; what is not given here stays as it was.

        Args:
            name: the new job's name.
            engine: where it runs.
            hyperparameters: those that change.
            stopping_condition: the longest run of the new job.
            wait: whether to wait for its end before returning.

        Raises JobStateError while this job has not ended; InvalidInput, among others when it left no checkpoints.
        """
        changes = Changes(
            name=name, engine=engine, hyperparameters=hyperparameters, stopping_condition=stopping_condition
        )
        record = self._service.record(self._id)
        submission = prepare_resumption(record, self._service.folder(self._id), changes)
        job = Job(self._service.submit(submission).id, service=self._service)
        if wait:
            job.wait()
        return job

    def move(self, engine: str, *, options: Mapping[str, Any] | None = None, name: str | None = None) -> Job:
        """End this job and submit it to another engine, where it goes on from its checkpoints; return the new job.

        Options, device and limits are looked at first. This job gets SIGTERM and its grace period to save what it
        has; without checkpoints the new one starts from the beginning.

        Args:
            engine: where it goes on.
            options: that engine's own words.
            name: the new job's name.

        Raises JobStateError when it has completed, InvalidInput when the other engine does not take it, and
        SubmitError when its scheduler refused it: the job goes on where it was then.
        """
        record = move_job(self._service, self._id, Changes(engine=engine, options=options, name=name))
        return Job(record.id, service=self._service)

    def _tell_waiting(self) -> Callable[[QueueInfo], None]:
        """Return what tells, while the log is followed, what the job waits for."""
        return _WaitingPrinter()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and self.arn == other.arn

    def __hash__(self) -> int:
        return hash(self.arn)

    def __reduce__(self) -> tuple[type[Job], tuple[str]]:
        """Pickle the id alone: whoever unpickles it finds the job by the settings of that process."""
        return type(self), (self._id,)

    def __repr__(self) -> str:
        return f"Job({self._id!r})"

    def _repr_html_(self) -> str:
        """Return the job as a small table, for notebooks."""
        data = self.metadata()
        rows = {
            "job": data["jobName"],
            "state": data["status"],
            "reason": data.get("failureReason"),
            "device": data["deviceConfig"]["device"],
            "engine": data["qjob"]["engine"],
            "created": f"{data['createdAt']:%Y-%m-%d %H:%M:%S} UTC",
            "id": self._id,
        }
        cells = (f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items() if value)
        return f"<table>{''.join(cells)}</table>"


class _WaitingPrinter:
    """Prints what a job waits for, whenever that changes."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, queue: QueueInfo) -> None:
        text = waiting_text(queue)
        if text and text != self._said:
            print(text, flush=True)
        self._said = text or self._said


def waiting_text(queue: QueueInfo) -> str:
    """Return the sentence that says what a queued job waits for; empty when that is not known."""
    if queue.position is None:
        return f"Waiting for {queue.message}" if queue.message else ""
    reason = f" ({queue.message})" if queue.message else ""
    return f"Job queue position: {queue.position}{reason}"


def submit(
    source: str | os.PathLike[str] | GeneratedSource,
    *,
    entry_point: str | None = None,
    device: str = "local:none/none",
    engine: str | None = None,
    name: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    input_data: Any = None,
    instance_config: InstanceConfig | None = None,
    stopping_condition: StoppingCondition | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    distribution: str | None = None,
    dependencies: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
    python: str | os.PathLike[str] | None = None,
    copy_checkpoints_from_job: str | Job | None = None,
    tags: Mapping[str, str] | None = None,
    priority: int = 0,
    options: Mapping[str, Any] | None = None,
    wait: bool = False,
) -> Job:
    """Submit a job and return its handle at once, without waiting for a slot or a device.

    Args:
        source: a Python file, a folder of code, an archive of one, or the name of an installed package; it is
            copied as it is now.
        entry_point: ``module`` to run as a script or ``module:function`` to call; default: the source itself.
        device: the device that the job is for: an ARN, which it holds while it runs, or
            ``local:<provider>/<simulator>``, which jobs share.
        engine: where it runs; default: the setting of that name.
        name: 1 to 50 letters, digits and hyphens; need not be unique. Default: made from the source.
        hyperparameters: at most 100; the script gets them as strings.
        input_data: a path, or ``{channel: path}``; copied as it is now.
        instance_config: how many processes run it.
        stopping_condition: the longest run.
        checkpoint_config: recorded; the checkpoints lie in the job's folder.
        distribution: ``"data_parallel"``, as published: the instances work on one thing; recorded.
        dependencies: a requirements file, or requirements in pip's words, that the job's environment gets besides.
        python: the interpreter of the job: a path, or a version that is found on the machine, as ``"3.12"``.
            Default: the one that submits.
        copy_checkpoints_from_job: a job, by handle, id, name or ARN, whose checkpoints this one starts with.
        tags: free ``{str: str}``, to find the job by.
        priority: a job of a higher number starts first.
        options: the engine's own words.
        wait: whether to wait for its end before returning.

    Raises:
        InvalidInput: with everything that is wrong; nothing was started and nothing is left behind.
        SubmitError: if the engine refused the job.
    """
    settings = load_settings()
    service = shared_service(settings)
    request = Request(
        source=source,
        entry_point=entry_point,
        device=device,
        engine=settings.engine if engine is None else engine,
        name=name,
        hyperparameters=hyperparameters,
        input_data=input_data,
        instance_config=instance_config,
        stopping_condition=stopping_condition,
        checkpoint_config=checkpoint_config,
        distribution=distribution,
        dependencies=dependencies,
        python=python,
        copied_from=_id_of(service, copy_checkpoints_from_job),
        tags=tags,
        priority=priority,
        options=options,
        grace_s=settings.grace_s,
    )
    job = Job(service.submit(prepare(request)).id, service=service)
    if wait:
        job.wait()
    return job


def get(job: str) -> Job:
    """Return the handle of a job by its id, a unique prefix of that, its name (the newest) or its ARN.

    Raises JobNotFound or AmbiguousJob.
    """
    return Job(job)


def find(
    *,
    status: str | Iterable[str] | None = None,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    device: str | None = None,
    created_after: datetime | None = None,
    limit: int | None = None,
) -> list[Job]:
    """Return the jobs that match everything given, the newest first.

    Args:
        status: a state, or several of which any will do.
        name: exactly this name.
        tags: all of these.
        device: exactly this device.
        created_after: an aware time.
        limit: at most so many.

    Raises InvalidInput for a state that there is not, or a time without its zone.
    """
    service = shared_service()
    query = Query(
        statuses=_statuses(status),
        name=name,
        tags=dict(tags or {}),
        device=device,
        created_after=_aware(created_after),
        limit=limit,
    )
    jobs = []
    for record in service.find(query):
        with suppress(JobNotFound):  # it was deleted since
            jobs.append(Job(record.id, service=service))
    return jobs


def delete(job: str | Job) -> None:
    """Remove an ended job: its folder and its record. Raises JobStateError while it has not ended."""
    service = shared_service()
    service.delete(service.resolve(job.id if isinstance(job, Job) else job))


def _id_of(service: Service, job: str | Job | None) -> str | None:
    if job is None:
        return None
    if not isinstance(job, str | Job):
        raise InvalidInput(f"copy_checkpoints_from_job={job!r}: a job is expected, as a handle, id, name or ARN.")
    return service.resolve(job.id if isinstance(job, Job) else job)


def _statuses(status: str | Iterable[str] | None) -> frozenset[JobStatus]:
    words = [status] if isinstance(status, str) else list(status or ())
    unknown = [word for word in words if word not in JobStatus.__members__]
    if unknown:
        raise InvalidInput(f"status {unknown[0]!r}: there are {', '.join(JobStatus)}.")
    return frozenset(JobStatus(word) for word in words)


def _aware(time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise InvalidInput(f"created_after={time!r}: a time with its zone is expected, as in datetime.now(UTC).")
    return time
