"""An event and an outcome: what is written is what is read, and what is none is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings

from qjob.model.event import JobEvent, event_from_json, event_to_json, parse_time
from strategies import events


@settings(max_examples=50, deadline=None)
@given(event=events)
def test_what_is_written_is_read(event: JobEvent) -> None:
    assert event_from_json(json.loads(json.dumps(event_to_json(event)))) == event


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-22T10:00:00+00:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00:00.000001Z", datetime(2026, 11, 22, 10, 0, 0, 1, tzinfo=UTC)),
        ("2026-11-22T12:00:00+02:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
    ],
)
def test_a_time_is_utc_whatever_zone_it_was_written_in(text: str, time: datetime) -> None:
    assert parse_time(text) == time
    assert parse_time(text).utcoffset() == timedelta(0)


def test_a_time_in_another_zone_is_kept_as_utc() -> None:
    there = datetime(2026, 11, 22, 12, tzinfo=timezone(timedelta(hours=2)))
    data = event_to_json(JobEvent(type="RUNNING", time=there))  # type: ignore[arg-type]
    assert event_from_json(data).time.tzinfo is UTC


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"eventType": "RUNNING"},
        {"eventType": "EXPLODED", "timeOfEvent": "2026-11-22T10:00:00+00:00"},
        {"eventType": "RUNNING", "timeOfEvent": "yesterday"},
        {"eventType": "RUNNING", "timeOfEvent": "2026-11-22T10:00:00"},
        {"eventType": "RUNNING", "timeOfEvent": 1},
        {"eventType": "RUNNING", "timeOfEvent": "2026-11-22T10:00:00+00:00", "detail": 5},
        [],
        "RUNNING",
    ],
)
def test_what_is_no_event_is_refused(data: Any) -> None:
    with pytest.raises((KeyError, ValueError, TypeError)):
        event_from_json(data)
