"""Sweep: the handle of many jobs over one source, and the function that submits them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from qjob.app import shared_service
from qjob.config import load_settings
from qjob.errors import InvalidInput
from qjob.job import Job
from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition
from qjob.model.points import RandomPoints, points_of
from qjob.model.status import JobStatus
from qjob.model.sweep import Counts, active_in, bar_text
from qjob.request import Request
from qjob.resume import Changes
from qjob.service import Service
from qjob.source.generated import GeneratedSource
from qjob.sweep_request import prepare_sweep, prepare_sweep_resumption
from qjob.sweep_staging import SweepSubmission
from qjob.sweep_table import SweepTable, SweptJob, best_of, swept_jobs

_DEFAULTS: Mapping[str, Any] = {"device": Request.device, "engine": None, "priority": Request.priority}
"""Of the arguments of `sweep`; those that are not here have None."""
_BAR_CHARS = 30
_SHOW_S = 0.1


class Sweep(Sequence[Job]):
    """Jobs that run the same source, each with hyperparameters of its own; a sequence of their handles.

    A handle holds nothing that another process or another handle could not see as well.
    """

    def __init__(self, sweep: str, *, service: Service | None = None) -> None:
        """Take up a sweep by its id, a unique prefix of that or its name (the newest).

        Raises JobNotFound.
        """
        self._service = service or shared_service()
        self._id = self._service.sweeps.resolve(sweep)
        self._record = self._service.sweeps.record(self._id)

    @property
    def id(self) -> str:
        """The sweep's own id: 15 characters that sort by time, as a job's."""
        return self._id

    @property
    def name(self) -> str:
        """The sweep's name; its jobs are named ``<name>-<number>``."""
        return self._record.name

    def __len__(self) -> int:
        """Return the number of jobs: one for each point, but for those that were removed one by one."""
        return len(self._service.sweeps.job_ids(self._id))

    def __getitem__(self, place: Any) -> Any:
        """Return the handle of a job, or a list of handles for a slice; the jobs come in the order of their points."""
        ids = self._service.sweeps.job_ids(self._id)[place]
        if isinstance(ids, str):
            return Job(ids, service=self._service)
        return [Job(each, service=self._service) for each in ids]

    def __iter__(self) -> Iterator[Job]:
        """Yield the handles of all jobs, in the order of their points."""
        for each in self._service.sweeps.job_ids(self._id):
            yield Job(each, service=self._service)

    def counts(self) -> dict[str, int]:
        """Return how many jobs are in which state; states that none is in are left out."""
        return _words(self._service.sweeps.counts(self._id))

    def jobs(self) -> list[SweptJob]:
        """Return what came out of each job until now: hyperparameters, last metrics, results, state."""
        return swept_jobs(self._service, self._id)

    def table(self) -> SweepTable:
        """Return what came out of all jobs until now, as rows with the same columns."""
        return SweepTable(self.jobs())

    def best(self, name: str, *, maximise: bool = False) -> SweptJob:
        """Return the job with the lowest value of a result or metric, or the highest.

        Raises InvalidInput when no job has a number of that name.
        """
        return best_of(self.jobs(), name, maximise=maximise)

    def wait(self, timeout_s: float | None = None, *, progress: bool | None = None) -> dict[str, int]:
        """Wait until all jobs have ended; return how many did in which way.

        Args:
            timeout_s: the longest wait, in seconds; 0 looks once.
            progress: whether to show on stderr how far it is; default: when that is a terminal.

        Raises TimeoutError when not all had ended in time.
        """
        shows = sys.stderr.isatty() if progress is None else progress
        bar = _Bar(len(self)) if shows else None
        try:
            return _words(self._service.sweeps.wait(self._id, timeout_s, bar or (lambda _: None)))
        finally:
            if bar is not None:
                bar.close()

    def cancel(self) -> dict[str, int]:
        """End all jobs that have not ended; return how many are in which state then.

        Raises JobStateError when all have ended.
        """
        return _words(self._service.sweeps.cancel(self._id))

    def resume(
        self,
        *,
        name: str | None = None,
        engine: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        stopping_condition: StoppingCondition | None = None,
    ) -> Sweep:
        """Submit once more those points that did not complete, each from the checkpoints that it left, if it did.

        Code and input data are those that the sweep has; what is not given here stays as it was. The new sweep has
        the unfinished points only.

        Raises JobStateError while a job has not ended, or when all have completed; InvalidInput.
        """
        changes = Changes(
            name=name, engine=engine, hyperparameters=hyperparameters, stopping_condition=stopping_condition
        )
        sweeps = self._service.sweeps
        submission = prepare_sweep_resumption(
            self._record, sweeps.job_records(self._id), self._service.folder, sweeps.folder(self._id), changes
        )
        return Sweep(sweeps.submit(submission).id, service=self._service)

    def __eq__(self, other: object) -> bool:
        """Return whether it is the same sweep."""
        return isinstance(other, Sweep) and other.id == self.id

    def __hash__(self) -> int:
        """Return a hash by the id."""
        return hash(self._id)

    def __reduce__(self) -> tuple[type[Sweep], tuple[str]]:
        """Pickle the id alone: whoever unpickles it finds the sweep by the settings of that process."""
        return Sweep, (self._id,)

    def __repr__(self) -> str:
        """Return id and name."""
        return f"Sweep({self._id!r}, name={self.name!r}, points={self._record.points})"

    def _repr_html_(self) -> str:
        counts = ", ".join(f"{count} {word}" for word, count in self.counts().items())
        return f"<b>Sweep {escape(self.name)}</b> ({escape(self._id)}), {self._record.points} points: {escape(counts)}"


def sweep(
    source: str | os.PathLike[str] | GeneratedSource | Callable[..., Any],
    grid: Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]] | RandomPoints,
    *,
    concurrency: int | None = None,
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
    tags: Mapping[str, str] | None = None,
    priority: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Sweep:
    """Submit a job for each point of a grid and return the handle of all, at once.

    The source and the input data are stored once.

    Args:
        source: as for `qjob.submit`; or a function, whose arguments are then the hyperparameters, as the objects that
            they are, and whose return value, if not None, is saved as the job's result.
        grid: ``{name: values}`` for every combination, a list of dicts for points one by one, or `RandomPoints`.
        concurrency: at most so many of its jobs run at a time; None: as many as the engine has room for.
        name: its jobs are named ``<name>-<number>``; default: made from the source.
        hyperparameters: those that are the same in all points.
        entry_point, device, engine, input_data, instance_config, stopping_condition, checkpoint_config, distribution,
            dependencies, python, tags, priority, options: as for `qjob.submit`, the same for all jobs.

    Raises:
        InvalidInput: with everything that is wrong; nothing was started and nothing is left behind.
        SubmitError: if the engine refused the jobs.
    """
    settings = load_settings()
    asked = {
        "source": source,
        "entry_point": entry_point,
        "device": device,
        "engine": engine,
        "name": name,
        "hyperparameters": hyperparameters,
        "input_data": input_data,
        "instance_config": instance_config,
        "stopping_condition": stopping_condition,
        "checkpoint_config": checkpoint_config,
        "distribution": distribution,
        "dependencies": dependencies,
        "python": python,
        "tags": tags,
        "priority": priority,
        "options": options,
        "grace_s": settings.grace_s,
    }
    service = shared_service(settings)
    if callable(source):
        submission = _of_function(source, grid, concurrency, asked, settings.engine)
    else:
        asked["engine"] = settings.engine if engine is None else engine
        submission = prepare_sweep(Request(**asked), grid, concurrency)
    return Sweep(service.sweeps.submit(submission).id, service=service)


def _of_function(
    function: Callable[..., Any],
    grid: object,
    concurrency: int | None,
    asked: Mapping[str, Any],
    default_engine: str,
) -> SweepSubmission:
    from qjob.braket.sweep_call import sweep_function  # cloudpickle, for those who have a function

    if asked["entry_point"] is not None:
        raise InvalidInput(f"entry_point={asked['entry_point']!r}: a function is its own entry point; leave it out.")
    swept = sweep_function(function, points_of(grid), asked["hyperparameters"])
    given = {name: value for name, value in asked.items() if value != _DEFAULTS.get(name)}
    request = {**asked, "engine": default_engine, **swept.options, **given}
    request |= {"source": swept.source, "entry_point": swept.entry_point, "hyperparameters": None}
    request["name"] = asked["name"]
    return prepare_sweep(Request(**request), swept.hyperparameters, concurrency, name=swept.name)


def get_sweep(sweep: str) -> Sweep:
    """Return the handle of a sweep by its id, a unique prefix of that or its name (the newest).

    Raises JobNotFound.
    """
    return Sweep(sweep)


class _Bar:
    """How far a sweep is, on one line of stderr that is written over and over."""

    def __init__(self, points: int) -> None:
        self._points = points
        self._shown = ""
        self._at = 0.0

    def __call__(self, counts: Counts) -> None:
        if active_in(counts) and time.monotonic() - self._at < _SHOW_S:
            return
        failed = counts.get(JobStatus.FAILED, 0)
        about = f", {failed} FAILED" if failed else ""
        self._show(bar_text(self._points, counts, _BAR_CHARS) + about)

    def close(self) -> None:
        if self._shown:
            print(file=sys.stderr, flush=True)

    def _show(self, line: str) -> None:
        self._at = time.monotonic()
        if line != self._shown:
            print(f"\r{line:{len(self._shown)}}", end="", file=sys.stderr, flush=True)
            self._shown = line


def _words(counts: Counts) -> dict[str, int]:
    return {str(status): count for status, count in counts.items()}
