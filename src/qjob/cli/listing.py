"""``qjob ls`` and ``qjob show``: what is known of jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from qjob.cli.render import job_text, jobs_table, json_text, wide_table
from qjob.cli.session import Session, pass_session
from qjob.cli.table import Table
from qjob.cli.terminal import out, print_table, say
from qjob.cli.values import JOB, KEY_VALUE, MOMENT, to_mapping
from qjob.model.record import JobRecord, get_job
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query

_NEWEST = 20
_TABLES: dict[str, Callable[[Sequence[JobRecord], datetime], Table]] = {"table": jobs_table, "wide": wide_table}
_LINES: dict[str, Callable[[JobRecord], str]] = {"name": lambda job: job.spec.name, "id": lambda job: job.id}


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

    With -o json, each job is what `show` has, but without its place in the queue.

    \b
      qjob ls
      qjob ls --status RUNNING --status QUEUED
      qjob ls --tag sweep=h2 --since 2d -o wide
      qjob cancel $(qjob ls --all --status QUEUED -o id)
    """
    query = Query(
        statuses=frozenset(map(JobStatus, asked["statuses"])),
        name=asked["name"],
        tags=to_mapping(asked["tags"], "--tag"),
        device=asked["device"],
        created_after=asked["since"],
        limit=None if everything else limit + 1,  # one more tells whether there are more
    )
    found = session.service.find(query)
    shown = found if everything else found[:limit]
    _print_jobs(session.service, shown, output)
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

    With -o json it is the dict that Job.metadata() returns and record.json holds; of several jobs, a list
    of them.

    \b
      qjob show vqe-1774965600000
      qjob show vqe-1774965600000 -o json | jq -r .qjob.folder
    """
    service = session.service
    found = [service.metadata(job_id) for job_id in map(service.resolve, jobs)]
    if output == "json":
        out(json_text(found if len(found) > 1 else found[0]))
        return
    now = datetime.now(UTC)
    out("\n\n".join(job_text(data, now, _traceback(service, data["qjob"]["id"])) for data in found))


def _print_jobs(service: Service, records: Sequence[JobRecord], output: str) -> None:
    if output == "json":
        out(json_text([_metadata(service, record) for record in records]))
    elif output in _TABLES:
        print_table(_TABLES[output](records, datetime.now(UTC)))
    elif records:
        out("\n".join(map(_LINES[output], records)))


def _metadata(service: Service, record: JobRecord) -> dict[str, Any]:
    """Return what record.json holds of a job; to ask for the place in the queue takes too long for thousands."""
    return get_job(record, str(service.folder(record.id).path))


def _traceback(service: Service, job_id: str) -> str:
    outcome = service.outcome(job_id)
    return (outcome.traceback or "") if outcome is not None else ""
