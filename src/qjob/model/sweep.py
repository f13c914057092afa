"""SweepRecord: what is known of a sweep as a whole, and its JSON form; each point of it is a job of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qjob.model.event import parse_time
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus


@dataclass(frozen=True, kw_only=True)
class SweepRecord:
    """A sweep: jobs that run the same source, each with hyperparameters of its own.

    Attributes:
        id: of the same form as a job's, and of the same name space.
        name: the sweep's name; not unique. Its jobs are named ``<name>-<number>``.
        created_at: when it was submitted, aware UTC.
        points: how many jobs it has.
        varied: the hyperparameters that are not the same in all points, in the order in which they were given.
        concurrency: at most so many of its jobs run at a time; None for no limit of its own.
        resumed_from: the id of the sweep whose unfinished points these are.
    """

    id: str
    name: str
    created_at: datetime
    points: int
    varied: tuple[str, ...] = ()
    concurrency: int | None = None
    resumed_from: str | None = None


Counts = Mapping[JobStatus, int]
"""How many jobs of a sweep are in each state; states that none is in are left out."""


def ended_in(counts: Counts) -> int:
    """Return how many of the jobs have ended."""
    return sum(count for status, count in counts.items() if status.ended)


def active_in(counts: Counts) -> int:
    """Return how many of the jobs have not ended."""
    return sum(counts.values()) - ended_in(counts)


def bar_text(points: int, counts: Counts, width: int) -> str:
    """Return how far a sweep is, as a bar of that many characters and in numbers."""
    filled = width * ended_in(counts) // max(1, points)
    return f"[{'#' * filled}{'.' * (width - filled)}] {ended_in(counts)}/{points}"


@dataclass(frozen=True, kw_only=True)
class SweepSummary:
    """A sweep in a list.

    Attributes:
        sweep: what is known of it as a whole.
        counts: how many of its jobs are in which state; states that none is in are left out.
        example: one of its jobs, which all have the same source, device and tags; None when it has none any more.
    """

    sweep: SweepRecord
    counts: Counts
    example: JobRecord | None

    @property
    def id(self) -> str:
        """The sweep's id."""
        return self.sweep.id


def sweep_to_json(sweep: SweepRecord) -> dict[str, Any]:
    """Return the sweep as a JSON object, as it stands in ``sweep.json``."""
    return {
        "sweepId": sweep.id,
        "sweepName": sweep.name,
        "createdAt": sweep.created_at.isoformat(),
        "points": sweep.points,
        "varied": list(sweep.varied),
        "concurrency": sweep.concurrency,
        "resumedFrom": sweep.resumed_from,
    }


def sweep_from_json(data: Mapping[str, Any]) -> SweepRecord:
    """Return the sweep that `sweep_to_json` wrote; raises KeyError, TypeError or ValueError when it is none."""
    return SweepRecord(
        id=data["sweepId"],
        name=data["sweepName"],
        created_at=parse_time(data["createdAt"]),
        points=data["points"],
        varied=tuple(data["varied"]),
        concurrency=data["concurrency"],
        resumed_from=data["resumedFrom"],
    )
