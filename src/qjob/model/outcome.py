"""Outcome: what the runner leaves behind as its last act. An outcome is the proof that a job ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from qjob.model.event import parse_time
from qjob.model.status import JobStatus


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a job ended, in the runner's own words.

    Attributes:
        status: COMPLETED, FAILED or CANCELLED.
        ended_at: when the last process of the job was gone.
        reason: one sentence for a person; None when all went well.
        traceback: the user's own traceback, without qjob's frames, if there was one.
        exit_codes: per instance: the exit code, or minus the signal's number, or None if not started.
    """

    status: JobStatus
    ended_at: datetime
    reason: str | None = None
    traceback: str | None = None
    exit_codes: tuple[int | None, ...] = ()


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome as a JSON object."""
    return {
        "status": str(outcome.status),
        "endedAt": outcome.ended_at.isoformat(),
        "reason": outcome.reason,
        "traceback": outcome.traceback,
        "exitCodes": list(outcome.exit_codes),
    }


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `outcome_to_json` wrote; raises KeyError or ValueError when it is none."""
    status = JobStatus(data["status"])
    if not status.ended:
        raise ValueError(f"status {str(status)!r} is no end")
    return Outcome(
        status=status,
        ended_at=parse_time(data["endedAt"]),
        reason=data["reason"],
        traceback=data["traceback"],
        exit_codes=tuple(data["exitCodes"]),
    )
