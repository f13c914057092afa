"""What follows from what was seen: the one place that decides how a job stands. Pure.

An outcome beats the engine's opinion; a job that is gone without one FAILED, or was CANCELLED if somebody
asked for that; what cannot be told now changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from qjob.engine import Observation, Presence
from qjob.folder import CancelMark
from qjob.model.event import JobEvent
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord
from qjob.model.status import EventType, JobStatus

_CANCELLED = "The job was cancelled"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a look at a job found.

    Attributes:
        events: what the runner reported.
        outcome: what the runner left, if it did.
        interruption: what the runner left when the engine ended it, of its last attempt.
        cancel_mark: whether somebody asked for the cancellation.
        observation: what the engine said, if it was asked. It was asked before the outcome was looked
            for, so that a job that ends in between is not taken for one that vanished.
    """

    events: Sequence[JobEvent] = ()
    outcome: Outcome | None = None
    interruption: Outcome | None = None
    cancel_mark: CancelMark | None = None
    observation: Observation | None = None


def judge(record: JobRecord, findings: Findings, now: datetime) -> list[JobEvent]:
    """Return the events that follow, in order; events that the record knows already do no harm."""
    if record.status.ended:
        return []
    events = [*findings.events, *_return(findings.observation)]
    mark = _mark_in_time(record, findings)
    if mark is not None:
        events.append(JobEvent(type=EventType.CANCELLING, time=mark.time, message=mark.reason))
    ending = _ending(record, findings, mark, now)
    return events if ending is None else [*events, ending]


def judge_unstarted(record: JobRecord, mark: CancelMark | None, reason: str, now: datetime) -> JobEvent:
    """Return the end of a job that no engine has taken, and none will, for that reason."""
    if mark is None and record.cancel_requested_at is None:
        return JobEvent(type=EventType.FAILED, time=now, message=reason)
    return JobEvent(type=EventType.CANCELLED, time=now, message=_cancelled_message(mark or CancelMark(time=now)))


def _return(observation: Observation | None) -> list[JobEvent]:
    """Return that the engine has put the job back into its queue; with the engine's time, whoever notices it."""
    if observation is None or observation.presence is not Presence.WAITING or observation.waits_since is None:
        return []
    message = f"It was put back into the queue, and waits for {observation.message or 'its turn'}."
    return [JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=observation.waits_since, message=message)]


def _mark_in_time(record: JobRecord, findings: Findings) -> CancelMark | None:
    """Return the mark, unless the job had ended by itself before it was made and nobody was told."""
    mark, outcome = findings.cancel_mark, findings.outcome
    if mark is None and record.cancel_requested_at is not None:
        return CancelMark(time=record.cancel_requested_at)  # removed by hand, perhaps with the whole folder
    if mark is None or outcome is None or record.status is JobStatus.CANCELLING:
        return mark
    return None if outcome.ended_at < mark.time else mark


def _ending(record: JobRecord, findings: Findings, mark: CancelMark | None, now: datetime) -> JobEvent | None:
    if findings.outcome is not None:
        return _ending_by_outcome(findings.outcome, mark)
    observation = findings.observation
    if observation is None or observation.presence is not Presence.GONE or not observation.certain:
        return None
    if mark is not None:
        return JobEvent(type=EventType.CANCELLED, time=now, message=_cancelled_message(mark))
    ended_at = min(now, observation.ended_at or now)
    if any(event.time > ended_at for event in (*record.events, *findings.events)):
        ended_at = now  # by another clock
    message = _vanished(record, findings, observation)
    return JobEvent(type=EventType(observation.ended_as), time=ended_at, message=message)


def _vanished(record: JobRecord, findings: Findings, observation: Observation) -> str:
    """Return what became of a job without an outcome: from the engine's words, and from its runner's last."""
    why = observation.message or "nothing is known of why"
    has_begun = any(event.type is EventType.STARTING_INSTANCE for event in findings.events)
    if not has_begun and record.status is JobStatus.QUEUED:
        return f"The job never started: {why}."
    last_words = findings.interruption.reason if findings.interruption is not None else None
    return f"The job ended without leaving an outcome: {why}.{' ' + last_words if last_words else ''}"


def _ending_by_outcome(outcome: Outcome, mark: CancelMark | None) -> JobEvent:
    detail = {"exitCodes": outcome.exit_codes}
    if mark is not None:
        message = _cancelled_message(mark)
        return JobEvent(type=EventType.CANCELLED, time=outcome.ended_at, message=message, detail=detail)
    return JobEvent(
        type=EventType(outcome.status),
        time=outcome.ended_at,
        message=outcome.reason or "",
        detail=detail,
    )


def _cancelled_message(mark: CancelMark) -> str:
    return f"{_CANCELLED}: {mark.reason}." if mark.reason else f"{_CANCELLED}."
