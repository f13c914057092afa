"""``qjob logs``: what a job prints."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click

from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import Notices
from qjob.cli.values import JOB, MOMENT, PATTERN
from qjob.cli.waiting import follow, tell_end, write_all
from qjob.log_printer import LogPrinter
from qjob.logs import LogPiece, LogReader
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus

_Change = Callable[[LogPiece], LogPiece | None]


@click.command()
@click.argument("job", type=JOB)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--instance", type=click.IntRange(min=0), metavar="N", help="Of this instance only; default: of all, by time."
)
@click.option("-n", "--tail", type=click.IntRange(min=1), metavar="N", help="Of what is there, the last N lines only.")
@click.option("--grep", "pattern", type=PATTERN, help="Only lines in which this regular expression is found.")
@click.option("--since", type=MOMENT, help="Only lines since then: how long ago (10m, 2h), or a date and time.")
@click.option("--timestamps", is_flag=True, help="Begin lines with the UTC time when they came, and the instance.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but warnings and errors.")
@pass_session
def logs(
    session: Session,
    /,
    job: str,
    following: bool,
    instance: int | None,
    tail: int | None,
    since: datetime | None,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Print the output of a job.

    Byte for byte as it came, and of all instances in the order of time. With --tail and --since, what is not
    shown is not read either, however long the log is; --grep then chooses of what is left. Ctrl-C ends only the
    printing; with -f, the exit code tells how the job ended.

    \b
      qjob logs -f --tail 20 vqe-1774965600000
      qjob logs vqe-1774965600000 --grep 'energy|warning' --since 10m --timestamps
      qjob logs vqe-1774965600000 --instance 0 | less -R
    """
    service = session.service
    record = service.record(job)
    reader = service.log(record.id, None if instance is None else [instance])
    if since is not None:
        reader.skip_to_time(since.timestamp())
    if tail is not None:
        reader.skip_to_last(tail)
    several = record.spec.instance_count > 1 and instance is None
    read = _reading(reader, _changes(several, since, **chosen))
    printer = LogPrinter(sys.stdout, instances=record.spec.instance_count)
    code = 0
    with Notices(quiet=quiet) as notices:
        if following:
            pieces = follow(service, record.id, read, notices)
            code = tell_end(service, record.id, notices, to_its_end=write_all(pieces, printer.write))
        else:
            _print_now(read, printer, record, notices)
    printer.close()
    raise click.exceptions.Exit(code)


def _print_now(
    read: Callable[[bool], Iterator[LogPiece]], printer: LogPrinter, record: JobRecord, notices: Notices
) -> None:
    if record.status is JobStatus.QUEUED:
        notices.say("QUEUED: the job has not started, so there is no output yet.")
    for piece in read(True):
        printer.write(piece)


def _changes(
    several: bool, since: datetime | None, pattern: re.Pattern[bytes] | None, timestamps: bool
) -> list[_Change]:
    """Return what is done with each line; a line of which nothing is left is not printed."""
    changes: list[_Change] = []
    if since is not None:
        earliest = since.timestamp()
        changes.append(lambda line: line if line.time >= earliest else None)
    if pattern is not None:
        changes.append(lambda line: line if pattern.search(line.data.rstrip(b"\r\n")) else None)
    if timestamps:
        changes.append(lambda line: _stamped(line, several))
    return changes


def _reading(reader: LogReader, changes: list[_Change]) -> Callable[[bool], Iterator[LogPiece]]:
    if not changes:
        return lambda final: reader.pieces(final=final)

    def read(final: bool) -> Iterator[LogPiece]:
        for line in reader.lines(final=final):
            changed: LogPiece | None = line
            for change in changes:
                changed = change(changed) if changed is not None else None
            if changed is not None:
                yield changed

    return read


def _stamped(line: LogPiece, several: bool) -> LogPiece:
    time = datetime.fromtimestamp(line.time, UTC)
    instance = f"[{line.instance}] " if several else ""
    stamp = f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z {instance}"
    return LogPiece(instance=line.instance, data=stamp.encode() + line.data, time=line.time)
