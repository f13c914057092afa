"""``qjob move``: a job goes on from its checkpoints on another engine."""

from __future__ import annotations

from typing import Any

import click
from click.exceptions import Exit

from qjob.cli.render import submitted_text
from qjob.cli.session import Session, pass_session
from qjob.cli.submit import follow_to_end, job_options, to_options
from qjob.cli.sweep_text import sweep_submitted_text
from qjob.cli.terminal import Notices, out
from qjob.cli.values import JOB
from qjob.moving import move_job, move_sweep
from qjob.resume import Changes

_KEPT = ("options", "quiet")


@click.command()
@click.argument("job", type=JOB)
@click.option("--engine", required=True, help="Where it goes on.")
@job_options(only=_KEPT)
@click.option("--priority", type=int, help="A job of a higher number starts first; default: that of JOB.")
@click.option("--name", help="The new job's name; default: that of JOB.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Follow its log to its end, as `qjob run` does.")
@pass_session
def move(session: Session, /, job: str, engine: str, follows: bool, quiet: bool, **asked: Any) -> None:
    """End a job here and let it go on from its checkpoints on another engine.

    JOB may be a sweep: then those of its jobs that did not complete. Options, device and limits are looked at first,
    and nothing is ended if they cannot be. JOB gets SIGTERM and its grace period to save what it has. Without
    checkpoints the new job starts from the beginning. If the other engine refuses it after all, it goes on where it
    was. Prints the new job's id.

    \b
      qjob submit vqe.py --name vqe
      qjob move vqe --engine slurm --option partition=long --follow
    """
    changes = Changes(
        name=asked["name"],
        engine=engine,
        options=to_options(asked["options"]) or None,
        priority=asked["priority"],
    )
    service = session.service
    sweep_id = service.sweeps.means(job)
    with Notices(quiet=quiet) as notices:
        if sweep_id is not None:
            sweep = move_sweep(service, sweep_id, changes)
            notices.say(sweep_submitted_text(sweep, engine))
            out(sweep.id)
            return
        record = move_job(service, service.resolve(job), changes)
        notices.say(submitted_text(record))
        if follows:
            raise Exit(follow_to_end(session, record, notices))
        out(record.id)
