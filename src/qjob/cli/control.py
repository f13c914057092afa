"""``qjob wait``, ``qjob cancel`` and ``qjob rm``: jobs to their end, and away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import click

from qjob.cli import exit_codes
from qjob.cli.render import jobs_to_remove_text, outcome_line
from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import Notices, out, say
from qjob.cli.values import DURATION, JOB, MOMENT
from qjob.cli.waiting import wait_for_end, worst
from qjob.errors import InvalidInput, QjobError
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query

_JOBS = click.argument("jobs", type=JOB, metavar="JOB…", nargs=-1, required=True)


@click.command()
@_JOBS
@click.option("--timeout", "timeout_s", type=DURATION, help="Wait no longer than this, for all of them: 30s, 10m, 2h.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@pass_session
def wait(session: Session, jobs: tuple[str, ...], timeout_s: float | None, quiet: bool) -> None:
    """Wait until jobs have ended.

    Prints a line for each. The exit code tells how the job ended: 0 if it COMPLETED, 1 if it FAILED, 130 if it
    was CANCELLED, 124 if time ran out; of several jobs, the first that did not complete.

    \b
      qjob wait vqe-1774965600000 && qjob result vqe-1774965600000
      qjob wait $(qjob ls --tag sweep=h2 -o id) --timeout 1h
    """
    ids = [session.service.resolve(job) for job in jobs]
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    codes = []
    with Notices(quiet=quiet) as notices:
        for number, job_id in enumerate(ids, start=1):
            about = f"{number} of {len(ids)}: " if len(ids) > 1 else ""
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            record = wait_for_end(session.service, job_id, notices, timeout_s=left_s, about=about)
            codes.append(exit_codes.of_job(record))
            _tell(record, notices, quiet)
    raise click.exceptions.Exit(worst(codes))


@click.command()
@_JOBS
@click.option("--wait", "waits", is_flag=True, help="Wait until they have ended.")
@click.option("--reason", default="", help="Why, in a sentence; it is kept with the job.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
@pass_session
def cancel(session: Session, jobs: tuple[str, ...], waits: bool, reason: str, quiet: bool) -> None:
    """Cancel jobs: end them and all that they started.

    A job that waits ends at once; one that runs gets SIGTERM and some seconds to save what it has. To repeat it
    does no harm; a job that has ended by itself cannot be cancelled, and the exit code is 1.

    \b
      qjob cancel vqe-1774965600000 --wait
      qjob cancel $(qjob ls --all --tag sweep=h2 --status QUEUED -o id)
    """
    service = session.service
    ids = list(dict.fromkeys(map(service.resolve, jobs)))
    codes = _each(ids, lambda job_id: service.cancel(job_id, reason))
    with Notices(quiet=quiet) as notices:
        for job_id, code in zip(ids, codes, strict=True):
            if code == exit_codes.DONE:
                record = wait_for_end(service, job_id, notices) if waits else service.record(job_id)
                _tell(record, notices, quiet)
    raise click.exceptions.Exit(worst(codes))


@click.command()
@click.argument("jobs", type=JOB, metavar="[JOB…]", nargs=-1)
@click.option("--ended-before", type=MOMENT, help="All jobs that ended before then: 7d (ago), or a date and time.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def rm(session: Session, jobs: tuple[str, ...], ended_before: datetime | None, yes: bool) -> None:
    """Remove ended jobs, with their folders.

    Their logs, results and checkpoints are gone then. It asks first; where nobody can answer, -y is needed.
    A job that has not ended is not removed: cancel it first.

    \b
      qjob rm vqe-1774965600000
      qjob rm --ended-before 30d -y
    """
    service = session.service
    if bool(jobs) == (ended_before is not None):
        raise click.UsageError("Name the jobs to remove, or give --ended-before: one of the two.")
    doomed = _named(service, jobs) if ended_before is None else _ended_before(service, ended_before)
    if not doomed:
        say("There is nothing to remove.")
        return
    if not yes:
        click.confirm(jobs_to_remove_text(doomed), abort=True, err=True)
    codes = _each([record.id for record in doomed], service.delete)
    removed = codes.count(exit_codes.DONE)
    say(f"Removed {removed} job{'' if removed == 1 else 's'}.")
    raise click.exceptions.Exit(worst(codes))


def _named(service: Service, jobs: Sequence[str]) -> list[JobRecord]:
    """Return the jobs; raises InvalidInput when one has not ended, so that nothing is removed then."""
    records = [service.record(job_id) for job_id in dict.fromkeys(map(service.resolve, jobs))]
    problems = [
        f"{record.spec.name} ({record.id}) is {record.status}: cancel it first, then remove it."
        for record in records
        if not record.status.ended
    ]
    if problems:
        raise InvalidInput(problems)
    return records


def _ended_before(service: Service, moment: datetime) -> list[JobRecord]:
    ended = frozenset(status for status in JobStatus if status.ended)
    return [job for job in service.find(Query(statuses=ended)) if job.ended_at is not None and job.ended_at < moment]


def _each(ids: Sequence[str], act: Callable[[str], object]) -> list[int]:
    """Do something with each job; what one of them does not allow is told, and the others follow."""
    codes = []
    for job_id in ids:
        try:
            act(job_id)
        except QjobError as error:
            say(f"Error: {error}", "red")
            codes.append(exit_codes.of_error(error))
        else:
            codes.append(exit_codes.DONE)
    return codes


def _tell(record: JobRecord, notices: Notices, quiet: bool) -> None:
    notices.clear()
    if not quiet:
        out(outcome_line(record))
