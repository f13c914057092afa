"""Rows: what squeue and sacct say of jobs, from text. Pure.

Text and not JSON: the shape of Slurm's JSON changes with every version, and sacct of 22.05 reports in it that jobs
which failed exited with 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PREFIX = "qjob-"
"""How the Slurm names of all of our jobs begin."""
QUEUE_FORMAT = ",".join(
    f"{field}:|"
    for field in (
        "JobArrayID",
        "State",
        "exit_code",
        "RestartCnt",
        "SubmitTime",
        "EndTime",
        "NodeList",
        "Reason",
        "Name",
    )
)
"""For ``squeue -O``; the same columns from 22.05 on."""
ACCOUNTING_FORMAT = "JobID,State,ExitCode,Submit,End,NodeList,Reason,JobName"
"""For ``sacct -P -o``; 22.05 has no restarts."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job, or one task of an array, as Slurm shows it.

    Attributes:
        name: the job's Slurm name, which is ours and unique.
        index: of a task of an array; None of a job that is none, and of a row for all tasks of an array that have
            none of their own: those that wait in the short form, or were cancelled before they started.
        slurm_id: Slurm's number of the job or, of a task, of the array: it may be given out again.
        state: Slurm's word, upper case.
        exit_code: of the batch script.
        signal: that ended it, 0 for none.
        restarts: how often it was put back into the queue.
        submitted_at: in seconds since 1970; when it was put back, if it was.
        ended_at: in seconds since 1970, or when Slurm expects or wants it to end; None when not known.
        nodes: where it runs or ran, in Slurm's short form; may be empty.
        reason: Slurm's word for why it waits or ended; may be empty.
    """

    name: str
    index: int | None
    slurm_id: int
    state: str
    exit_code: int
    signal: int
    restarts: int
    submitted_at: float
    ended_at: float | None
    nodes: str
    reason: str


def parse_queue(text: str) -> list[Row]:
    """Return our jobs from what squeue printed with `QUEUE_FORMAT`; what is not ours is passed over."""
    return list(_rows(_queue_row(line) for line in text.splitlines() if PREFIX in line))


def parse_accounting(text: str) -> list[Row]:
    """Return our jobs from what ``sacct -X -n -P`` printed with `ACCOUNTING_FORMAT`."""
    return list(_rows(_accounting_row(line) for line in text.splitlines() if PREFIX in line))


def exit_of(text: str) -> tuple[int, int]:
    """Return exit code and signal: from ``3:9`` or, in 22.05's squeue, from the status that wait(2) gives."""
    code, colon, signal = text.partition(":")
    if colon:
        return int(code), int(signal)
    status = int(code or 0)
    return status >> 8, status & 0x7F


def _rows(rows: Iterable[Row | None]) -> Iterable[Row]:
    return (row for row in rows if row is not None and row.name.startswith(PREFIX))


def _queue_row(line: str) -> Row | None:
    fields = line.rstrip("|").split("|", 8)
    if len(fields) < 9:
        return None
    task, state, exit_code, restarts, submitted, ended, nodes, reason, name = fields
    return _row(task, state, exit_code, restarts, submitted, ended, nodes, reason, name)


def _accounting_row(line: str) -> Row | None:
    fields = line.split("|", 7)
    if len(fields) < 8:
        return None
    task, state, exit_code, submitted, ended, nodes, reason, name = fields
    # "CANCELLED by 1000" says who; a state has one word.
    return _row(task, state.split(" ")[0], exit_code, "0", submitted, ended, nodes, reason, name)


def _row(
    task: str,
    state: str,
    exit_code: str,
    restarts: str,
    submitted: str,
    ended: str,
    nodes: str,
    reason: str,
    name: str,
) -> Row | None:
    number, underscore, index = task.partition("_")
    if not number.isdecimal() or (underscore and not index.isdecimal() and not index.startswith("[")):
        return None
    try:
        code, signal = exit_of(exit_code)
        return Row(
            name=name,
            index=int(index) if index.isdecimal() else None,
            slurm_id=int(number),
            state=state.upper(),
            exit_code=code,
            signal=signal,
            restarts=int(restarts or 0),
            submitted_at=_time(submitted) or 0.0,
            ended_at=_time(ended),
            nodes="" if nodes in ("None assigned", "(null)") else nodes,
            reason="" if reason in ("None", "(null)") else reason,
        )
    except ValueError:
        return None  # half a line, or words of a Slurm that we do not know


def _time(text: str) -> float | None:
    """Return a time that was printed with SLURM_TIME_FORMAT=%s."""
    return float(text) if text.isdecimal() else None
