"""What came out of a sweep: a row for each job, with its hyperparameters, its last metrics and its results."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from qjob.errors import FolderError, InvalidInput
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.record import JobRecord
from qjob.service import Service

_NOT_METRICS = ("timestamp", "iteration_number", "node_id")
_SCALARS = (int, float, str, bool, type(None))
_FIRST = ("number", "job", "state")
_NUMBER = re.compile(r"[+-]?(?:0|[1-9][0-9]*)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|[+-]?inf|nan")


@dataclass(frozen=True, kw_only=True)
class SweptJob:
    """One job of a sweep, and what came out of it until now.

    Attributes:
        number: its point, from 0.
        id: the job's id.
        name: the job's name.
        state: QUEUED, RUNNING, COMPLETED, FAILED, CANCELLING or CANCELLED.
        hyperparameters: those that the sweep varies; what reads as a number is one.
        metrics: the last value of each metric that it has logged.
        results: what it has saved that is a number, a text, a truth value or None.
        failure_reason: why it failed, or was cancelled.
    """

    number: int
    id: str
    name: str
    state: str
    hyperparameters: Mapping[str, Any]
    metrics: Mapping[str, Any]
    results: Mapping[str, Any]
    failure_reason: str | None = None

    def value(self, name: str) -> Any:
        """Return a result, or else the last value of a metric, of that name; None when it has neither."""
        return self.results.get(name, self.metrics.get(name))


class SweepTable(Sequence[dict[str, Any]]):
    """The rows of a sweep as dicts with the same keys; ``pandas.DataFrame(table)`` takes it as it is.

    The columns are ``number``, ``job``, ``state``, and the names of hyperparameters, metrics and results; a
    name that an earlier column has gets ``metric.`` or ``result.`` in front. What a job has not is None.
    """

    def __init__(self, jobs: Iterable[SweptJob]) -> None:
        """Make the table of some jobs."""
        self._jobs = list(jobs)
        self._columns = _columns(self._jobs)

    @property
    def columns(self) -> list[str]:
        """The names of the columns, in their order."""
        return list(self._columns)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._jobs)

    def __getitem__(self, place: Any) -> Any:
        """Return a row, or a list of rows for a slice."""
        if isinstance(place, slice):
            return [self._row(job) for job in self._jobs[place]]
        return self._row(self._jobs[place])

    def __str__(self) -> str:
        """Return the table as text."""
        cells = [[_cell(row[name]) for name in self._columns] for row in self]
        widths = [max(map(len, column)) for column in zip(self._columns, *cells, strict=True)]
        lines = [self._columns, *cells]
        return "\n".join("  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines)

    def __repr__(self) -> str:
        """Return the table as text."""
        return str(self)

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self._columns)
        rows = ("".join(f"<td>{escape(_cell(row[name]))}</td>" for name in self._columns) for row in self)
        return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _row(self, job: SweptJob) -> dict[str, Any]:
        groups = {"hyperparameter": job.hyperparameters, "metric": job.metrics, "result": job.results}
        first = {"number": job.number, "job": job.id, "state": job.state}
        return {
            column: first[name] if group == "first" else groups[group].get(name)
            for column, (group, name) in self._columns.items()
        }


def swept_jobs(service: Service, sweep_id: str) -> list[SweptJob]:
    """Return what came out of each job of a sweep until now, in the order of the points."""
    varied = service.sweeps.record(sweep_id).varied
    return [_swept_job(service, record, varied) for record in service.sweeps.job_records(sweep_id)]


def best_of(jobs: Iterable[SweptJob], name: str, *, maximise: bool = False) -> SweptJob:
    """Return the job with the lowest value of a result or metric, or the highest.

    Of equal ones the first. Raises InvalidInput when no job has a number of that name.
    """
    jobs = list(jobs)
    with_value = [job for job in jobs if _is_number(job.value(name))]
    if not with_value:
        known = sorted({name for job in jobs for name in (*job.results, *job.metrics)})
        raise InvalidInput(
            f"{name!r}: no job of the sweep has a result or a metric of that name that is a number; "
            f"there is {', '.join(known) or 'none yet'}."
        )
    pick = max if maximise else min
    return pick(with_value, key=lambda job: job.value(name))


def number_or_text(text: str) -> Any:
    """Return what a hyperparameter's text means: a whole number, a number, a truth value, or the text.

    A text like ``0101`` stays one: it is not the same as ``101``.
    """
    if text in ("True", "False"):
        return text == "True"
    if not _NUMBER.fullmatch(text):
        return text
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


def _swept_job(service: Service, record: JobRecord, varied: Sequence[str]) -> SweptJob:
    point = record.spec.sweep_point
    given = record.spec.hyperparameters
    has_run = service.folder(record.id).logs.exists()
    return SweptJob(
        number=0 if point is None else point.number,
        id=record.id,
        name=record.spec.name,
        state=str(record.status),
        hyperparameters={name: number_or_text(given[name]) for name in varied if name in given},
        metrics=_last_metrics(service, record.id) if has_run else {},
        results=_results(service, record.id) if has_run else {},
        failure_reason=record.failure_reason,
    )


def _last_metrics(service: Service, job_id: str) -> dict[str, Any]:
    columns = service.metrics(job_id, MetricType.TIMESTAMP, MetricStatistic.LAST)
    found = {}
    for name, values in columns.items():
        if name not in _NOT_METRICS:
            found[name] = next((value for value in reversed(values) if value is not None), None)
    return found


def _results(service: Service, job_id: str) -> dict[str, Any]:
    """Return the results that fit into a cell; a job whose results cannot be read has none here."""
    try:
        results = service.result(job_id, partial=True, plain=True)
    except (FolderError, OSError, RuntimeError, ValueError):
        return {}
    return {name: value for name, value in results.items() if isinstance(value, _SCALARS)}


def _columns(jobs: Sequence[SweptJob]) -> dict[str, tuple[str, str]]:
    """Return for each column the group and the name in it that it holds."""
    columns = {name: ("first", name) for name in _FIRST}
    for group in ("hyperparameter", "metric", "result"):
        for name in dict.fromkeys(name for job in jobs for name in getattr(job, f"{group}s")):
            column = name
            while column in columns:
                column = f"{group}.{column}"
            columns[column] = (group, name)
    return columns


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
