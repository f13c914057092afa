"""Jobs on record that never ran: what commands that only look need, without a process."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qjob.folder import JobFolder
from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, apply
from qjob.model.spec import JobSpec
from qjob.model.status import EventType, JobStatus
from qjob.store.store import Store

BEGIN = datetime(2026, 3, 31, 14, 0, 7, tzinfo=UTC)
NOW = BEGIN + timedelta(minutes=20)
SPEC = JobSpec(
    name="vqe",
    entry_point="vqe",
    source_name="vqe.py",
    source_uri="file:///home/ada/vqe.py",
    python="/usr/bin/python3",
    hyperparameters={"theta": "0.5"},
)


def record_of(
    status: JobStatus = JobStatus.COMPLETED,
    *,
    number: int = 0,
    reason: str = "",
    too_long: bool = False,
    **asked: Any,
) -> JobRecord:
    """Return the record of a job that came in minute ``number``, ran for 83.5 s, and then was ``status``."""
    created = BEGIN + timedelta(minutes=number)
    record = JobRecord(
        id=job_id(int(created.timestamp() * 1e6), number), spec=replace(SPEC, **asked), created_at=created
    )
    record = _after(record, EventType.QUEUED_FOR_EXECUTION, created)
    if status is JobStatus.QUEUED:
        return record
    started = created + timedelta(seconds=2)
    record = _after(record, EventType.STARTING_INSTANCE, started, detail={"host": "ada", "python": "3.12.1"})
    record = _after(record, EventType.RUNNING, started)
    if status is JobStatus.RUNNING:
        return record
    ended = started + timedelta(seconds=83.5)
    if too_long:
        record = _after(record, EventType.MAX_RUNTIME_EXCEEDED, ended, reason)
    exit_code = 0 if status is JobStatus.COMPLETED else 1
    return _after(record, EventType(status), ended, reason, {"exitCodes": [exit_code]})


def put_on_record(
    home: Path, record: JobRecord, *, log: bytes = b"", results: dict[str, Any] | None = None, traceback: str = ""
) -> JobFolder:
    """Put a job on record, with the folder that it would have left."""
    folder = JobFolder(home / "jobs" / record.id)
    for directory in (folder.path, folder.logs, folder.results):
        directory.mkdir(parents=True, exist_ok=True)
    Store(home / "index.db", home / "nothing").insert(record)
    folder.write_spec(record.spec)
    folder.write_record(record)
    if record.ended_at is not None:
        outcome = Outcome(
            status=record.status,
            ended_at=record.ended_at,
            reason=record.failure_reason,
            traceback=traceback or None,
            exit_codes=record.exit_codes,
        )
        folder.write_outcome(outcome)
    write_log(folder, log)
    if results is not None:
        data = {"braketSchemaHeader": _HEADER, "dataDictionary": results, "dataFormat": "plaintext"}
        (folder.results / "results.json").write_text(json.dumps(data))
    return folder


def write_log(folder: JobFolder, log: bytes, instance: int = 0, begin_s: float = 1e9, step_s: float = 1.0) -> None:
    """Write a log as a runner does, as if each line had come ``step_s`` seconds after the one before it."""
    folder.log(instance).write_bytes(log)
    entries, offset = [], 0
    for number, line in enumerate(log.splitlines(keepends=True)):
        entries.append(b"%015d %016d\n" % (offset, int((begin_s + number * step_s) * 1e6)))
        offset += len(line)
    folder.log_index(instance).write_bytes(b"".join(entries))


_HEADER = {"name": "braket.jobs_data.persisted_job_data", "version": "1"}


def _after(
    record: JobRecord, kind: EventType, time: datetime, message: str = "", detail: dict[str, Any] | None = None
) -> JobRecord:
    return apply(record, JobEvent(type=kind, time=time, message=message, detail=detail or {}))
