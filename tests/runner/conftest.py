"""Run one job by the runner alone: no service, no engine, no queue."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qjob.folder import JobFolder
from qjob.model.outcome import Outcome
from qjob.runner.process_tree import kill_marked
from qjob.testing import make_folder, make_spec

DEADLINE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A job that has been run.

    Attributes:
        folder: its folder.
        outcome: what the runner left.
        log: what instance 0 printed.
        stderr: what the runner itself had to say.
    """

    folder: JobFolder
    outcome: Outcome
    log: str
    stderr: str


@dataclass(frozen=True)
class Files:
    """A source of several files, by their paths."""

    texts: Mapping[str, str]

    def write_to(self, directory: Path) -> None:
        """Write them."""
        for name, text in self.texts.items():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)


Prepare = Callable[..., JobFolder]
Run = Callable[..., Ran]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder_of(tmp_path: Path) -> Prepare:
    """Make a job's folder from the text of ``job.py``, or from several files, the first of them its script."""

    def make(
        source: str | Mapping[str, str], *, environment: Mapping[str, str] | None = None, **fields: Any
    ) -> JobFolder:
        texts = {"job.py": source} if isinstance(source, str) else source
        spec = make_spec("finish", **({"grace_s": 1.0} | _script(next(iter(texts))) | fields))
        folder = make_folder(tmp_path / "j o'b\"s", spec, Files(texts))
        folder.write_environment({"PATH": os.environ["PATH"]} | dict(environment or {}))
        return folder

    return make


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the runner of a folder, with arguments; kill it and its job with the test, if they are still there."""
    started: list[tuple[JobFolder, subprocess.Popen[str]]] = []

    def start_it(folder: JobFolder, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "qjob.runner", str(folder.path), *arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append((folder, process))
        return process

    yield start_it
    for folder, process in started:
        with process:
            process.kill()
        kill_marked(folder.id)


@pytest.fixture
def run(folder_of: Prepare, start: Start) -> Run:
    """Run a job to its end; the arguments are those of `folder_of`."""

    def run_it(source: str | Mapping[str, str], **asked: Any) -> Ran:
        return ran(folder := folder_of(source, **asked), start(folder))

    return run_it


def ran(folder: JobFolder, runner: subprocess.Popen[str]) -> Ran:
    """Wait for the end of a job's runner and return what it left."""
    _, stderr = runner.communicate(timeout=DEADLINE_S)
    assert runner.returncode == 0, stderr
    outcome = folder.read_outcome()
    assert outcome is not None
    log = folder.log(0).read_bytes().decode("utf-8", "backslashreplace") if folder.log(0).exists() else ""
    return Ran(folder=folder, outcome=outcome, log=log, stderr=stderr)


@pytest.fixture
def finish() -> Callable[[JobFolder, subprocess.Popen[str]], Ran]:
    """Wait for the end of a job that `start` has started."""
    return ran


def _script(path: str) -> dict[str, Any]:
    module = path.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    return {"source_name": path.partition("/")[0], "entry_point": module}
