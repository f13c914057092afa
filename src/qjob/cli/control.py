"""``qjob wait``, ``qjob cancel`` and ``qjob rm``: jobs to their end, and away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from qjob.cli import exit_codes
from qjob.cli.render import jobs_to_remove_text, outcome_line
from qjob.cli.session import Session, pass_session
from qjob.cli.sweep_text import jobs_text
from qjob.cli.sweeps import tell_counts, wait_for_sweep
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

    JOB may be a sweep: then all of its jobs. Prints a line for each. The exit code tells how the job ended: 0 if it
    COMPLETED, 1 if it FAILED, 130 if it was CANCELLED, 124 if time ran out; of several jobs, the first that did not
    complete.

    \b
      qjob wait vqe-1774965600000 && qjob result vqe-1774965600000
      qjob wait $(qjob ls --tag sweep=h2 -o id) --timeout 1h
    """
    service = session.service
    wanted = _selected(service, jobs)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    codes = []
    with Notices(quiet=quiet) as notices:
        for number, each in enumerate(wanted, start=1):
            about = f"{number} of {len(wanted)}: " if len(wanted) > 1 else ""
            left_s = None if deadline is None else max(0.0, deadline - time.monotonic())
            if each.is_sweep:
                counts = wait_for_sweep(service, each.id, notices, timeout_s=left_s)
                codes.append(tell_counts(service.sweeps.record(each.id), counts, notices, quiet=quiet))
                continue
            record = wait_for_end(service, each.id, notices, timeout_s=left_s, about=about)
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

    JOB may be a sweep: then those of its jobs that have not ended. A job that waits ends at once; one that runs gets
    SIGTERM and some seconds to save what it has. To repeat it does no harm; a job that has ended by itself cannot be
    cancelled, and the exit code is 1.

    \b
      qjob cancel vqe-1774965600000 --wait
      qjob cancel $(qjob ls --all --tag sweep=h2 --status QUEUED -o id)
    """
    service = session.service
    wanted = list(dict.fromkeys(_selected(service, jobs)))
    codes = _each(wanted, lambda each: _end(service, each, reason))
    with Notices(quiet=quiet) as notices:
        for each, code in zip(wanted, codes, strict=True):
            if code == exit_codes.DONE:
                _tell_cancelled(service, each, notices, waits=waits, quiet=quiet)
    raise click.exceptions.Exit(worst(codes))


@click.command()
@click.argument("jobs", type=JOB, metavar="[JOB…]", nargs=-1)
@click.option("--ended-before", type=MOMENT, help="All jobs that ended before then: 7d (ago), or a date and time.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_session
def rm(session: Session, jobs: tuple[str, ...], ended_before: datetime | None, yes: bool) -> None:
    """Remove ended jobs, with their folders.

    JOB may be a sweep: then it and all of its jobs. Their logs, results and checkpoints are gone then. It asks first;
    where nobody can answer, -y is needed. A job that has not ended is not removed: cancel it first.

    \b
      qjob rm vqe-1774965600000
      qjob rm --ended-before 30d -y
    """
    service = session.service
    if bool(jobs) == (ended_before is not None):
        raise click.UsageError("Name the jobs to remove, or give --ended-before: one of the two.")
    if ended_before is None:
        wanted = list(dict.fromkeys(_selected(service, jobs)))
        doomed = _named(service, wanted)
    else:
        doomed = _ended_before(service, ended_before)
        wanted = [Selected(id=record.id) for record in doomed]
    if not wanted:
        say("There is nothing to remove.")
        return
    if not yes:
        click.confirm(jobs_to_remove_text(doomed), abort=True, err=True)
    codes = _each(wanted, lambda each: _delete(service, each))
    if not any(codes):
        say(f"Removed {jobs_text(len(doomed))}.")
    raise click.exceptions.Exit(worst(codes))


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What somebody means: a job, or a sweep with all of its jobs.

    Attributes:
        id: of the one or the other.
        is_sweep: which.
    """

    id: str
    is_sweep: bool = False


def _selected(service: Service, selectors: Sequence[str]) -> list[Selected]:
    """Return what is meant; raises JobNotFound or AmbiguousJob."""
    found = []
    for selector in selectors:
        sweep_id = service.sweeps.means(selector)
        found.append(Selected(id=sweep_id or service.resolve(selector), is_sweep=sweep_id is not None))
    return found


def _end(service: Service, selected: Selected, reason: str) -> None:
    if selected.is_sweep:
        service.sweeps.cancel(selected.id, reason)
    else:
        service.cancel(selected.id, reason)


def _tell_cancelled(service: Service, selected: Selected, notices: Notices, *, waits: bool, quiet: bool) -> None:
    if selected.is_sweep:
        sweeps = service.sweeps
        counts = wait_for_sweep(service, selected.id, notices) if waits else sweeps.counts(selected.id)
        tell_counts(sweeps.record(selected.id), counts, notices, quiet=quiet)
    else:
        _tell(wait_for_end(service, selected.id, notices) if waits else service.record(selected.id), notices, quiet)


def _delete(service: Service, selected: Selected) -> None:
    if selected.is_sweep:
        service.sweeps.delete(selected.id)
    else:
        service.delete(selected.id)


def _named(service: Service, wanted: Sequence[Selected]) -> list[JobRecord]:
    """Return the jobs; raises InvalidInput when one has not ended, so that nothing is removed then."""
    records: list[JobRecord] = []
    for each in wanted:
        records += service.sweeps.job_records(each.id) if each.is_sweep else [service.record(each.id)]
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


def _each(wanted: Sequence[Selected], act: Callable[[Selected], object]) -> list[int]:
    """Do something with each; what one of them does not allow is told, and the others follow."""
    codes = []
    for each in wanted:
        try:
            act(each)
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
