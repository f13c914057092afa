"""JobEvent: one thing that happened to a job, as it lies in ``events.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from qjob.model.status import EventType


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One thing that happened.

    Attributes:
        type: what happened.
        time: when, aware UTC.
        message: a sentence for a person.
        detail: what the record takes over from it: ``ref``, ``host``, ``python``, ``exitCodes``.
    """

    type: EventType
    time: datetime
    message: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


def event_to_json(event: JobEvent) -> dict[str, Any]:
    """Return the event as a JSON object."""
    return {
        "eventType": str(event.type),
        "timeOfEvent": event.time.isoformat(),
        "message": event.message,
        "detail": dict(event.detail),
    }


def event_from_json(data: Mapping[str, Any]) -> JobEvent:
    """Return the event that `event_to_json` wrote; raises KeyError or ValueError when it is none."""
    return JobEvent(
        type=EventType(data["eventType"]),
        time=parse_time(data["timeOfEvent"]),
        message=data.get("message", ""),
        detail=dict(data.get("detail", {})),
    )


def parse_time(text: str) -> datetime:
    """Return the aware UTC time that an ISO 8601 text names; ValueError when it names no zone."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"time {text!r} names no time zone")
    return time.astimezone(UTC)
