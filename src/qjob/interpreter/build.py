"""The program that makes a job's environment, and then becomes the job: see `qjob.interpreter.launch.command`.

Its standard output is the job's log. Several may want the same environment: one makes it, the others wait.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from qjob.errors import EnvironmentFailed
from qjob.interpreter.cache import building, clear, finish, folder_of, use
from qjob.interpreter.content import left_out
from qjob.interpreter.distributions import all_there, distributions
from qjob.interpreter.installers import REQUIREMENTS, Task, install, tell
from qjob.interpreter.launch import Command, Launch, Wanted, in_environment, wanted
from qjob.interpreter.lines import Kind, Line, joined_text, read_constraints
from qjob.interpreter.probe import Probe, make_probe

_ON_TOP = "zz_qjob_below.pth"
"""Read last of the environment's own: what it brings comes before what lies below."""

_BUILD = "build"
_ATTEMPTS = 3  # another process may remove what was made before it is held
_MAX_TRACEBACK_CHARS = 16_000


def main(arguments: Sequence[str]) -> int:
    """Make the environment and execute the job in it; return 1, after a report, when it cannot be made."""
    launch = _parsed(arguments)
    try:
        command = _made(launch)
        os.execve(command.argv[0], command.argv, command.environ)
    except EnvironmentFailed as error:
        failure = error
    except (OSError, UnicodeDecodeError) as error:
        failure = EnvironmentFailed(f"The environment for the requirements cannot be made: {error}")
    tell(failure.reason)
    _report(launch.report_fd, failure)
    return 1


def make_environment(launch: Launch, asked: Wanted, lock_fd: int) -> None:
    """Make an environment from nothing, whatever is there of it; raises EnvironmentFailed and OSError."""
    begun = time.monotonic()
    folder = folder_of(launch.environments, asked.key)
    clear(folder)
    folder.mkdir(mode=0o700)
    try:
        installed = _filled(folder, launch, asked, lock_fd)
    except (EnvironmentFailed, OSError, UnicodeDecodeError):
        with contextlib.suppress(OSError):  # the first error is the one to be told; `qjob prune` removes the rest
            clear(folder)
        raise
    if installed:
        tell(f"the environment is ready after {time.monotonic() - begun:.1f} s: {folder}")


def _parsed(arguments: Sequence[str]) -> Launch:
    report_fd, environments, python, requirements, source, _, *rest = arguments
    return Launch(
        python=python,
        arguments=rest,
        requirements=Path(requirements),
        source=Path(source),
        environments=Path(environments),
        report_fd=int(report_fd),
        environ=dict(os.environ),
    )


def _made(launch: Launch) -> Command:
    asked = wanted(launch, make_probe(launch.environments, launch.python, launch.environ))
    for _ in range(_ATTEMPTS):
        ready = use(launch.environments, asked.key)
        if ready is not None:
            return in_environment(launch, ready)
        _make_once(launch, asked)
    raise EnvironmentFailed(f"{folder_of(launch.environments, asked.key)} was made and cannot be used")


def _make_once(launch: Launch, asked: Wanted) -> None:
    with building(launch.environments, asked.key, _tell_of_the_wait) as lock_fd:
        ready = use(launch.environments, asked.key)
        if ready is None:
            make_environment(launch, asked, lock_fd)
        else:
            os.close(ready.fd)


def _tell_of_the_wait() -> None:
    tell("another process is making the environment for the same requirements: waiting for it")


def _filled(folder: Path, launch: Launch, asked: Wanted, lock_fd: int) -> bool:
    """Make the environment in an empty folder; return whether something had to be installed."""
    facts = {"below": launch.python, "requirements": [str(line) for line in asked.lines]}
    if all_there(asked.lines, distributions(asked.probe.paths)):
        tell(f"all requirements are there in {launch.python}'s environment: nothing to install")
        finish(folder, launch.python, {**facts, "installed": False})
        return False
    tell(f"making an environment for {_number(asked.lines)} on top of {launch.python}")
    installer = install(_prepared(folder, launch, asked, lock_fd))
    shutil.rmtree(folder / _BUILD)
    finish(folder, str(folder / "bin" / "python"), {**facts, "installed": True, "installer": installer})
    return True


def _prepared(folder: Path, launch: Launch, asked: Wanted, lock_fd: int) -> Task:
    site_packages = _make_venv(folder, launch.python, lock_fd)
    (site_packages / _ON_TOP).write_text(_on_top(asked.probe), encoding="ascii")
    directory = folder / _BUILD
    directory.mkdir()
    text = joined_text(_brought_along(asked.lines, directory, launch.source))
    (directory / REQUIREMENTS).write_text(text, encoding="utf-8")
    return Task(
        python=str(folder / "bin" / "python"),
        site_packages=site_packages,
        below=asked.probe,
        directory=directory,
        environ=launch.environ,
        lock_fd=lock_fd,
    )


def _make_venv(folder: Path, python: str, lock_fd: int) -> Path:
    """Make a virtual environment of the interpreter below, without pip; return its site-packages."""
    done = subprocess.run(
        [python, "-I", "-m", "venv", "--without-pip", "--symlinks", folder],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        check=False,
        pass_fds=(lock_fd,),
    )
    found = next(folder.glob("lib/python3*/site-packages"), None)
    if done.returncode or found is None:
        raise EnvironmentFailed(f"{python} cannot make a virtual environment: {done.stdout.strip()}", done.stdout)
    return found


def _on_top(below: Probe) -> str:
    """Return the ``.pth`` file that puts the packages of the interpreter below after the environment's own.

    In ASCII, as Python reads these files in the locale's encoding before 3.13; and without a comprehension, which
    sees no name of the line that it stands in.
    """
    sites = [path for path in below.paths if path in below.sites]  # what else is on its path is there by these
    return f"import site; list(map(site.addsitedir, {sites!a}))\n"


def _brought_along(lines: Sequence[Line], directory: Path, source: Path) -> list[Line]:
    """Copy or link what the requirements name into the build directory; return them with paths that lie there.

    An installer may write into a folder that it installs from, and the job's code is not to change; and a
    relative path without a blank is read by all installers in the same way.
    """
    return [
        line if line.path is None else _one_brought_along(line, line.path, f"{number}", directory, source)
        for number, line in enumerate(lines)
    ]


def _one_brought_along(line: Line, path: Path, place: str, directory: Path, source: Path) -> Line:
    if line.kind is Kind.FILE:
        return line  # it could not be read, and the installer is to say so
    if line.kind is Kind.CONSTRAINTS:
        inner = read_constraints(path, source)
        (directory / place).mkdir()
        text = joined_text(_brought_along(inner, directory / place, source))
        (directory / place / "constraints.txt").write_text(text, encoding="utf-8")
        return replace(line, path=None, value=f"./{place}/constraints.txt")
    if line.kind is Kind.FIND_LINKS:
        (directory / place).symlink_to(path)
        return replace(line, path=None, value=f"./{place}")
    return Line(kind=Kind.REQUIREMENT, value=f"./{place}/{_copied(path, directory / place)}{line.extras}")


def _copied(path: Path, place: Path) -> str:
    place.mkdir()
    if path.is_file():
        shutil.copyfile(path, place / path.name)  # a wheel's name tells what it is
        return path.name
    try:
        shutil.copytree(path, place / "source", symlinks=True, ignore=left_out)
    except shutil.Error as error:
        reasons = [str(reason) for *_, reason in error.args[0]]
        raise EnvironmentFailed(f"The requirement {path} cannot be copied: {reasons[0]}", "\n".join(reasons)) from error
    _mend_links(path, place / "source")
    return "source"


def _mend_links(original: Path, copy: Path) -> None:
    """Have links that lead out of a copied folder by a relative path lead to where they led before."""
    for directory, folders, files in os.walk(copy):
        for link in (Path(directory, name) for name in (*folders, *files)):
            before = original / link.relative_to(copy)
            if link.is_symlink() and not link.exists() and before.exists():
                link.unlink()
                link.symlink_to(before.resolve())


def _number(lines: Sequence[Line]) -> str:
    count = sum(line.kind in (Kind.REQUIREMENT, Kind.EDITABLE) for line in lines)
    return f"{count} requirement{'' if count == 1 else 's'}"


def _report(report_fd: int, failure: EnvironmentFailed) -> None:
    """Write the report that the runner understands, see `qjob.runner.bootstrap.report`."""
    output = failure.output[-_MAX_TRACEBACK_CHARS:]
    data = f"\0{failure.reason}\0{output}".encode("utf-8", "backslashreplace")
    try:
        while data:
            data = data[os.write(report_fd, data) :]
    except OSError as error:
        tell(f"the failure cannot be reported to the runner: {error}")
