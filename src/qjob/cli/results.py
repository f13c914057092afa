"""``qjob result`` and ``qjob download``: what a job leaves."""

from __future__ import annotations

from pathlib import Path

import click

from qjob.cli.render import json_text, result_text
from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import Notices, out
from qjob.cli.values import JOB
from qjob.cli.waiting import wait_for_end
from qjob.errors import JobCancelled, JobFailed, ResultTimeout
from qjob.model.record import JobRecord

_WAIT = click.option("--wait/--no-wait", "waits", default=True, show_default=True, help="Wait for the job's end.")


@click.command()
@click.argument("job", type=JOB)
@_WAIT
@click.option(
    "--allow-pickle",
    is_flag=True,
    help="Open pickled values too. That runs whatever code the file contains: only if you trust who wrote it.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For a person, or for a program.",
)
@click.option("--partial", is_flag=True, help="What the job has saved until now, whatever its state is.")
@pass_session
def result(session: Session, job: str, waits: bool, allow_pickle: bool, output: str, partial: bool) -> None:
    """Print what a job saved as its result.

    That is what its script gave to save_job_result. The exit code is 1 if the job FAILED, 130 if it was
    CANCELLED, and 124 with --no-wait if it has not ended.

    \b
      qjob result vqe-1774965600000
      qjob result vqe-1774965600000 -o json | jq .energy
    """
    with Notices() as notices:
        job_id = session.service.resolve(job) if partial else _ended(session, job, waits, notices).id
        # As it stands in the file: what is printed needs no numpy here, and is JSON.
        values = session.service.result(job_id, allow_pickle=allow_pickle, partial=partial, plain=True)
        if output == "json":
            out(json_text(values))
        elif values:
            out(result_text(values))
        else:
            notices.say("The job has saved no result.")


@click.command()
@click.argument("job", type=JOB)
@click.option(
    "--to",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="The directory, in which one of the job's name is made.",
)
@_WAIT
@pass_session
def download(session: Session, job: str, directory: Path, waits: bool) -> None:
    """Copy the files that a job left to a directory.

    They go to DIRECTORY/NAME/, which is printed. What is there already stays: a file that differs from the
    job's is an error, and then nothing is copied. Of a job that FAILED or was CANCELLED comes what it had saved
    until then, and the exit code says so.

    \b
      qjob download vqe-1774965600000 --to results
    """
    with Notices() as notices:
        record = _ended(session, job, waits, notices)
        try:
            out(str(session.service.download(record.id, directory)))
        except (JobFailed, JobCancelled):
            out(str(directory / record.spec.name))
            raise


def _ended(session: Session, job: str, waits: bool, notices: Notices) -> JobRecord:
    """Return the record of a job that has ended; raises ResultTimeout if it is not waited for and has not."""
    record = session.service.record(job)
    if record.status.ended:
        return record
    if not waits:
        raise ResultTimeout(f"{record.spec.name} ({record.id}) has not ended: it is {record.status}.")
    return wait_for_end(session.service, record.id, notices)
