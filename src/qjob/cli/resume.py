"""``qjob resume``: an ended job goes on from its checkpoints, as a new job."""

from __future__ import annotations

import click
from click.exceptions import Exit

from qjob.cli.render import submitted_text
from qjob.cli.session import Session, pass_session
from qjob.cli.submit import follow_to_end, stopping_condition, to_options
from qjob.cli.sweep_text import sweep_submitted_text
from qjob.cli.sweeps import tell_counts, wait_for_sweep
from qjob.cli.terminal import Notices, out
from qjob.cli.values import DURATION, JOB, KEY_VALUE, to_mapping
from qjob.resume import Changes, prepare_resumption
from qjob.service import Service
from qjob.sweep_request import prepare_sweep_resumption


@click.command()
@click.argument("job", type=JOB)
@click.option(
    "-p",
    "--hyperparameter",
    "hyperparameters",
    type=KEY_VALUE,
    multiple=True,
    help="A hyperparameter that is to be different; the others stay. Repeatable.",
)
@click.option("--name", help="The new job's name; default: that of JOB.")
@click.option("--engine", help="Where it runs; default: where JOB ran.")
@click.option(
    "--option",
    "options",
    type=KEY_VALUE,
    multiple=True,
    help="An option of the engine; default: those of JOB, and none on another engine. Repeatable.",
)
@click.option("--max-runtime", type=DURATION, help="The longest run of the new job, as in 2h; default: that of JOB.")
@click.option("-f", "--follow", "follows", is_flag=True, help="Follow its log to its end, as `qjob run` does.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but warnings and errors.")
@pass_session
def resume(
    session: Session,
    job: str,
    hyperparameters: tuple[tuple[str, str], ...],
    name: str | None,
    engine: str | None,
    options: tuple[tuple[str, str], ...],
    max_runtime: float | None,
    follows: bool,
    quiet: bool,
) -> None:
    """Submit an ended job once more, to go on from its checkpoints.

    JOB may be a sweep: then those of its jobs that did not complete, as a new sweep. Prints the new job's id. It runs
    the code and the input data that JOB ran, as they lie in JOB's folder. What its script gets from
    load_job_checkpoint() is what JOB saved last.

    \b
      qjob resume vqe-1774965600000
      qjob resume vqe-1774965600000 -p iterations=500 --max-runtime 8h --follow
    """
    changes = Changes(
        name=name,
        engine=engine,
        options=to_options(options) or None,
        hyperparameters=to_mapping(hyperparameters, "--hyperparameter"),
        stopping_condition=stopping_condition(max_runtime),
    )
    service = session.service
    sweep_id = service.sweeps.means(job)
    with Notices(quiet=quiet) as notices:
        if sweep_id is not None:
            _resume_sweep(service, sweep_id, changes, notices, follows=follows)
            return
        old = service.record(job)
        record = service.submit(prepare_resumption(old, service.folder(old.id), changes))
        notices.say(submitted_text(record))
        if follows:
            raise Exit(follow_to_end(session, record, notices))
        out(record.id)


def _resume_sweep(service: Service, sweep_id: str, changes: Changes, notices: Notices, *, follows: bool) -> None:
    sweeps = service.sweeps
    submission = prepare_sweep_resumption(
        sweeps.record(sweep_id), sweeps.job_records(sweep_id), service.folder, sweeps.folder(sweep_id), changes
    )
    record = sweeps.submit(submission)
    notices.say(sweep_submitted_text(record, submission.spec.engine))
    if not follows:
        out(record.id)
        return
    counts = wait_for_sweep(service, record.id, notices)
    raise Exit(tell_counts(record, counts, notices, quiet=False))
