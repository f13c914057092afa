"""``qjob submit`` and ``qjob run``: a script becomes a job."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click

from qjob.cli.render import left_out_text, submitted_text
from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import Notices, out
from qjob.cli.values import DURATION, JOB, KEY_VALUE, to_mapping
from qjob.cli.waiting import follow, tell_end, write_all
from qjob.log_printer import LogPrinter
from qjob.model.config import InstanceConfig, StoppingCondition
from qjob.model.record import JobRecord
from qjob.request import Request, prepare
from qjob.source.inputs import CHANNEL_PATTERN, DEFAULT_CHANNEL

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "hyperparameters": click.option(
        "-p",
        "--hyperparameter",
        "hyperparameters",
        type=KEY_VALUE,
        multiple=True,
        help="A hyperparameter; the script gets the value as text. Repeatable.",
    ),
    "name": click.option(
        "--name", help="The job's name: 1 to 50 letters, digits and hyphens; default: made from SCRIPT."
    ),
    "entry_point": click.option(
        "--entry-point",
        metavar="MODULE[:FUNCTION]",
        help="What to run of SCRIPT: a module, as a script, or a function in it.",
    ),
    "device": click.option(
        "--device",
        default=Request.device,
        show_default=True,
        help="The device that the job is for: an ARN, which it holds while it runs, or local:PROVIDER/SIMULATOR.",
    ),
    "requirements": click.option(
        "-r",
        "--requirements",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        multiple=True,
        help="A requirements file: what the job needs installed besides. requirements.txt in a folder that is "
        "SCRIPT is found by itself. Repeatable.",
    ),
    "packages": click.option(
        "--with",
        "packages",
        metavar="REQUIREMENT",
        multiple=True,
        help="A package that the job needs installed besides, as in 'scipy>=1.11'. Repeatable.",
    ),
    "python": click.option(
        "--python", help="The job's interpreter: a path or a version as 3.12; default: the one of qjob."
    ),
    "engine": click.option("--engine", help="Where it runs; default: the setting `engine`."),
    "instances": click.option(
        "--instances",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="How many processes run the script.",
    ),
    "max_runtime": click.option(
        "--max-runtime", type=DURATION, help="The longest run, as in 2h, 90m, 30s or 1d; default: 5 days."
    ),
    "inputs": click.option(
        "--input",
        "inputs",
        metavar="[CHANNEL=]PATH",
        multiple=True,
        help=f"A file or folder of input data, copied now; the channel is {DEFAULT_CHANNEL!r} if none is named. "
        "Repeatable.",
    ),
    "copy_checkpoints_from": click.option(
        "--copy-checkpoints-from",
        type=JOB,
        metavar="JOB",
        help="Start with the checkpoints of another job.",
    ),
    "tags": click.option("--tag", "tags", type=KEY_VALUE, multiple=True, help="A tag, to find the job by. Repeatable."),
    "priority": click.option(
        "--priority", type=int, default=0, show_default=True, help="A job of a higher number starts first."
    ),
    "options": click.option(
        "--option",
        "options",
        type=KEY_VALUE,
        multiple=True,
        help="An option of the engine; a value that is JSON is taken as that. Repeatable.",
    ),
    "quiet": click.option("-q", "--quiet", is_flag=True, help="Say nothing on stderr but warnings and errors."),
}


def job_options(*left_out: str, only: Iterable[str] = tuple(_OPTIONS)) -> Callable[[F], F]:
    """Return a decorator that adds to a command the options that say what a job is, but for some, by parameter."""

    def add(command: F) -> F:
        for name, option in reversed(_OPTIONS.items()):
            if name in only and name not in left_out:
                command = option(command)
        return command

    return add


@click.command()
@click.argument("script", type=click.Path())
@job_options()
@pass_session
def submit(session: Session, /, script: str, quiet: bool, **asked: Any) -> None:
    """Submit a job and print its id.

    SCRIPT is a Python file, a folder of code, an archive of one or the name of an installed package; it is copied
    as it is now. The id is all that is printed on stdout, so that it can be kept in a variable. The job waits for
    its turn and runs on its own.

    \b
      job=$(qjob submit vqe.py -p theta=0.5 --tag sweep=h2)
      qjob wait $job && qjob result $job
      qjob submit ./h2 --entry-point h2.main:run --instances 2 --max-runtime 2h
    """
    with Notices(quiet=quiet) as notices:
        out(_submitted(session, script, asked, notices).id)


@click.command()
@click.argument("script", type=click.Path())
@job_options()
@pass_session
def run(session: Session, /, script: str, quiet: bool, **asked: Any) -> None:
    """Submit a job and follow its log to its end.

    SCRIPT is a Python file, a folder of code, an archive of one or the name of an installed package; it is copied
    as it is now. stdout gets what the job prints, byte for byte; what the job waits for and how it ended is told on
    stderr. The exit code tells how it ended.

    Ctrl-C detaches: the job goes on, `qjob logs -f` comes back to it, `qjob cancel` ends it. Detaching is no
    failure, and its exit code is 0.

    \b
      qjob run vqe.py -p theta=0.5 -p layers=3
      qjob run vqe.py --device arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1
      qjob run ./h2 --entry-point h2.main:run --input molecules=./data --max-runtime 2h
    """
    with Notices(quiet=quiet) as notices:
        code = follow_to_end(session, _submitted(session, script, asked, notices), notices)
    raise click.exceptions.Exit(code)


def follow_to_end(session: Session, record: JobRecord, notices: Notices) -> int:
    """Print the log of a job that was just submitted until its end; return the exit code that tells of it."""
    reader = session.service.log(record.id)
    printer = LogPrinter(sys.stdout, instances=record.spec.instance_count)
    pieces = follow(session.service, record.id, lambda final: reader.pieces(final=final), notices)
    to_its_end = write_all(pieces, printer.write)
    printer.close()
    return tell_end(session.service, record.id, notices, to_its_end=to_its_end)


def stopping_condition(max_runtime_s: float | None) -> StoppingCondition | None:
    """Return what ends a job after so many seconds, rounded up; None when it was not asked for."""
    return None if max_runtime_s is None else StoppingCondition(maxRuntimeInSeconds=math.ceil(max_runtime_s))


def _submitted(session: Session, script: str, asked: dict[str, Any], notices: Notices) -> JobRecord:
    record = session.service.submit(prepare(request_of(session, script, asked)))
    notices.say(submitted_text(record))
    if left_out := left_out_text(record):
        notices.say(left_out)
    return record


def request_of(session: Session, script: str, asked: dict[str, Any]) -> Request:
    """Return what the options of a command ask for, see `job_options`."""
    other = asked.get("copy_checkpoints_from")
    return Request(
        source=script,
        entry_point=asked["entry_point"],
        device=asked["device"],
        engine=asked["engine"] or session.settings.engine,
        name=asked["name"],
        hyperparameters=to_mapping(asked["hyperparameters"], "--hyperparameter"),
        input_data=to_mapping(map(_channel, asked["inputs"]), "--input"),
        instance_config=InstanceConfig(instanceCount=asked["instances"]),
        stopping_condition=stopping_condition(asked["max_runtime"]),
        dependencies=[*asked["requirements"], *asked["packages"]] or None,
        python=asked["python"],
        copied_from=session.service.resolve(other) if other is not None else None,
        tags=to_mapping(asked["tags"], "--tag"),
        priority=asked["priority"],
        options=to_options(asked["options"]),
        grace_s=session.settings.grace_s,
    )


def _channel(text: str) -> tuple[str, str]:
    """Return channel and path; what stands before the first ``=`` and can be no channel is part of a path."""
    channel, equals, path = text.partition("=")
    return (channel, path) if equals and CHANNEL_PATTERN.fullmatch(channel) else (DEFAULT_CHANNEL, text)


def to_options(given: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return an engine's options as they were given on the command line; a value that is JSON is taken as that."""
    return to_mapping(_options(given), "--option")


def _options(given: Iterable[tuple[str, str]]) -> Iterable[tuple[str, Any]]:
    for key, text in given:
        try:
            yield key, json.loads(text)
        except ValueError:
            yield key, text
