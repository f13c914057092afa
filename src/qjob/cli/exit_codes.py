"""The exit codes of qjob, as ``qjob --help`` lists them."""

from __future__ import annotations

from qjob.errors import (
    AmbiguousJob,
    InvalidInput,
    JobCancelled,
    JobNotFound,
    QjobError,
    ResultTimeout,
    SettingsError,
)
from qjob.model.status import EventType, JobStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qjob.model.record import JobRecord

DONE = 0
PROBLEM = 1
USAGE = 2
TIMED_OUT = 124
"""As timeout(1) has it."""
CANCELLED = 130
"""128 + SIGINT, as a shell has it for what was interrupted."""
BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell has it for a writer whose reader has gone."""

_OF_ERROR: dict[type[QjobError], int] = {
    InvalidInput: USAGE,
    SettingsError: USAGE,
    JobNotFound: USAGE,
    AmbiguousJob: USAGE,
    ResultTimeout: TIMED_OUT,
    JobCancelled: CANCELLED,
}


def of_error(error: QjobError) -> int:
    """Return the exit code that tells of an error."""
    return _OF_ERROR.get(type(error), PROBLEM)


def of_job(record: JobRecord) -> int:
    """Return the exit code that tells how an ended job ended."""
    if record.status is JobStatus.COMPLETED:
        return DONE
    if record.status is JobStatus.CANCELLED:
        return CANCELLED
    too_long = any(event.type is EventType.MAX_RUNTIME_EXCEEDED for event in record.events)
    return TIMED_OUT if too_long else PROBLEM
