"""The states of a job, its events, and the table of moves between them.

The words are those of Amazon Braket's service model (``JobPrimaryStatus`` and ``JobEventType`` of
``braket/2019-09-01``); the service model does not state the moves, so the table here does.
"""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The six states of a hybrid job."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLING = "CANCELLING"
    CANCELLED = "CANCELLED"

    @property
    def ended(self) -> bool:
        """Whether the job is over: no event moves it from here."""
        return not MOVES[self]


class EventType(StrEnum):
    """What can happen to a job. All but ``CANCELLING`` are GetJob's own words."""

    WAITING_FOR_PRIORITY = "WAITING_FOR_PRIORITY"
    QUEUED_FOR_EXECUTION = "QUEUED_FOR_EXECUTION"
    STARTING_INSTANCE = "STARTING_INSTANCE"
    DOWNLOADING_DATA = "DOWNLOADING_DATA"
    RUNNING = "RUNNING"
    DEPRIORITIZED_DUE_TO_INACTIVITY = "DEPRIORITIZED_DUE_TO_INACTIVITY"
    UPLOADING_RESULTS = "UPLOADING_RESULTS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    MAX_RUNTIME_EXCEEDED = "MAX_RUNTIME_EXCEEDED"
    CANCELLING = "CANCELLING"
    """Ours: somebody asked for the cancellation. Never shown among GetJob's events."""
    CANCELLED = "CANCELLED"


MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset(
        {
            JobStatus.RUNNING,
            JobStatus.COMPLETED,
            JobStatus.FAILED,
            JobStatus.CANCELLING,
            JobStatus.CANCELLED,
        }
    ),
    JobStatus.RUNNING: frozenset(
        {
            JobStatus.QUEUED,
            JobStatus.COMPLETED,
            JobStatus.FAILED,
            JobStatus.CANCELLING,
            JobStatus.CANCELLED,
        }
    ),
    JobStatus.CANCELLING: frozenset({JobStatus.CANCELLED}),
    JobStatus.COMPLETED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}
"""From each state, the states that may follow; ended states lead nowhere.

One move leads back, from RUNNING to QUEUED: a scheduler has put the job back into its queue, because its machine was
lost or a job of higher priority took it. It is made by an event that says so, see `qjob.model.record.apply`.
"""

STATUS_AFTER: dict[EventType, JobStatus] = {
    EventType.QUEUED_FOR_EXECUTION: JobStatus.QUEUED,
    EventType.RUNNING: JobStatus.RUNNING,
    EventType.COMPLETED: JobStatus.COMPLETED,
    EventType.FAILED: JobStatus.FAILED,
    EventType.CANCELLING: JobStatus.CANCELLING,
    EventType.CANCELLED: JobStatus.CANCELLED,
}
"""The state that an event leads to; an event that is not here changes no state."""
