"""What an instance executes: its interpreter, or first the program that makes the environment it asks for.

An environment that is there is found in a millisecond or two and without starting anything, in the process that
is about to execute the script. Only when it is not there, `qjob.interpreter.build` is put before it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qjob.interpreter.cache import Ready, use
from qjob.interpreter.key import environment_key
from qjob.interpreter.lines import Line, read_lines, read_text
from qjob.interpreter.probe import Probe, known_probe

_PROGRAM = (
    "import sys; sys.path.append(sys.argv.pop(1)); "
    "from qjob.interpreter.build import main; sys.exit(main(sys.argv[1:]))"
)
_SOURCE = Path(__file__).parents[2]


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How an instance is to be started.

    Attributes:
        python: the job's interpreter, on top of which its requirements are installed.
        arguments: what follows the interpreter in the command line.
        requirements: the file with the job's requirements; a job without any has no such file.
        source: the root of the job's code: what paths in the requirements are relative to.
        environments: where environments are kept.
        report_fd: where a failure is reported, see `qjob.runner.bootstrap.report`.
        environ: the instance's environment variables.
    """

    python: str
    arguments: Sequence[str]
    requirements: Path
    source: Path
    environments: Path
    report_fd: int
    environ: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to execute.

    Attributes:
        argv: the command line; the first is the program.
        environ: its environment variables.
        held_fd: holds the environment that it runs in; what is executed inherits it. None where there is none yet.
    """

    argv: list[str]
    environ: dict[str, str]
    held_fd: int | None = None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What environment a launch needs.

    Attributes:
        lines: the requirements.
        probe: the interpreter below.
        key: the environment's name.
    """

    lines: list[Line]
    probe: Probe
    key: str


def command(launch: Launch) -> Command:
    """Return what the instance has to execute; runs nothing, and holds an environment that it will use.

    The lock on it is a descriptor that ``execve`` passes on, so that the job holds it until it has ended.
    """
    if not launch.requirements.exists():
        return Command(argv=[launch.python, *launch.arguments], environ=dict(launch.environ))
    return _ready_command(launch) or Command(argv=build_command(launch), environ=dict(launch.environ))


def build_command(launch: Launch) -> list[str]:
    """Return the command line that makes the environment and then becomes the instance."""
    return [
        sys.executable,
        "-I",
        "-S",
        "-c",
        _PROGRAM,
        str(_SOURCE),
        str(launch.report_fd),
        str(launch.environments),
        launch.python,
        str(launch.requirements),
        str(launch.source),
        "--",
        *launch.arguments,
    ]


def wanted(launch: Launch, probe: Probe) -> Wanted:
    """Return what environment a launch needs; raises OSError and UnicodeDecodeError."""
    text = read_text(launch.requirements.read_bytes())
    lines = read_lines(text, launch.source, launch.source.parent)  # the latter is where Braket's container looks
    return Wanted(lines=lines, probe=probe, key=environment_key(lines, probe, launch.source, launch.environ))


def in_environment(launch: Launch, ready: Ready) -> Command:
    """Return the command that runs in an environment, with the programs of both on PATH."""
    os.set_inheritable(ready.fd, True)
    environ = dict(launch.environ)
    if ready.folder is not None:
        below = os.path.dirname(launch.python)
        environ["PATH"] = os.pathsep.join([str(ready.folder / "bin"), below, environ.get("PATH", os.defpath)])
        environ["VIRTUAL_ENV"] = str(ready.folder)
        environ.pop("PYTHONHOME", None)
    return Command(argv=[ready.python, *launch.arguments], environ=environ, held_fd=ready.fd)


def _ready_command(launch: Launch) -> Command | None:
    try:
        probe = known_probe(launch.environments, launch.python, launch.environ)
        ready = use(launch.environments, wanted(launch, probe).key) if probe is not None else None
    except (OSError, UnicodeDecodeError):
        return None  # the builder meets it again, and can say so
    return in_environment(launch, ready) if ready is not None else None
