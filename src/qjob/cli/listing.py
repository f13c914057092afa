"""``qjob ls`` and ``qjob show``: what is known of jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from qjob.cli.render import job_text, jobs_table, json_text, wide_table
from qjob.cli.session import Session, pass_session
from qjob.cli.sweep_text import sweep_json, sweep_text
from qjob.cli.table import Table
from qjob.cli.terminal import out, print_table, say
from qjob.cli.values import JOB, KEY_VALUE, MOMENT, SWEEP, to_mapping
from qjob.model.record import JobRecord, get_job
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepSummary
from qjob.service import Service
from qjob.store.store import Query

_NEWEST = 20
_TABLES: dict[str, Callable[[Sequence[JobRecord | SweepSummary], datetime], Table]] = {
    "table": jobs_table,
    "wide": wide_table,
}
_LINES: dict[str, Callable[[JobRecord], str]] = {"name": lambda job: job.spec.name, "id": lambda job: job.id}
"""What a line of output is of jobs: of each by itself, as a line is there to be handed to the next command."""


@click.command()
@click.option("-a", "--all", "everything", is_flag=True, help="All jobs, however many there are.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=_NEWEST, show_default=True, help="At most so many jobs."
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice([str(status) for status in JobStatus], case_sensitive=False),
    multiple=True,
    help="Jobs in this state. Repeatable: in any of them.",
)
@click.option("--name", help="Jobs of exactly this name.")
@click.option("--tag", "tags", type=KEY_VALUE, multiple=True, help="Jobs with this tag. Repeatable: with all of them.")
@click.option("--device", help="Jobs for exactly this device.")
@click.option("--sweep", type=SWEEP, help="The jobs of this sweep, each by itself.")
@click.option("--since", type=MOMENT, help="Jobs created since then: how long ago (2h, 1d), or a date and time.")
@click.option(
    "-o",
    "--output",
    type=click.Choice([*_TABLES, "json", *_LINES]),
    default="table",
    show_default=True,
    help="What to print: a table, a wider one, all that is known, or names or ids one a line.",
)
@pass_session
def ls(session: Session, /, everything: bool, limit: int, output: str, **asked: Any) -> None:
    """List jobs, the newest first.

    A sweep is one line among them, and is there when one of its jobs would be; --sweep lists its jobs. With -o id
    and -o name there is a line for each job, those of sweeps included: what is piped into `qjob cancel` ends
    exactly the jobs that were asked for. With -o json, each job is what `show` has, but without its place in the
    queue, and each sweep what `show` has of it, an object with `sweepId`.

    \b
      qjob ls
      qjob ls --status RUNNING --status QUEUED
      qjob ls --tag molecule=h2 --since 2d -o wide
      qjob ls --sweep h2 --status FAILED
      qjob cancel $(qjob ls --all --status QUEUED -o id)
    """
    service = session.service
    query = Query(
        statuses=frozenset(map(JobStatus, asked["statuses"])),
        name=asked["name"],
        tags=to_mapping(asked["tags"], "--tag"),
        device=asked["device"],
        created_after=asked["since"],
        sweep=None if asked["sweep"] is None else service.sweeps.resolve(asked["sweep"]),
        limit=None if everything else limit + 1,  # one more tells whether there are more
    )
    each_job = output in _LINES or query.sweep is not None
    found: Sequence[JobRecord | SweepSummary] = service.find(query) if each_job else service.overview(query)
    shown = found if everything else found[:limit]
    _print_entries(service, shown, output)
    if len(found) > len(shown):
        say(f"These are the newest {limit}; there are more: -n NUMBER, or --all.")


@click.command()
@click.argument("jobs", type=JOB, metavar="JOB…", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For a person, or for a program.",
)
@pass_session
def show(session: Session, jobs: tuple[str, ...], output: str) -> None:
    """Show all that is known of a job.

    JOB may be a sweep. With -o json it is the dict that Job.metadata() returns and record.json holds, or what
    sweep.json holds with the number of jobs in each state; of several, a list of them.

    \b
      qjob show vqe-1774965600000
      qjob show vqe-1774965600000 -o json | jq -r .qjob.folder
    """
    service = session.service
    if output == "text":
        out("\n\n".join(_text_about(service, selector) for selector in jobs))
        return
    found = [_data_about(service, selector) for selector in jobs]
    out(json_text(found if len(found) > 1 else found[0]))


def _text_about(service: Service, selector: str) -> str:
    now = datetime.now(UTC)
    sweep_id = service.sweeps.means(selector)
    if sweep_id is not None:
        sweeps = service.sweeps
        folder = str(sweeps.folder(sweep_id).path)
        return sweep_text(sweeps.record(sweep_id), sweeps.counts(sweep_id), folder, now)
    data = service.metadata(selector)
    return job_text(data, now, _traceback(service, data["qjob"]["id"]))


def _data_about(service: Service, selector: str) -> dict[str, Any]:
    sweep_id = service.sweeps.means(selector)
    if sweep_id is None:
        return service.metadata(selector)
    sweeps = service.sweeps
    return sweep_json(sweeps.record(sweep_id), sweeps.counts(sweep_id), str(sweeps.folder(sweep_id).path))


def _print_entries(service: Service, entries: Sequence[JobRecord | SweepSummary], output: str) -> None:
    if output == "json":
        out(json_text([_data(service, entry) for entry in entries]))
    elif output in _TABLES:
        print_table(_TABLES[output](entries, datetime.now(UTC)))
    elif entries:
        out("\n".join(_LINES[output](entry) for entry in entries if isinstance(entry, JobRecord)))


def _data(service: Service, entry: JobRecord | SweepSummary) -> dict[str, Any]:
    if isinstance(entry, JobRecord):
        return _metadata(service, entry)
    return sweep_json(entry.sweep, entry.counts, str(service.sweeps.folder(entry.id).path))


def _metadata(service: Service, record: JobRecord) -> dict[str, Any]:
    """Return what record.json holds of a job; to ask for the place in the queue takes too long for thousands."""
    return get_job(record, str(service.folder(record.id).path))


def _traceback(service: Service, job_id: str) -> str:
    outcome = service.outcome(job_id)
    return (outcome.traceback or "") if outcome is not None else ""
