"""``qjob doctor``: whether qjob can work here, and what is in the way."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import click

import qjob
from qjob.app import EngineCatalogue, container_paths_problem
from qjob.cli import exit_codes, machine
from qjob.cli.session import Session, pass_session
from qjob.cli.terminal import out, painted
from qjob.cli.text import duration_text, listed, one_line, size_text
from qjob.config import Settings, file_system
from qjob.errors import QjobError
from qjob.interpreter.cache import describe
from qjob.model.naming import ID_PATTERN
from qjob.store.store import Query

_LITTLE_BYTES = 100 << 20  # less than that, and the next job's log may fill the disk
_UNINDEXED_SHOWN = 3


class Verdict(StrEnum):
    """How a finding is to be taken; the word that stands before it."""

    FINE = "ok"
    NOTE = "note"
    BROKEN = "BROKEN"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        text: how it is, and what to do if it is not well.
        verdict: how it is to be taken.
    """

    what: str
    text: str
    verdict: Verdict = Verdict.FINE


_COLOURS = {Verdict.FINE: "green", Verdict.NOTE: "yellow", Verdict.BROKEN: "red"}


@click.command()
@pass_session
def doctor(session: Session) -> None:
    """Look into whether qjob can work here, and say what is in the way.

    Versions, the state directory and its disk, the index, the engines, and the quantum SDKs that a job would
    find (none is imported). The exit code is 1 if something is broken.
    """
    broken = False
    for title, look in _SECTIONS.items():
        out(painted(f"{title}:", "cyan", sys.stdout))
        for finding in _findings(look, session):
            broken = broken or finding.verdict is Verdict.BROKEN
            out(_line(finding))
    raise click.exceptions.Exit(exit_codes.PROBLEM if broken else exit_codes.DONE)


def _findings(look: Callable[[Session], Iterator[Finding]], session: Session) -> Iterator[Finding]:
    """Yield what is found; an error is a finding as well, and no end of the search."""
    try:
        yield from look(session)
    except (QjobError, OSError) as error:
        yield Finding("error", str(error), Verdict.BROKEN)


def _line(finding: Finding) -> str:
    word = painted(f"{finding.verdict:<6}", _COLOURS[finding.verdict], sys.stdout)
    return f"  {word}  {finding.what:<18}  {one_line(finding.text)}"


def _versions(_: Session) -> Iterator[Finding]:
    yield Finding("qjob", f"{qjob.__version__} at {os.path.dirname(qjob.__file__)}")
    yield Finding("Python", f"{platform.python_version()} at {sys.executable}; jobs run on it too")
    yield Finding("system", f"{platform.system()} {platform.release()}, {platform.machine()}")


def _state(session: Session) -> Iterator[Finding]:
    settings = session.settings
    texts = machine.mounts()
    for what, directory in {"home": settings.home, "index": settings.index}.items():
        kind = file_system(directory, texts) or "file system not known"
        yield Finding(what, f"{directory} ({kind}), from {settings.sources[what]}")
    yield from _disk(_existing(settings.home))
    held = machine.usage(settings.jobs)
    yield Finding("job folders", f"{size_text(held.size_bytes)} in {held.files} files")


def _disk(directory: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(directory).free
    if free < _LITTLE_BYTES:
        text = f"only {size_text(free)}: jobs will fail; make room, or 'qjob rm --ended-before 30d' does"
        yield Finding("free space", text, Verdict.BROKEN)
    else:
        yield Finding("free space", size_text(free))
    if not os.access(directory, os.W_OK | os.X_OK):
        yield Finding("home", f"{directory} may not be written; change its permissions (chmod)", Verdict.BROKEN)


def _index(session: Session) -> Iterator[Finding]:
    settings = session.settings
    on_record = {record.id for record in session.service.find(Query())}
    yield Finding("index", f"{len(on_record)} jobs, {size_text(_size_of(settings.index_file))}")
    unknown = [name for name in os.listdir(settings.jobs) if ID_PATTERN.fullmatch(name) and name not in on_record]
    if unknown:
        text = f"{listed(sorted(unknown), _UNINDEXED_SHOWN)} not in the index: 'qjob reindex' takes them in"
        yield Finding("job folders", text, Verdict.BROKEN)


def _engines(session: Session) -> Iterator[Finding]:
    for name in EngineCatalogue(session.settings).names():
        yield from _local(session.settings) if name == "local" else _cluster(session, name)


def _cluster(session: Session, name: str) -> Iterator[Finding]:
    """Yield what another engine offers; it is a fault that it cannot be reached if somebody has configured it."""
    settings = session.settings
    is_wanted = name == settings.engine or name in settings.engines
    try:
        facts = session.service.describe_engine(name)
    except (QjobError, ImportError) as error:
        yield Finding(name, f"cannot be used: {error}", Verdict.BROKEN if is_wanted else Verdict.NOTE)
        return
    yield Finding(name, "can be reached" + ("; it is the engine of new jobs" if name == settings.engine else ""))
    for fact in facts:
        yield Finding(fact.what, fact.text, Verdict.FINE if fact.well else Verdict.NOTE)


def _local(settings: Settings) -> Iterator[Finding]:
    """Yield what the local engine needs; the file's name is the one that docs/job-folder.md gives."""
    pid = machine.lock_holder(settings.local_state / "dispatcher.lock")
    running = f"its dispatcher runs (pid {pid})" if pid is not None else "its dispatcher starts with the next job"
    yield Finding("local", f"{settings.slots} slots, {running}; it goes after {duration_text(settings.idle_s)} idle")
    problem = machine.inotify_problem(_existing(settings.home))
    yield Finding("inotify", problem or "wakes whoever waits", Verdict.NOTE if problem else Verdict.FINE)
    if machine.has_subreaper():
        yield Finding("subreaper", "all that a job starts is ended with it")
    else:
        text = "the kernel has none: what a job starts in the background and leaves may go on after it"
        yield Finding("subreaper", text, Verdict.NOTE)
    yield from _warm_starts(settings)
    missing = container_paths_problem()
    text = missing or "/opt/braket and /opt/ml are there for jobs whose code names them"
    yield Finding("container paths", text, Verdict.NOTE if missing else Verdict.FINE)


def _warm_starts(settings: Settings) -> Iterator[Finding]:
    """Yield what the dispatcher says of the processes that it has ready; its file is named in docs/job-folder.md."""
    try:
        told = json.loads((settings.local_state / "warm.json").read_bytes())
    except FileNotFoundError:
        told = {"ready": [], "refused": []}
    text = "; ".join(each["imports"] for each in told["ready"]) or "none now"
    yield Finding("warm starts", f"ready for jobs that import: {text}" if settings.warm else "turned off")
    for each in told["refused"]:
        text = f"not for jobs that import {each['imports']}: {each['reason']}"
        yield Finding("warm starts", text, Verdict.NOTE)


def _environments(session: Session) -> Iterator[Finding]:
    """Yield the environments that jobs share, see docs/environments.md."""
    found = describe(session.settings.environments)
    size = size_text(sum(each.size_bytes for each in found))
    unfinished = sum(not each.finished and not each.in_use for each in found)
    yield Finding("environments", f"{len(found)}, {size}; 'qjob prune' removes those that no job has used for long")
    if unfinished:
        yield Finding("environments", f"{unfinished} unfinished: left by a killed job; 'qjob prune'", Verdict.NOTE)


def _sdks(_: Session) -> Iterator[Finding]:
    found = machine.sdks()
    for name, (version, importable) in found.items():
        if importable:
            yield Finding(name, version)
        else:
            yield Finding(name, f"{version} is installed, and its module is not there", Verdict.NOTE)
    if not found:
        yield Finding("none", f"a job that needs one will not find it in {sys.prefix}", Verdict.NOTE)


def _existing(directory: Path) -> Path:
    """Return the directory, or the nearest one above it that is there."""
    return next(path for path in (directory, *directory.parents) if path.is_dir())


def _size_of(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


_SECTIONS: dict[str, Callable[[Session], Iterator[Finding]]] = {
    "Versions": _versions,
    "State": _state,
    "Engines": _engines,  # before the index: a look at the jobs starts the dispatcher
    "Index": _index,
    "Environments": _environments,
    "Quantum SDKs": _sdks,
}
