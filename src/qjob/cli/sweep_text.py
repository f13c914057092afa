"""Sweeps as text: the sentences about one, its view, and the table of its jobs. Pure: the time is passed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from qjob.cli.table import Table
from qjob.cli.text import ago_text, one_line, time_text
from qjob.model.status import JobStatus
from qjob.model.sweep import Counts, SweepRecord, bar_text, sweep_to_json
from qjob.sweep_table import SweptJob

_BAR_CHARS = 20
_FAILURES_SHOWN = 3


def sweep_submitted_text(sweep: SweepRecord, engine: str) -> str:
    """Return the line that says under which name and id a sweep went where."""
    return one_line(f"Submitted {sweep.name} ({sweep.id}), {jobs_text(sweep.points)}, to the engine {engine}.")


def jobs_text(count: int) -> str:
    """Return a number of jobs."""
    return f"{count} job{'' if count == 1 else 's'}"


def counts_text(counts: Counts) -> str:
    """Return how many jobs are in which state, in the order of a job's life."""
    return ", ".join(f"{counts[status]} {status}" for status in JobStatus if counts.get(status))


def progress_text(sweep: SweepRecord, counts: Counts) -> str:
    """Return how far a sweep is, with a bar."""
    return f"{bar_text(sweep.points, counts, _BAR_CHARS)}: {counts_text(counts)}"


def sweep_line(sweep: SweepRecord, counts: Counts) -> str:
    """Return the line of one sweep that was waited for or cancelled."""
    return "  ".join(map(one_line, (sweep.id, sweep.name, counts_text(counts))))


def sweep_text(sweep: SweepRecord, counts: Counts, folder: str, now: datetime) -> str:
    """Return all that is known of a sweep as a whole, for a person to read."""
    facts = {
        "Name": sweep.name,
        "Id": sweep.id,
        "Jobs": f"{sweep.points}: {counts_text(counts)}",
        "Varies": ", ".join(sweep.varied),
        "Created": f"{time_text(sweep.created_at)} ({ago_text(sweep.created_at, now)})",
        "At a time": "" if sweep.concurrency is None else str(sweep.concurrency),
        "Resumes": sweep.resumed_from or "",
        "Folder": folder,
    }
    gap = max(map(len, facts)) + 2
    return "\n".join(f"{name:<{gap}}{one_line(text)}" for name, text in facts.items() if text)


def sweep_json(sweep: SweepRecord, counts: Counts, folder: str) -> dict[str, Any]:
    """Return the same as data: what ``sweep.json`` holds, with ``counts`` and ``folder``."""
    return {**sweep_to_json(sweep), "counts": {str(status): n for status, n in counts.items()}, "folder": folder}


def swept_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return what came out of a sweep as a table."""
    return Table(headers=columns, rows=[tuple(_cell(row[name]) for name in columns) for row in rows], numeric=True)


def failures_text(jobs: Sequence[SweptJob]) -> str:
    """Return why jobs of a sweep failed, those that failed first; empty when none has."""
    failed = [job for job in jobs if job.state == JobStatus.FAILED]
    lines = [one_line(f"{job.name} FAILED: {job.failure_reason}") for job in failed[:_FAILURES_SHOWN]]
    if len(failed) > _FAILURES_SHOWN:
        lines.append(f"and {len(failed) - _FAILURES_SHOWN} more FAILED")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return "" if value is None else one_line(str(value))
