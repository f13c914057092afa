"""JobRecord: what is known of a job. A record is the fold of its events; `get_job` gives GetJob's shape.

GetJob's names stand here and in `qjob.model.spec`, and nowhere else: ``record.json``, ``Job.metadata()`` and
``qjob show -o json`` are all this one dict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote

from qjob.model.event import JobEvent, parse_time
from qjob.model.naming import arn_of
from qjob.model.spec import JobSpec, spec_from_json, spec_to_json
from qjob.model.status import MOVES, STATUS_AFTER, EventType, JobStatus

MAX_EVENTS = 20  # the limits of the service model
MAX_FAILURE_REASON_CHARS = 1024
MAX_EVENT_MESSAGE_CHARS = 2500
ROLE_ARN = "arn:qjob:iam::000000000000:role/local"


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """What is known of a job.

    Attributes:
        id: the job's own id, 15 characters that sort by time.
        spec: what was asked.
        created_at: when the job came on record.
        status: where it stands.
        started_at: when its first instance started; None before.
        ended_at: when it ended; None before.
        failure_reason: why it FAILED or was CANCELLED, in a sentence.
        events: the first event and the newest ones, oldest first; at most 20, as GetJob shows.
        ref: the engine's own handle; None until the engine has taken the job.
        exit_codes: per instance, see `Outcome`.
        host: the machine that runs it.
        python: the version of the interpreter that runs the script.
        cancel_requested_at: when somebody asked for the cancellation.
        version: counts the changes; two writers tell by it that one of them is late.
    """

    id: str
    spec: JobSpec
    created_at: datetime
    status: JobStatus = JobStatus.QUEUED
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure_reason: str | None = None
    events: tuple[JobEvent, ...] = ()
    ref: str | None = None
    exit_codes: tuple[int | None, ...] = ()
    host: str | None = None
    python: str | None = None
    cancel_requested_at: datetime | None = None
    version: int = 1

    @property
    def arn(self) -> str:
        """The job's ARN."""
        return arn_of(self.id)


@dataclass(frozen=True, kw_only=True)
class QueueInfo:
    """Where a waiting job stands.

    Attributes:
        position: 1 for the next to start; None when the job does not wait.
        message: what it waits for, in a sentence.
    """

    position: int | None = None
    message: str = ""


def apply(record: JobRecord, event: JobEvent) -> JobRecord:
    """Return the record after ``event``; the same record when the event says nothing new.

    A repeated event, an event after the end and an end that the table of moves does not have change
    nothing, so reports may come late, twice or from two watchers at once. That a job waits again counts when it
    runs and that is later than its last start; starts and returns are to come in their order, as they do from one
    runner after the other.
    """
    if record.status.ended or _known(record, event) or _is_barred_end(record, event) or _is_no_return(record, event):
        return record
    if event.type is EventType.CANCELLING:
        return _moved(replace(record, cancel_requested_at=event.time), event)
    return _moved(_with_detail(replace(record, events=_newest(record.events, event)), event), event)


def with_ref(record: JobRecord, ref: str) -> JobRecord:
    """Return the record of a job that its engine has taken under ``ref``."""
    return replace(record, ref=ref, version=record.version + 1)


def get_job(record: JobRecord, folder: str, queue: QueueInfo | None = None) -> dict[str, Any]:
    """Return the record in the shape of Braket's GetJob response, times as aware datetimes.

    ``folder`` is the absolute path of the job's folder. Fields that do not apply yet are left out,
    as Braket leaves them out; ``queueInfo`` is always there, as Braket's SDK needs it.
    """
    fields = spec_to_json(record.spec)
    fields["checkpointConfig"].setdefault("s3Uri", _file_uri(folder, "checkpoints"))
    shown = {
        "jobArn": record.arn,
        "status": str(record.status),
        "roleArn": ROLE_ARN,
        "createdAt": record.created_at,
        "startedAt": record.started_at,
        "endedAt": record.ended_at,
        "failureReason": record.failure_reason,
        "billableDuration": _duration_ms(record),
        "outputDataConfig": {"s3Path": _file_uri(folder, "results")},
        "events": [_event_to_json(event) for event in record.events],
        "queueInfo": _queue_info(queue or QueueInfo()),
        "associations": [],
    }
    fields["qjob"] |= {
        "id": record.id,
        "ref": record.ref,
        "folder": folder,
        "exitCodes": list(record.exit_codes),
        "host": record.host,
        "python": record.python,
        "cancelRequestedAt": record.cancel_requested_at,
        "version": record.version,
    }
    return fields | {key: value for key, value in shown.items() if value is not None}


def record_to_json(record: JobRecord, folder: str) -> dict[str, Any]:
    """Return `get_job` with ISO 8601 texts for times: what record.json holds."""
    data: dict[str, Any] = iso_times(get_job(record, folder))
    return data


def record_from_json(data: Mapping[str, Any]) -> JobRecord:
    """Return the record that `record_to_json` wrote.

    Raises KeyError, TypeError or ValueError when the object is not a record.
    """
    ours = data["qjob"]
    return JobRecord(
        id=ours["id"],
        spec=_spec_of(data),
        created_at=parse_time(data["createdAt"]),
        status=JobStatus(data["status"]),
        started_at=_optional_time(data.get("startedAt")),
        ended_at=_optional_time(data.get("endedAt")),
        failure_reason=data.get("failureReason"),
        events=tuple(_event_from_json(event) for event in data["events"]),
        ref=ours["ref"],
        exit_codes=tuple(ours["exitCodes"]),
        host=ours["host"],
        python=ours["python"],
        cancel_requested_at=_optional_time(ours["cancelRequestedAt"]),
        version=ours["version"],
    )


def iso_times(value: Any) -> Any:
    """Return the JSON form of a GetJob dict: every datetime in it as ISO 8601 text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: iso_times(item) for key, item in value.items()}
    if isinstance(value, list):
        return [iso_times(item) for item in value]
    return value


def _known(record: JobRecord, event: JobEvent) -> bool:
    if event.type is EventType.CANCELLING:
        return record.cancel_requested_at is not None
    if len(record.events) == MAX_EVENTS and event.time <= record.events[1].time:
        return True  # it was here, and made room for newer ones
    return any(event.type is known.type and event.time == known.time for known in record.events)


def _is_barred_end(record: JobRecord, event: JobEvent) -> bool:
    status = STATUS_AFTER.get(event.type)
    return status is not None and status.ended and status not in MOVES[record.status]


def _is_no_return(record: JobRecord, event: JobEvent) -> bool:
    """Return whether an event says that a job waits which waits anyway, or has been started again since."""
    if event.type is not EventType.QUEUED_FOR_EXECUTION or not record.events:
        return False
    starts = [known.time for known in record.events if known.type is EventType.RUNNING]
    return record.status is not JobStatus.RUNNING or any(event.time <= start for start in starts)


def _with_detail(record: JobRecord, event: JobEvent) -> JobRecord:
    detail = event.detail
    return replace(
        record,
        host=detail.get("host", record.host),
        python=detail.get("python", record.python),
        exit_codes=tuple(detail.get("exitCodes", record.exit_codes)),
    )


def _moved(record: JobRecord, event: JobEvent) -> JobRecord:
    status = STATUS_AFTER.get(event.type, record.status)
    if status not in MOVES[record.status]:
        status = record.status
    record = replace(record, status=status, version=record.version + 1)
    if event.type is EventType.RUNNING and record.started_at is None:
        return replace(record, started_at=event.time)
    if not status.ended:
        return record
    reason = event.message[:MAX_FAILURE_REASON_CHARS] if status is not JobStatus.COMPLETED else None
    return replace(record, ended_at=event.time, failure_reason=reason or None)


def _newest(events: tuple[JobEvent, ...], event: JobEvent) -> tuple[JobEvent, ...]:
    """Return the events with one more, within GetJob's limit: how the job came to be, and the newest."""
    shown = replace(event, message=event.message[:MAX_EVENT_MESSAGE_CHARS], detail={})
    first, *others = (*events, shown)
    others.sort(key=lambda other: other.time)  # a report may come late
    return (first, *others[-MAX_EVENTS + 1 :])


def _event_to_json(event: JobEvent) -> dict[str, Any]:
    return {"eventType": str(event.type), "timeOfEvent": event.time, "message": event.message}


def _event_from_json(data: Mapping[str, Any]) -> JobEvent:
    return JobEvent(
        type=EventType(data["eventType"]),
        time=parse_time(data["timeOfEvent"]),
        message=data["message"],
    )


def _queue_info(queue: QueueInfo) -> dict[str, Any]:
    position = "None" if queue.position is None else str(queue.position)
    info = {"queue": "JOBS_QUEUE", "position": position}
    return info | {"message": queue.message} if queue.message else info


def _duration_ms(record: JobRecord) -> int | None:
    if record.started_at is None or record.ended_at is None:
        return None
    return max(0, round((record.ended_at - record.started_at).total_seconds() * 1000))


def _spec_of(data: Mapping[str, Any]) -> JobSpec:
    checkpoints = data["checkpointConfig"]
    if checkpoints.get("s3Uri") == _file_uri(data["qjob"]["folder"], "checkpoints"):
        # get_job filled in our own folder, which the user did not ask for.
        data = {**data, "checkpointConfig": {**checkpoints, "s3Uri": None}}
    return spec_from_json(data)


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _file_uri(folder: str, name: str) -> str:
    return f"file://{quote(folder, errors='surrogateescape')}/{name}"  # the names that we give need no quoting
