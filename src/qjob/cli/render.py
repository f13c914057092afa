"""Records as text: tables, the view of one job, and the sentences about it. Pure: the time is passed in."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import PurePath
from typing import Any

from qjob.cli.table import Table
from qjob.cli.text import ago_text, duration_text, listed, one_line, printable, time_text
from qjob.config import Device, Settings
from qjob.model.record import JobRecord, QueueInfo, iso_times
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepSummary

_LEFT_OUT_SHOWN = 5
_TO_REMOVE_SHOWN = 5
_NO_DEVICE = "local:none/none"
_SHARED_COLUMNS = frozenset({"timestamp", "iteration_number", "node_id"})

# One job, in a sentence


def submitted_text(record: JobRecord) -> str:
    """Return the line that says under which name and id a job went where."""
    return one_line(f"Submitted {record.spec.name} ({record.id}) to the engine {record.spec.engine}.")


def left_out_text(record: JobRecord) -> str:
    """Return the line that says what of the source was left behind; empty when nothing was."""
    left_out = list(record.spec.left_out)
    return f"Left out of the source: {listed(left_out, _LEFT_OUT_SHOWN)}" if left_out else ""


def waiting_text(queue: QueueInfo) -> str:
    """Return the line that says where a job stands in its queue and what it waits for; empty if not known."""
    if queue.position is None:
        return f"Waiting for {one_line(queue.message)}" if queue.message else ""
    reason = f" ({one_line(queue.message)})" if queue.message else ""
    return f"Waiting: position {queue.position}{reason}"


def now_text(record: JobRecord, queue: QueueInfo) -> str:
    """Return how a job stands now, in a line."""
    return waiting_text(queue) or str(record.status)


def ended_text(record: JobRecord) -> str:
    """Return the line that says how a job ended, how long it ran, and how to go on from there."""
    took = _duration_s(record)
    line = str(record.status) + (f" after {duration_text(took)}" if took is not None else "")
    if record.failure_reason:
        line += f": {one_line(record.failure_reason)}"
    if record.status is JobStatus.COMPLETED:
        line += f". Results: qjob result {record.id}, or qjob download {record.id}"
    return line


def outcome_line(record: JobRecord) -> str:
    """Return the line of one job among several that were waited for or cancelled."""
    took = _duration_s(record)
    after = f" after {duration_text(took)}" if took is not None else ""
    reason = f": {record.failure_reason}" if record.failure_reason else ""
    return "  ".join(_in_a_line((record.id, record.spec.name, f"{record.status}{after}{reason}")))


def detached_text(job_id: str) -> str:
    """Return what somebody reads who has pressed Ctrl-C: the job goes on, and how to come back to it."""
    return (
        f"\nDetached: job {job_id} goes on.\n"
        f"  qjob logs -f {job_id}   to come back to it\n"
        f"  qjob cancel {job_id}    to end it"
    )


# Many jobs


def jobs_table(entries: Sequence[JobRecord | SweepSummary], now: datetime) -> Table:
    """Return jobs and sweeps as a table for a person."""
    headers = ("ID", "NAME", "STATE", "CREATED", "TOOK", "DEVICE")
    rows = [(entry.id, *_name_and_state(entry), *_when(entry, now), _device_of(entry)) for entry in entries]
    return Table(headers=headers, rows=[_in_a_line(row) for row in rows])


def wide_table(entries: Sequence[JobRecord | SweepSummary], now: datetime) -> Table:
    """Return jobs and sweeps as a table with exact times and all that finds a job."""
    headers = ("ID", "NAME", "STATE", "CREATED", "TOOK", "ENGINE", "INSTANCES", "DEVICE", "TAGS", "REASON")
    rows = [
        (
            entry.id,
            *_name_and_state(entry),
            f"{_created_at(entry):%Y-%m-%dT%H:%M:%SZ}",
            _took_text(entry, now) if isinstance(entry, JobRecord) else "",
            *_asked(entry if isinstance(entry, JobRecord) else entry.example),
            (entry.failure_reason or "") if isinstance(entry, JobRecord) else "",
        )
        for entry in entries
    ]
    return Table(headers=headers, rows=[_in_a_line(row) for row in rows])


def sweep_state_text(counts: Mapping[JobStatus, int]) -> str:
    """Return how a sweep stands: how many of its jobs are done, and what else is not just waiting."""
    done = f"{counts.get(JobStatus.COMPLETED, 0)}/{sum(counts.values())} COMPLETED"
    others = (JobStatus.RUNNING, JobStatus.FAILED, JobStatus.CANCELLING, JobStatus.CANCELLED)
    return ", ".join([done, *(f"{counts[status]} {status}" for status in others if counts.get(status))])


def _name_and_state(entry: JobRecord | SweepSummary) -> tuple[str, str]:
    if isinstance(entry, JobRecord):
        return entry.spec.name, str(entry.status)
    return entry.sweep.name, sweep_state_text(entry.counts)


def _when(entry: JobRecord | SweepSummary, now: datetime) -> tuple[str, str]:
    took = _took_text(entry, now) if isinstance(entry, JobRecord) else ""
    return ago_text(_created_at(entry), now), took


def _created_at(entry: JobRecord | SweepSummary) -> datetime:
    return entry.created_at if isinstance(entry, JobRecord) else entry.sweep.created_at


def _device_of(entry: JobRecord | SweepSummary) -> str:
    job = entry if isinstance(entry, JobRecord) else entry.example
    return "" if job is None or job.spec.device == _NO_DEVICE else job.spec.device


def _asked(job: JobRecord | None) -> tuple[str, str, str, str]:
    """Return engine, instances, device and tags."""
    if job is None:
        return "", "", "", ""
    tags = ",".join(f"{key}={value}" for key, value in job.spec.tags.items())
    return job.spec.engine, str(job.spec.instance_count), job.spec.device, tags


def _in_a_line(row: Sequence[str]) -> Sequence[str]:
    return tuple(map(one_line, row))


def json_text(data: Any, indent: int | None = 2) -> str:
    """Return data as JSON; times as ISO 8601 texts, and null for NaN and infinities."""
    return json.dumps(_finite(iso_times(data)), indent=indent, default=_json_of, allow_nan=False)


def jobs_to_remove_text(records: Sequence[JobRecord]) -> str:
    """Return the question that is asked before jobs are removed."""
    names = listed([f"{record.spec.name} ({record.id})" for record in records], _TO_REMOVE_SHOWN)
    return f"Remove {len(records)} job{'' if len(records) == 1 else 's'}, folders and all: {names}?"


# One job, in full


def job_text(data: Mapping[str, Any], now: datetime, traceback: str = "") -> str:
    """Return all that is known of a job for a person to read.

    Args:
        data: what `Service.metadata` returns.
        now: the time.
        traceback: the user's, if the job left one.
    """
    facts = [(name, text) for name, text in _facts(data, now) if text]
    gap = max(len(name) for name, _ in facts) + 2
    lines = [f"{name:<{gap}}{one_line(text)}" for name, text in facts]
    blocks = {
        "Hyperparameters": _pairs(data["hyperParameters"]),
        "Input": [one_line(f"{each['channelName']} = {_uri_of(each)}") for each in data["inputDataConfig"]],
        "Tags": _pairs(data["tags"]),
        "Options": _pairs(data["qjob"]["options"]),
        "Left out of the source": [one_line(path) for path in data["qjob"]["leftOut"]],
        "Events": _event_lines(data["events"]),
        "Traceback": [printable(line) for line in traceback.rstrip().splitlines()],
    }
    for title, block in blocks.items():
        if block:
            lines += ["", f"{title}:", *(f"  {line}" for line in block)]
    return "\n".join(lines)


def _facts(data: Mapping[str, Any], now: datetime) -> Iterator[tuple[str, str]]:
    ours = data["qjob"]
    device = data["deviceConfig"]["device"]
    yield "Name", data["jobName"]
    yield "Id", ours["id"]
    yield "ARN", data["jobArn"]
    yield "State", data["status"]
    yield "Reason", data.get("failureReason", "")
    yield "Waits for", _waits_for(data["queueInfo"])
    yield "Created", _time_and_ago(data["createdAt"], now)
    yield "Started", _time_and_ago(data.get("startedAt"), now)
    yield "Ended", _time_and_ago(data.get("endedAt"), now)
    yield "Took", _took_of(data, now)
    yield "Time limit", duration_text(data["stoppingCondition"]["maxRuntimeInSeconds"])
    yield "Device", "none" if device == _NO_DEVICE else device
    yield "Engine", ours["engine"]
    yield "Ref", "" if ours["engine"] == "local" else ours["ref"] or ""
    yield "Host", ours["host"] or ""
    yield "Python", " at ".join(filter(None, (ours["python"], ours["interpreter"])))
    yield "Source", data["algorithmSpecification"]["scriptModeConfig"]["s3Uri"]
    yield "Entry point", data["algorithmSpecification"]["scriptModeConfig"]["entryPoint"]
    yield "Commit", ours["gitCommit"] or ""
    yield "Instances", str(data["instanceConfig"]["instanceCount"])
    yield "Exit codes", ", ".join("not started" if code is None else str(code) for code in ours["exitCodes"])
    yield "Priority", str(ours["priority"] or "")
    yield "Checkpoints of", ours["copiedFrom"] or ""
    yield "Folder", ours["folder"]


def _waits_for(queue: Mapping[str, str]) -> str:
    if queue["position"] == "None":
        return queue.get("message", "")
    return f"position {queue['position']}: {queue.get('message', '')}".removesuffix(": ")


def _time_and_ago(time: datetime | None, now: datetime) -> str:
    return f"{time_text(time)} ({ago_text(time, now)})" if time is not None else ""


def _took_of(data: Mapping[str, Any], now: datetime) -> str:
    started, ended = data.get("startedAt"), data.get("endedAt")
    if started is None:
        return ""
    so_far = "" if ended is not None else " so far"
    return duration_text(((ended or now) - started).total_seconds()) + so_far


def _pairs(mapping: Mapping[str, Any]) -> list[str]:
    return [one_line(f"{key} = {value}") for key, value in mapping.items()]


def _uri_of(channel: Mapping[str, Any]) -> str:
    return str(channel["dataSource"]["s3DataSource"]["s3Uri"])


def _event_lines(events: Sequence[Mapping[str, Any]]) -> list[str]:
    width = max((len(event["eventType"]) for event in events), default=0)
    return [
        f"{time_text(event['timeOfEvent'])}  {event['eventType']:<{width}}  {one_line(event['message'])}".rstrip()
        for event in events
    ]


# The settings


def settings_table(settings: Settings) -> Table:
    """Return every setting, its value and where it comes from."""
    names = [field.name for field in fields(settings) if field.name != "sources"]
    rows = [(name, one_line(_setting_text(getattr(settings, name))), settings.sources[name]) for name in names]
    return Table(headers=("SETTING", "VALUE", "FROM"), rows=rows)


def settings_json(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the same as data."""
    names = [field.name for field in fields(settings) if field.name != "sources"]
    return {name: {"value": _setting_json(getattr(settings, name)), "from": settings.sources[name]} for name in names}


def _setting_json(value: Any) -> Any:
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Device):
        return {name: _setting_json(each) for name, each in asdict(value).items() if each is not None}
    if isinstance(value, Mapping):
        return {name: _setting_json(each) for name, each in value.items()}
    return value


def _setting_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()  # as it is written in TOML
    if not isinstance(value, Mapping):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return "; ".join(f"{name}: {_table_text(table)}" for name, table in value.items()) or "none"


def _table_text(table: Any) -> str:
    """Return what stands of a device or an engine; a token is not for everybody who looks over a shoulder."""
    pairs = ((name, "***" if name == "token" else value) for name, value in _setting_json(table).items())
    return ", ".join(f"{name} {value}" for name, value in pairs)


# What a job leaves


def result_text(result: Mapping[str, Any]) -> str:
    """Return what a job saved, one value a line."""
    return "\n".join(f"{key}: {value}" for key, value in result.items())


def metrics_table(columns: Mapping[str, Sequence[Any]], newest: int | None = None) -> Table:
    """Return metrics as a table, of all rows or the newest ones."""
    rows = list(zip(*columns.values(), strict=True))
    shown = rows if newest is None else rows[max(0, len(rows) - newest) :]
    return Table(headers=list(columns), rows=[tuple(map(_cell, row)) for row in shown], numeric=True)


def metric_names(columns: Mapping[str, Sequence[Any]]) -> list[str]:
    """Return which of the columns are metrics, not what they are over."""
    return [name for name in columns if name not in _SHARED_COLUMNS]


def row_text(columns: Mapping[str, Sequence[Any]], row: int) -> str:
    """Return one row of metrics as ``name=value`` words."""
    return " ".join(f"{name}={_cell(column[row])}" for name, column in columns.items() if column[row] is not None)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value)


def _finite(value: Any) -> Any:
    """Return a value without what JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _json_of(value: Any) -> Any:
    """Return the JSON form of what JSON has no word for: arrays as lists, the rest as Python shows it."""
    as_list = getattr(value, "tolist", None)
    return _finite(as_list()) if callable(as_list) else repr(value)


def _duration_s(record: JobRecord) -> float | None:
    if record.started_at is None or record.ended_at is None:
        return None
    return (record.ended_at - record.started_at).total_seconds()


def _took_text(record: JobRecord, now: datetime) -> str:
    if record.started_at is None:
        return ""
    return duration_text(((record.ended_at or now) - record.started_at).total_seconds())
