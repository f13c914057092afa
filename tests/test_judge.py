"""What follows from what was seen, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.engine import Observation, Presence
from qjob.folder import CancelMark
from qjob.judge import Findings, judge
from qjob.model.event import JobEvent
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, apply
from qjob.model.status import MOVES, EventType, JobStatus
from qjob.testing import make_spec

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
NOW = START + timedelta(hours=1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def record_of(status: JobStatus) -> JobRecord:
    record = JobRecord(id="0" * 15, spec=make_spec(), created_at=START, ref="ref", status=status)
    if status is JobStatus.CANCELLING:
        return replace(record, cancel_requested_at=at(5))
    return record


def judged(record: JobRecord, findings: Findings) -> JobRecord:
    return reduce(apply, judge(record, findings, NOW), record)


def outcome(status: JobStatus, seconds: float = 10, reason: str | None = None) -> Outcome:
    return Outcome(status=status, ended_at=at(seconds), reason=reason, exit_codes=(1,))


def seen(presence: Presence, *, certain: bool = True) -> Observation:
    return Observation(presence=presence, message="the machine is lost", certain=certain)


QUEUED, RUNNING, CANCELLING = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.CANCELLING
COMPLETED, FAILED, CANCELLED = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED
EARLY, LATE = CancelMark(time=at(5)), CancelMark(time=at(15))  # before and after an outcome of second 10
GONE = seen(Presence.GONE)
DOUBTED = seen(Presence.GONE, certain=False)
HERE: list[Observation | None] = [
    None,
    *(seen(each) for each in (Presence.WAITING, Presence.RUNNING, Presence.UNKNOWN)),
    DOUBTED,
]
"""Observations from which nothing follows."""

Row = tuple[JobStatus, CancelMark | None, Outcome | None, list[Observation | None], JobStatus]
TABLE: list[Row] = [
    # record, mark, outcome, what engines may have said, record after
    (QUEUED, None, None, HERE, QUEUED),
    (QUEUED, None, None, [GONE], FAILED),
    (QUEUED, None, outcome(COMPLETED), [*HERE, GONE], COMPLETED),
    (QUEUED, None, outcome(FAILED), [*HERE, GONE], FAILED),
    (QUEUED, None, outcome(CANCELLED), [*HERE, GONE], CANCELLED),
    (QUEUED, EARLY, None, HERE, CANCELLING),
    (QUEUED, EARLY, None, [GONE], CANCELLED),
    (QUEUED, EARLY, outcome(COMPLETED), [*HERE, GONE], CANCELLED),
    (QUEUED, EARLY, outcome(CANCELLED), [*HERE, GONE], CANCELLED),
    (QUEUED, LATE, outcome(COMPLETED), [*HERE, GONE], COMPLETED),
    (QUEUED, LATE, outcome(FAILED), [*HERE, GONE], FAILED),
    (RUNNING, None, None, HERE, RUNNING),
    (RUNNING, None, None, [GONE], FAILED),
    (RUNNING, None, outcome(COMPLETED), [*HERE, GONE], COMPLETED),
    (RUNNING, None, outcome(FAILED), [*HERE, GONE], FAILED),
    (RUNNING, EARLY, None, HERE, CANCELLING),
    (RUNNING, EARLY, None, [GONE], CANCELLED),
    (RUNNING, EARLY, outcome(COMPLETED), [*HERE, GONE], CANCELLED),
    (RUNNING, EARLY, outcome(FAILED), [*HERE, GONE], CANCELLED),
    (RUNNING, LATE, outcome(COMPLETED), [*HERE, GONE], COMPLETED),
    (RUNNING, LATE, outcome(FAILED), [*HERE, GONE], FAILED),
    (CANCELLING, EARLY, None, HERE, CANCELLING),
    (CANCELLING, EARLY, None, [GONE], CANCELLED),
    (CANCELLING, EARLY, outcome(COMPLETED), [*HERE, GONE], CANCELLED),
    (CANCELLING, EARLY, outcome(FAILED), [*HERE, GONE], CANCELLED),
    # Somebody was told that it is being cancelled, so it cannot have completed after all.
    (CANCELLING, LATE, outcome(COMPLETED), [*HERE, GONE], CANCELLED),
    # The mark was lost; the record knows of it.
    (CANCELLING, None, None, HERE, CANCELLING),
    (CANCELLING, None, None, [GONE], CANCELLED),
    (CANCELLING, None, outcome(COMPLETED), [*HERE, GONE], CANCELLED),
    (CANCELLING, None, outcome(FAILED), [*HERE, GONE], CANCELLED),
    *(
        (ended, mark, left, [*HERE, GONE], ended)
        for ended in (COMPLETED, FAILED, CANCELLED)
        for mark in (None, EARLY, LATE)
        for left in (None, outcome(COMPLETED), outcome(FAILED))
    ),
]
ROWS = [(*row[:3], observation, row[4]) for row in TABLE for observation in row[3]]


def title(value: object) -> str | None:
    match value:
        case CancelMark():
            return "marked-early" if value is EARLY else "marked-late"
        case Outcome():
            return f"left-{value.status}"
        case Observation():
            return f"seen-{value.presence}{'' if value.certain else '-doubted'}"
        case JobStatus():
            return str(value)
    return "none"


@pytest.mark.parametrize(("status", "mark", "left", "observation", "then"), ROWS, ids=title)
def test_what_follows(
    status: JobStatus,
    mark: CancelMark | None,
    left: Outcome | None,
    observation: Observation | None,
    then: JobStatus,
) -> None:
    findings = Findings(cancel_mark=mark, outcome=left, observation=observation)
    after = judged(record_of(status), findings)
    assert after.status is then
    assert judged(after, findings) is after


@pytest.mark.parametrize("status", list(JobStatus))
@pytest.mark.parametrize("observation", HERE)
def test_what_cannot_be_told_changes_nothing(status: JobStatus, observation: Observation | None) -> None:
    assert judged(record_of(status), Findings(observation=observation)) == record_of(status)


def test_what_the_runner_reported_comes_before_the_end() -> None:
    events = (
        JobEvent(type=EventType.STARTING_INSTANCE, time=at(1), detail={"host": "node1"}),
        JobEvent(type=EventType.RUNNING, time=at(2)),
    )
    record = judged(record_of(QUEUED), Findings(events=events, outcome=outcome(COMPLETED)))
    assert [event.type for event in record.events] == ["STARTING_INSTANCE", "RUNNING", "COMPLETED"]
    assert (record.started_at, record.ended_at, record.host) == (at(2), at(10), "node1")


@pytest.mark.parametrize(
    ("findings", "reason", "ended_at"),
    [
        (Findings(outcome=outcome(COMPLETED)), None, at(10)),
        (Findings(outcome=outcome(FAILED, reason="boom")), "boom", at(10)),
        (
            Findings(observation=GONE),
            "The job ended without leaving an outcome: the machine is lost.",
            NOW,
        ),
        (
            Findings(observation=Observation(presence=Presence.GONE)),
            "The job ended without leaving an outcome: nothing is known of why.",
            NOW,
        ),
        (Findings(observation=GONE, cancel_mark=EARLY), "The job was cancelled.", NOW),
        (
            Findings(observation=GONE, cancel_mark=CancelMark(time=at(5), reason="too dear")),
            "The job was cancelled: too dear.",
            NOW,
        ),
        (
            Findings(
                outcome=outcome(CANCELLED, reason="SIGTERM"), cancel_mark=CancelMark(time=at(5), reason="too dear")
            ),
            "The job was cancelled: too dear.",
            at(10),
        ),
    ],
)
def test_an_end_has_its_reason_and_time(findings: Findings, reason: str | None, ended_at: datetime) -> None:
    record = judged(record_of(RUNNING), findings)
    assert (record.failure_reason, record.ended_at) == (reason, ended_at)


def test_exit_codes_are_kept_whoever_ended_the_job() -> None:
    assert judged(record_of(RUNNING), Findings(outcome=outcome(COMPLETED))).exit_codes == (1,)
    assert judged(record_of(RUNNING), Findings(outcome=outcome(COMPLETED), cancel_mark=EARLY)).exit_codes == (1,)


def test_the_time_of_the_mark_is_the_time_of_the_request() -> None:
    assert judged(record_of(RUNNING), Findings(cancel_mark=LATE)).cancel_requested_at == at(15)


@settings(max_examples=200, deadline=None)
@given(
    looks=st.lists(
        st.builds(
            Findings,
            cancel_mark=st.sampled_from([None, EARLY, LATE]),
            outcome=st.sampled_from([None, outcome(COMPLETED), outcome(FAILED), outcome(CANCELLED)]),
            observation=st.sampled_from([*HERE, GONE]),
        ),
        max_size=6,
    )
)
def test_no_sequence_of_looks_moves_a_job_back(looks: list[Findings]) -> None:
    record = record_of(QUEUED)
    for findings in looks:
        after = judged(record, findings)
        assert after.status is record.status or _reachable(record.status, after.status)
        record = after


def _reachable(start: JobStatus, end: JobStatus) -> bool:
    return end in MOVES[start] or any(_reachable(between, end) for between in MOVES[start])


# Jobs that their scheduler puts back


def put_back(seconds: float) -> Findings:
    return Findings(observation=Observation(presence=Presence.WAITING, message="a node", waits_since=at(seconds)))


def running_since(seconds: float, *, attempt: int = 1) -> tuple[JobEvent, JobEvent]:
    return (
        JobEvent(type=EventType.STARTING_INSTANCE, time=at(seconds), detail={"attempt": attempt}),
        JobEvent(type=EventType.RUNNING, time=at(seconds + 1)),
    )


def test_a_job_that_was_put_back_waits_again() -> None:
    running = judged(record_of(QUEUED), Findings(events=running_since(1)))
    waiting = judged(running, put_back(10))
    assert (running.status, waiting.status) == (RUNNING, QUEUED)
    [*_, last] = waiting.events
    assert (last.type, last.time) == (EventType.QUEUED_FOR_EXECUTION, at(10))
    assert "put back into the queue" in last.message
    assert "a node" in last.message
    assert waiting.started_at == at(2), "it has begun once, and that was then"


def test_who_looks_again_or_at_the_same_time_learns_nothing_new() -> None:
    waiting = judged(judged(record_of(QUEUED), Findings(events=running_since(1))), put_back(10))
    assert judged(waiting, put_back(10)) is waiting
    assert judged(waiting, put_back(12)) is waiting
    assert judged(waiting, Findings(events=running_since(1))) is waiting


@pytest.mark.parametrize("seconds", [0, 1, 2, 20, 21])
def test_an_old_word_of_the_scheduler_does_not_undo_the_next_start(seconds: float) -> None:
    first = Findings(events=running_since(1))
    again = Findings(events=(*running_since(1), *running_since(20, attempt=2)))
    running = judged(judged(judged(record_of(QUEUED), first), put_back(10)), again)
    assert running.status is RUNNING
    assert judged(running, put_back(seconds)) is running
    assert judged(running, put_back(30)).status is QUEUED


def test_a_job_that_was_put_back_while_nobody_looked_runs() -> None:
    """The runner of the second attempt says itself that there was a first one."""
    back = JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=at(15), message="Attempt 2: attempt 1 was interrupted.")
    events = (*running_since(1), back, *running_since(20, attempt=2))
    record = judged(record_of(QUEUED), Findings(events=events))
    assert (record.status, record.started_at) == (RUNNING, at(2))
    assert [event.type for event in record.events].count(EventType.RUNNING) == 2
    assert judged(record, Findings(events=events)) is record


def test_a_job_that_waits_for_the_first_time_is_not_put_back() -> None:
    queued = apply(record_of(QUEUED), JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=at(0)))
    assert judged(queued, put_back(10)) is queued


@pytest.mark.parametrize("status", [CANCELLING, COMPLETED, FAILED, CANCELLED])
def test_what_is_cancelled_or_has_ended_does_not_wait_again(status: JobStatus) -> None:
    assert judged(record_of(status), put_back(10)).status is status


def test_a_job_that_is_cancelled_while_it_waits_again_is_cancelled() -> None:
    waiting = judged(judged(record_of(QUEUED), Findings(events=running_since(1))), put_back(3))
    record = judged(waiting, replace(put_back(3), cancel_mark=EARLY))
    assert record.status is CANCELLING
    assert judged(record, replace(put_back(3), cancel_mark=EARLY)) is record
    assert judged(record, Findings(observation=GONE, cancel_mark=EARLY)).status is CANCELLED


@pytest.mark.parametrize("presence", [Presence.RUNNING, Presence.GONE, Presence.UNKNOWN])
def test_only_who_waits_was_put_back(presence: Presence) -> None:
    seen_since = Observation(presence=presence, waits_since=at(10), certain=False)
    running = judged(record_of(QUEUED), Findings(events=running_since(1)))
    assert judged(running, Findings(observation=seen_since)) is running


def test_who_was_cancelled_in_the_engine_is_cancelled() -> None:
    gone = Observation(presence=Presence.GONE, message="scancel", ended_as=CANCELLED)
    record = judged(record_of(RUNNING), Findings(observation=gone))
    assert record.status is CANCELLED
    assert record.failure_reason is not None
    assert "scancel" in record.failure_reason


@pytest.mark.parametrize(
    ("status", "events", "reason"),
    [
        (QUEUED, (), "The job never started: the machine is lost."),
        (QUEUED, running_since(1), "The job ended without leaving an outcome: the machine is lost. It was told."),
        (RUNNING, (), "The job ended without leaving an outcome: the machine is lost. It was told."),
    ],
)
def test_the_last_words_of_an_attempt_are_told_where_there_was_one(
    status: JobStatus, events: tuple[JobEvent, ...], reason: str
) -> None:
    findings = Findings(events=events, observation=GONE, interruption=outcome(FAILED, reason="It was told."))
    assert judged(record_of(status), findings).failure_reason == reason


def test_the_last_words_of_an_attempt_are_no_outcome() -> None:
    findings = Findings(interruption=outcome(FAILED, reason="It was told."), observation=seen(Presence.WAITING))
    assert judged(record_of(RUNNING), findings).status is RUNNING
    assert judged(record_of(RUNNING), replace(findings, outcome=outcome(COMPLETED))).status is COMPLETED


@settings(max_examples=200, deadline=None)
@given(looks=st.lists(st.sampled_from([put_back(10), put_back(25), Findings(events=running_since(1))]), max_size=6))
def test_however_often_and_in_whatever_order_looks_come_the_last_word_stands(looks: list[Findings]) -> None:
    """Two watchers with answers of different age: the newest of what they know counts."""
    again = Findings(events=(*running_since(1), *running_since(20, attempt=2)))
    record = reduce(judged, looks, judged(judged(record_of(QUEUED), again), put_back(25)))
    assert record.status is QUEUED
    final = Findings(events=(*again.events, *running_since(40, attempt=3)))
    assert reduce(judged, looks, judged(record, final)).status is RUNNING
