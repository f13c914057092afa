"""The command ``qjob``: which commands there are, each loaded when it is used; errors into exit codes."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

import qjob
from qjob.cli import exit_codes
from qjob.cli.session import Session
from qjob.errors import QjobError


@dataclass(frozen=True)
class Entry:
    """One command.

    Attributes:
        module: the module below `qjob.cli` that has it, as a function of the command's name.
        summary: what it does; the first sentence of its own help.
    """

    module: str
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Start": {
        "run": Entry("submit", "Submit a job and follow its log to its end."),
        "submit": Entry("submit", "Submit a job and print its id."),
        "sweep": Entry("sweep", "Submit a job for each point of a grid, and print the sweep's id."),
        "resume": Entry("resume", "Submit an ended job once more, to go on from its checkpoints."),
        "move": Entry("move", "End a job here and let it go on from its checkpoints on another engine."),
    },
    "Look": {
        "ls": Entry("listing", "List jobs, the newest first."),
        "show": Entry("listing", "Show all that is known of a job."),
        "logs": Entry("logs", "Print the output of a job."),
        "metrics": Entry("metrics", "Print the metrics of a job, and plot them."),
        "table": Entry("sweep", "Show what came out of a sweep: a row for each job."),
        "result": Entry("results", "Print what a job saved as its result."),
        "download": Entry("results", "Copy the files that a job left to a directory."),
    },
    "Steer": {
        "wait": Entry("control", "Wait until jobs have ended."),
        "cancel": Entry("control", "Cancel jobs: end them and all that they started."),
        "rm": Entry("control", "Remove ended jobs, with their folders."),
    },
    "Upkeep": {
        "doctor": Entry("doctor", "Look into whether qjob can work here, and say what is in the way."),
        "reindex": Entry("upkeep", "Build the index of all jobs anew from their folders."),
        "prune": Entry("upkeep", "Remove environments that jobs have not used for long."),
        "config": Entry("upkeep", "Print every setting, its value and where that comes from."),
        "completion": Entry("completion", "Print the script that completes qjob's commands and jobs in a shell."),
        "version": Entry("upkeep", "Print the version of qjob."),
    },
}
COMMANDS: dict[str, Entry] = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
_GONE = "Error: the directory that this shell is in has been removed; go to one that is there (cd)."


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used.

    What its commands raise becomes a sentence on stderr and an exit code here.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name, or None."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = getattr(import_module(f"qjob.cli.{entry.module}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is meant; raises click.UsageError, with the ones that sound alike."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(_no_such_command(args[0]), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        for title, entries in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in entries.items()], col_max=14)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; what goes wrong is told in a sentence, unless a traceback is wanted."""
        try:
            with _told_warnings():
                return super().invoke(ctx)
        except BrokenPipeError:
            ctx.exit(_quietly_gone())
        except (QjobError, OSError) as error:
            if ctx.params.get("traceback"):
                raise
            ctx.exit(_told_error(error))
        except (KeyboardInterrupt, RuntimeError) as error:
            if not _is_interrupt(error):
                raise
            _say("Interrupted.")
            ctx.exit(exit_codes.CANCELLED)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    subcommand_metavar="COMMAND [ARGS]…",
)
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    metavar="DIR",
    help="The state directory; default: $QJOB_HOME, or what `qjob config` says.",
)
@click.option("--traceback", is_flag=True, help="Show Python's traceback of an error, not just the sentence.")
@click.version_option(qjob.__version__, "-V", "--version", message="qjob %(version)s")
@click.pass_context
def cli(ctx: click.Context, home: str | None, traceback: bool) -> None:
    """Run hybrid quantum-classical jobs.

    \b
      qjob run vqe.py -p theta=0.5        submit a script, see its output as it comes
      qjob ls                             what runs, what waits, what has ended
      qjob logs -f vqe-1774965600000      come back to a job, from anywhere
      qjob result vqe-1774965600000       what it saved with save_job_result

    A JOB is a job's name (the newest of that name), its id, the beginning of its id, or its ARN.

    \b
    Exit codes:
      0    done; run, wait, logs -f: and the job COMPLETED. Also when Ctrl-C detaches from a job
      1    the job FAILED, or something went wrong
      2    what was asked cannot be: a wrong option or setting, no such job
      124  time ran out: of `wait --timeout`, or for run, wait and logs -f the job's own limit
      130  the job was CANCELLED, or the command was interrupted
    """
    ctx.obj = ctx.obj or Session(home=home, traceback=traceback)


def main() -> int:
    """Run the command line of this process; return its exit code, or raise SystemExit with it."""
    _prepare_streams()
    cli.main(prog_name="qjob")
    return exit_codes.DONE


def _prepare_streams() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller, as with >&-
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # as long as the process
        elif isinstance(stream, io.TextIOWrapper):  # a file may have any name, a job may say anything
            stream.reconfigure(errors="backslashreplace")


def _no_such_command(name: str) -> str:
    from difflib import get_close_matches  # only for this one sentence

    alike = get_close_matches(name, COMMANDS)
    hint = f" Did you mean {' or '.join(alike)}?" if alike else ""
    return f"There is no command {name!r}.{hint}"


@contextmanager
def _told_warnings() -> Iterator[None]:
    """Make Python's warnings sentences on stderr, each told once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for category in (RuntimeWarning, UserWarning):
            warnings.filterwarnings("always", category=category)
        told: set[str] = set()

        def tell(message: Warning | str, *_: object, **__: object) -> None:
            if str(message) not in told:
                _say(f"Warning: {message}", "yellow")
            told.add(str(message))

        warnings.showwarning = tell
        yield


def _told_error(error: QjobError | OSError) -> int:
    if isinstance(error, QjobError):
        _say(f"Error: {error}", "red")
        return exit_codes.of_error(error)
    place = f" ({error.filename})" if error.filename else ""
    _say(_GONE if _directory_is_gone(error) else f"Error: {error.strerror or error}{place}", "red")
    from qjob.cli.terminal import silence

    silence(sys.stdout)  # if it was stdout that could not be written, the rest cannot be either
    return exit_codes.PROBLEM


def _directory_is_gone(error: OSError) -> bool:
    """Return whether the error is that of `os.getcwd`, which names no file."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return isinstance(error, FileNotFoundError) and error.filename is None
    return False


def _is_interrupt(error: BaseException) -> bool:
    """Return whether it is Ctrl-C; in the middle of an import, Python before 3.12 wraps it into a RuntimeError."""
    return isinstance(error, KeyboardInterrupt) or isinstance(error.__cause__, KeyboardInterrupt)


def _quietly_gone() -> int:
    from qjob.cli.terminal import silence

    silence(sys.stdout)
    silence(sys.stderr)
    return exit_codes.BROKEN_PIPE


def _say(text: str, colour: str | None = None) -> None:
    from qjob.cli.terminal import say  # only when there is something to say

    say(text, colour)
