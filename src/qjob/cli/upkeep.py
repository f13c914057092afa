"""``qjob reindex``, ``qjob prune``, ``qjob config`` and ``qjob version``."""

from __future__ import annotations

import os
import platform
import sys

import click

import qjob
from qjob.cli import exit_codes
from qjob.cli.render import json_text, settings_json, settings_table
from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import out, print_table, say
from qjob.cli.text import size_text
from qjob.cli.values import DURATION
from qjob.config import Settings
from qjob.interpreter.cache import prune as remove_unused

_DAY_S = 86_400.0


@click.command()
@pass_session
def reindex(session: Session) -> None:
    """Build the index of all jobs anew from their folders.

    For when the index is damaged or lost, or folders were brought from elsewhere. A damaged index is set aside,
    not removed. Folders that cannot be read are named, and the exit code is 1 then.
    """
    done = session.service.reindex()
    say(f"{done.jobs} job{'' if done.jobs == 1 else 's'} in the index.")
    for problem in done.problems:
        say(f"Error: {problem}", "red")
    raise click.exceptions.Exit(exit_codes.PROBLEM if done.problems else exit_codes.DONE)


@click.command()
@click.option(
    "--unused-for",
    type=DURATION,
    default="30d",
    show_default=True,
    help="Remove what no job has used for this long: 12h, 30d; 0s: all that is not in use.",
)
@pass_session
def prune(session: Session, unused_for: float) -> None:
    """Remove environments that jobs have not used for long.

    They were made for jobs with requirements, and are made again when a job wants one. One that is in use stays.

    \b
      qjob prune --unused-for 7d
    """
    removed = remove_unused(session.settings.environments, unused_for / _DAY_S)
    size = size_text(sum(each.size_bytes for each in removed))
    say(f"{len(removed)} environment{'' if len(removed) == 1 else 's'} removed, {size}.")


@click.command()
@click.option("--path", "paths_only", is_flag=True, help="Print the configuration files in use, and nothing else.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For a person, or for a program.",
)
@pass_session
def config(session: Session, paths_only: bool, output: str) -> None:
    """Print every setting, its value and where that comes from.

    The first that says something wins: a flag; the environment (QJOB_SLOTS for slots); qjob.toml, or [tool.qjob]
    in pyproject.toml, in this directory or above; ~/.config/qjob/config.toml; the default.
    """
    if paths_only:
        _print_files(session.settings)
    elif output == "json":
        out(json_text(settings_json(session.settings)))
    else:
        print_table(settings_table(session.settings))


@click.command()
def version() -> None:
    """Print the version of qjob.

    On stderr: that of Python, and where both are.
    """
    out(f"qjob {qjob.__version__}")
    say(f"Python {platform.python_version()} at {sys.executable}; qjob at {os.path.dirname(qjob.__file__)}")


def _print_files(settings: Settings) -> None:
    files = [origin for origin in dict.fromkeys(settings.sources.values()) if os.path.isabs(origin)]
    for file in files:
        out(file)
    if not files:
        say("No configuration file says anything; ~/.config/qjob/config.toml would be yours.")
