"""Fixtures of the command line: qjob called in this process, and as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from qjob.cli.main import cli

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"

Invoke = Callable[..., Result]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def invoke(environment: dict[str, str]) -> Invoke:
    """Call qjob in this process; what it raises that is no exit code is raised here too."""

    def call(*arguments: str, **options: Any) -> Result:
        env = {key: value for key, value in environment.items() if key.startswith("QJOB_")}
        result = CliRunner(env=env | options.pop("env", {})).invoke(cli, arguments, prog_name="qjob", **options)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start qjob as a process; one that still runs at the end of the test is killed."""
    started = []
    plain = {key: value for key, value in environment.items() if key not in ("NO_COLOR", "CLICOLOR_FORCE")}

    def begin(*arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        env = plain | {"QJOB_IDLE_S": "2"} | options.pop("env", {})
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, "-m", "qjob.cli", *arguments]
        process = subprocess.Popen(command, env=env, cwd=tmp_path, **(given | options))
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compare a text with the one that is kept under a name."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if not path.exists():
            pytest.fail(f"{path} is missing; it would be:{os.linesep}{text}")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
