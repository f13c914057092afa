"""A record: its JSON form keeps everything, is GetJob's shape, and events only ever move it on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.model.config import CheckpointConfig
from qjob.model.event import JobEvent
from qjob.model.record import (
    MAX_EVENT_MESSAGE_CHARS,
    MAX_EVENTS,
    MAX_FAILURE_REASON_CHARS,
    JobRecord,
    QueueInfo,
    apply,
    get_job,
    iso_times,
    record_from_json,
    record_to_json,
    with_ref,
)
from qjob.model.spec import InputChannel
from qjob.model.status import MOVES, EventType, JobStatus
from qjob.testing import make_spec
from strategies import records, texts

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
FOLDER = "/home/u/a'; echo ü/jobs/0"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(kind: EventType, seconds: float = 0, message: str = "", **detail: Any) -> JobEvent:
    return JobEvent(type=kind, time=at(seconds), message=message, detail=detail)


def new_record(**fields: Any) -> JobRecord:
    return JobRecord(**{"id": "0" * 15, "spec": make_spec(), "created_at": START, **fields})


def after(record: JobRecord, *events: JobEvent) -> JobRecord:
    return reduce(apply, events, record)


_OPEN: list[EventType] = [
    kind for kind in EventType if kind not in (EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED)
]


def any_events(kinds: Sequence[EventType]) -> st.SearchStrategy[list[JobEvent]]:
    messages = st.sampled_from(["", "why"])
    return st.lists(st.builds(event, st.sampled_from(kinds), st.integers(0, 12), messages), max_size=40)


happenings = any_events(list(EventType)) | any_events(_OPEN)
"""Any events in any order: repeated, shuffled, after the end, more than a record shows."""


# The JSON form


@settings(max_examples=100, deadline=None)
@given(record=records, folder=st.just(FOLDER) | texts)
def test_what_is_written_is_read(record: JobRecord, folder: str) -> None:
    assert record_from_json(json.loads(json.dumps(record_to_json(record, folder)))) == record


@settings(max_examples=30, deadline=None)
@given(record=records)
def test_record_json_is_get_job_with_times_as_text(record: JobRecord) -> None:
    assert record_to_json(record, FOLDER) == iso_times(get_job(record, FOLDER))


@pytest.mark.parametrize("uri", [None, "s3://bucket/key", "file:///mine", "file://"])
def test_where_the_user_wants_checkpoints_is_kept(uri: str | None) -> None:
    record = new_record(spec=make_spec(checkpoint_config=CheckpointConfig(s3Uri=uri)))
    data = record_to_json(record, FOLDER)
    assert data["checkpointConfig"]["s3Uri"] == (uri or "file:///home/u/a%27%3B%20echo%20%C3%BC/jobs/0/checkpoints")
    assert record_from_json(data) == record


@pytest.mark.parametrize("missing", ["jobArn", "failureReason", "queueInfo", "startedAt"])
def test_what_can_be_told_from_the_rest_need_not_be_there(missing: str) -> None:
    data = record_to_json(new_record(), FOLDER)
    data.pop(missing, None)
    assert record_from_json(data) == new_record()


@pytest.mark.parametrize("missing", ["status", "createdAt", "events", "qjob", "jobName"])
def test_a_record_without_one_of_these_is_refused(missing: str) -> None:
    data = record_to_json(new_record(), FOLDER)
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        record_from_json(data)


def test_a_folder_whose_name_is_not_utf_8_has_a_uri() -> None:
    folder = b"/jobs/\xff".decode(errors="surrogateescape")
    assert get_job(new_record(), folder)["outputDataConfig"]["s3Path"] == "file:///jobs/%FF/results"


# GetJob's shape, by botocore's service model


@pytest.fixture(scope="module")
def get_job_shape() -> Any:
    session: Any = pytest.importorskip("botocore.session").Session()
    return session.get_service_model("braket").operation_model("GetJob").output_shape


_PYTHON_TYPES: dict[str, type] = {
    "string": str,
    "integer": int,
    "long": int,
    "timestamp": datetime,
    "structure": dict,
    "map": dict,
    "list": list,
}


def mismatches(shape: Any, value: Any, where: str = "") -> list[str]:
    """Return everything in a value that a shape of the service model does not allow."""
    kind: Any = _PYTHON_TYPES[shape.type_name]
    if not isinstance(value, kind) or isinstance(value, bool):
        return [f"{where}: {value!r} is no {shape.type_name}"]
    found = []
    if shape.type_name == "string" and shape.enum and value not in shape.enum:
        found.append(f"{where}: {value!r} is none of {shape.enum}")
    limits = shape.metadata
    if shape.type_name in ("string", "list") and not limits.get("min", 0) <= len(value) <= limits.get("max", 10**6):
        found.append(f"{where}: {len(value)} is not within {limits['min']} and {limits['max']}")
    return found + [problem for part in _parts(shape, value, where) for problem in part]


def _parts(shape: Any, value: Any, where: str) -> list[list[str]]:
    if shape.type_name == "list":
        return [mismatches(shape.member, item, f"{where}[{number}]") for number, item in enumerate(value)]
    if shape.type_name == "map":
        keys = [mismatches(shape.key, key, f"{where} key") for key in value]
        return keys + [mismatches(shape.value, item, f"{where}.{key}") for key, item in value.items()]
    if shape.type_name != "structure":
        return []
    missing = [f"{where}.{name} is missing" for name in shape.required_members if name not in value]
    unknown = [f"{where}.{name} is unknown" for name in value if name not in shape.members]
    known = {name: item for name, item in value.items() if name in shape.members}
    below = [mismatches(shape.members[name], item, f"{where}.{name}") for name, item in known.items()]
    return [missing + unknown, *below]


_INPUTS = (
    InputChannel(name="a", uri="file:///a"),
    InputChannel(name="b", uri="s3://b/c", content_type="text/csv"),
)
_LONG = "x" * 5000


@pytest.mark.parametrize(
    "record",
    [
        new_record(),
        new_record(
            spec=make_spec(inputs=_INPUTS, tags={"a": "b"}, checkpoint_config=CheckpointConfig(s3Uri="s3://b/c"))
        ),
        after(new_record(), event(EventType.QUEUED_FOR_EXECUTION), event(EventType.RUNNING, 1)),
        after(new_record(), event(EventType.RUNNING, 1), event(EventType.COMPLETED, 2)),
        after(new_record(), event(EventType.RUNNING, 1), event(EventType.FAILED, 2, _LONG)),
        after(new_record(), event(EventType.FAILED, 2, "")),
        after(new_record(), event(EventType.CANCELLING, 1, _LONG)),
        after(new_record(), event(EventType.CANCELLING, 1, _LONG), event(EventType.CANCELLED, 2, _LONG)),
        after(new_record(), *(event(EventType.DOWNLOADING_DATA, second) for second in range(50))),
        *(after(new_record(), event(kind, 1, "why")) for kind in EventType),
    ],
)
@pytest.mark.parametrize("queue", [None, QueueInfo(), QueueInfo(position=3), QueueInfo(position=3, message="slots")])
def test_get_job_has_the_published_shape(get_job_shape: Any, record: JobRecord, queue: QueueInfo | None) -> None:
    data = get_job(record, FOLDER, queue)
    assert data.pop("qjob")["id"] == record.id
    assert mismatches(get_job_shape, data) == []


def test_the_shape_is_really_looked_at(get_job_shape: Any) -> None:
    data = get_job(new_record(), FOLDER)
    del data["qjob"], data["instanceConfig"]["instanceType"]
    data |= {"status": "SLEEPING", "createdAt": "today", "extra": 1, "failureReason": ""}
    assert mismatches(get_job_shape, data) == [
        ".extra is unknown",
        ".instanceConfig.instanceType is missing",
        ".status: 'SLEEPING' is none of ['QUEUED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLING', 'CANCELLED']",
        ".createdAt: 'today' is no timestamp",
        ".failureReason: 0 is not within 1 and 1024",
    ]


def test_our_words_are_the_service_models(get_job_shape: Any) -> None:
    assert sorted(JobStatus) == sorted(get_job_shape.members["status"].enum)
    types = get_job_shape.members["events"].member.members["eventType"].enum
    assert sorted({*EventType} - {EventType.CANCELLING}) == sorted(types)


def test_the_request_for_cancellation_is_no_event_of_get_job() -> None:
    data = get_job(after(new_record(), event(EventType.CANCELLING, 1)), FOLDER)
    assert (data["status"], data["events"]) == ("CANCELLING", [])


def test_the_duration_is_in_milliseconds_and_never_negative() -> None:
    ended = after(new_record(), event(EventType.RUNNING, 1), event(EventType.COMPLETED, 3.5))
    assert get_job(ended, FOLDER)["billableDuration"] == 2500
    backwards = after(new_record(), event(EventType.RUNNING, 5), event(EventType.COMPLETED, 3))
    assert get_job(backwards, FOLDER)["billableDuration"] == 0
    assert "billableDuration" not in get_job(after(new_record(), event(EventType.FAILED, 3)), FOLDER)


@pytest.mark.parametrize(
    ("queue", "shown"),
    [
        (QueueInfo(), {"queue": "JOBS_QUEUE", "position": "None"}),
        (QueueInfo(position=2, message="slots"), {"queue": "JOBS_QUEUE", "position": "2", "message": "slots"}),
    ],
)
def test_the_queue_is_shown_as_published(queue: QueueInfo, shown: dict[str, str]) -> None:
    assert get_job(new_record(), FOLDER, queue)["queueInfo"] == shown


# Events


@settings(max_examples=150, deadline=None)
@given(events=happenings)
def test_no_sequence_of_events_moves_a_job_back(events: list[JobEvent]) -> None:
    steps = [new_record()]
    for each in events:
        steps.append(apply(steps[-1], each))
    for one, other in pairwise(steps):
        assert other.status is one.status or other.status in MOVES[one.status]
        assert other.started_at == one.started_at or one.started_at is None
        assert other.version == one.version + (other is not one)
        assert not one.status.ended or other is one
        assert other.status.ended == (other.ended_at is not None)


@settings(max_examples=150, deadline=None)
@given(events=happenings, known=st.integers(0, 40))
def test_events_that_come_again_change_nothing(events: list[JobEvent], known: int) -> None:
    if any(each.type is EventType.QUEUED_FOR_EXECUTION for each in events):
        events = sorted(events, key=lambda each: each.time)  # there is a way back, and it is one in time
    record = after(new_record(), *events)
    assert after(record, *events[:known]) is record
    assert after(record, *reversed(events)) is record


@settings(max_examples=100, deadline=None)
@given(events=happenings)
def test_the_first_event_and_the_newest_are_kept(events: list[JobEvent]) -> None:
    first = event(EventType.QUEUED_FOR_EXECUTION, -1)
    kept = after(new_record(), first, *events).events
    assert len(kept) <= MAX_EVENTS
    assert kept[0].type is EventType.QUEUED_FOR_EXECUTION
    assert [each.time for each in kept] == sorted(each.time for each in kept)


def test_twenty_events_are_kept_and_one_more_takes_the_place_of_the_second() -> None:
    many = [event(EventType.DOWNLOADING_DATA, second) for second in range(MAX_EVENTS + 1)]
    full = after(new_record(), *many[:MAX_EVENTS])
    assert list(full.events) == many[:MAX_EVENTS]
    assert list(apply(full, many[-1]).events) == [many[0], *many[2:]]


def test_a_late_report_takes_its_place_in_time() -> None:
    queued, starting = event(EventType.QUEUED_FOR_EXECUTION), event(EventType.STARTING_INSTANCE, 1)
    running = event(EventType.RUNNING, 2)
    assert after(new_record(), queued, running, starting).events == (queued, starting, running)


@pytest.mark.parametrize("end", [EventType.COMPLETED, EventType.FAILED, EventType.CANCELLED])
@pytest.mark.parametrize("late", list(EventType))
def test_after_the_end_nothing_happens(end: EventType, late: EventType) -> None:
    ended = after(new_record(), event(EventType.RUNNING, 1), event(end, 2))
    assert apply(ended, event(late, 3, host="b", exitCodes=[1])) is ended


@pytest.mark.parametrize("end", [EventType.COMPLETED, EventType.FAILED])
def test_an_end_that_comes_after_the_cancellation_changes_nothing(end: EventType) -> None:
    cancelling = after(new_record(), event(EventType.RUNNING, 1), event(EventType.CANCELLING, 2))
    assert apply(cancelling, event(end, 3, "why", exitCodes=[1])) is cancelling


def test_a_job_that_is_being_cancelled_still_tells_when_it_started() -> None:
    record = after(new_record(), event(EventType.CANCELLING, 1), event(EventType.RUNNING, 0.5, host="a"))
    assert (record.status, record.started_at, record.host) == (JobStatus.CANCELLING, at(0.5), "a")


@pytest.mark.parametrize(
    ("end", "message", "status", "reason"),
    [
        (EventType.COMPLETED, "", JobStatus.COMPLETED, None),
        (EventType.COMPLETED, "all well", JobStatus.COMPLETED, None),
        (EventType.FAILED, "boom", JobStatus.FAILED, "boom"),
        (EventType.FAILED, "", JobStatus.FAILED, None),
        (EventType.CANCELLED, "The job was cancelled.", JobStatus.CANCELLED, "The job was cancelled."),
        (EventType.FAILED, "x" * 5000, JobStatus.FAILED, "x" * MAX_FAILURE_REASON_CHARS),
    ],
)
def test_an_end_is_told_with_its_reason(end: EventType, message: str, status: JobStatus, reason: str | None) -> None:
    record = apply(new_record(), event(end, 4, message))
    assert (record.status, record.ended_at, record.failure_reason) == (status, at(4), reason)
    assert record.events[0].message == message[:MAX_EVENT_MESSAGE_CHARS]


def test_details_go_into_the_record_and_not_into_its_events() -> None:
    record = after(
        new_record(),
        event(EventType.STARTING_INSTANCE, 1, host="node1", pid=7),
        event(EventType.RUNNING, 2, python="3.11.7"),
        event(EventType.FAILED, 3, exitCodes=[1, None]),
    )
    assert (record.host, record.python, record.exit_codes) == ("node1", "3.11.7", (1, None))
    assert [each.detail for each in record.events] == [{}, {}, {}]


def test_the_ref_is_a_change() -> None:
    record = with_ref(new_record(), "ref")
    assert (record.ref, record.version) == ("ref", 2)


# Back into the queue


QUEUED_AGAIN = event(EventType.QUEUED_FOR_EXECUTION, 5, "a node was lost")


def test_a_running_job_goes_back_by_the_event_that_says_so() -> None:
    running = after(new_record(), event(EventType.QUEUED_FOR_EXECUTION), event(EventType.RUNNING, 1))
    again = apply(running, QUEUED_AGAIN)
    assert (again.status, again.started_at, again.ended_at) == (JobStatus.QUEUED, at(1), None)
    assert again.events[-1] == QUEUED_AGAIN
    assert again.version == running.version + 1
    assert apply(again, event(EventType.RUNNING, 6)).status is JobStatus.RUNNING


@pytest.mark.parametrize(
    "others",
    [
        [event(EventType.STARTING_INSTANCE, 5)],
        [event(EventType.DOWNLOADING_DATA, 5)],
        [event(EventType.WAITING_FOR_PRIORITY, 5)],
    ],
)
def test_no_other_event_does_that(others: list[JobEvent]) -> None:
    assert after(new_record(), event(EventType.RUNNING, 1), *others).status is JobStatus.RUNNING


@pytest.mark.parametrize("seconds", [-1, 0, 1])
def test_an_event_from_before_the_last_start_does_not(seconds: float) -> None:
    running = after(new_record(), event(EventType.RUNNING, 1))
    assert apply(running, event(EventType.QUEUED_FOR_EXECUTION, seconds)) is running


def test_between_two_starts_the_last_one_counts() -> None:
    twice = after(new_record(), event(EventType.RUNNING, 1), QUEUED_AGAIN, event(EventType.RUNNING, 7))
    assert apply(twice, event(EventType.QUEUED_FOR_EXECUTION, 6)) is twice
    assert apply(twice, QUEUED_AGAIN) is twice
    assert apply(twice, event(EventType.QUEUED_FOR_EXECUTION, 8)).status is JobStatus.QUEUED


@pytest.mark.parametrize(
    "before",
    [
        [event(EventType.QUEUED_FOR_EXECUTION)],
        [event(EventType.QUEUED_FOR_EXECUTION), event(EventType.STARTING_INSTANCE, 1)],
        [event(EventType.RUNNING, 1), event(EventType.QUEUED_FOR_EXECUTION, 4)],
        [event(EventType.RUNNING, 1), event(EventType.CANCELLING, 4)],
        [event(EventType.RUNNING, 1), event(EventType.CANCELLED, 4)],
        [event(EventType.RUNNING, 1), event(EventType.COMPLETED, 4)],
    ],
)
def test_who_does_not_run_cannot_go_back(before: list[JobEvent]) -> None:
    record = after(new_record(), *before)
    assert apply(record, QUEUED_AGAIN) is record


def test_a_job_that_is_put_back_for_ever_keeps_its_first_event_and_the_newest() -> None:
    record = after(new_record(), event(EventType.QUEUED_FOR_EXECUTION))
    for attempt in range(40):
        record = after(
            record,
            event(EventType.RUNNING, attempt + 0.5),
            event(EventType.QUEUED_FOR_EXECUTION, attempt + 0.7),
        )
    assert (record.status, record.started_at, len(record.events)) == (JobStatus.QUEUED, at(0.5), MAX_EVENTS)
    assert apply(record, event(EventType.QUEUED_FOR_EXECUTION, 1.7)) is record
    assert apply(record, event(EventType.RUNNING, 1.5)) is record
    assert apply(record, event(EventType.RUNNING, 40)).status is JobStatus.RUNNING


@settings(max_examples=150, deadline=None)
@given(events=happenings)
def test_a_job_that_waits_has_not_been_started_since(events: list[JobEvent]) -> None:
    record = after(new_record(), *events)
    if record.status is JobStatus.RUNNING:
        assert apply(record, event(EventType.QUEUED_FOR_EXECUTION, 13)).status is JobStatus.QUEUED
