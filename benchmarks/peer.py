"""The programs that qjob is compared with: installed once, in a virtual environment of their own, and talked to."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

ENVIRONMENT = Path(__file__).resolve().parents[1] / ".venv-bench"
NO_PEERS = "BENCH_NO_PEERS"
"""The variable that says why no peer is to be measured."""
_INSTALL_WITHIN_S = 1200.0


class PeerMissing(Exception):
    """A peer is not there to be measured; the message says why."""


class Program:
    """A peer's program, which answers a line of JSON with one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, question: Any) -> Any:
        """Return the answer to a question."""
        print(json.dumps(question), file=_pipe(self._process.stdin), flush=True)
        return self.answer()

    def answer(self) -> Any:
        """Return what the program says next; raises PeerMissing when it has ended."""
        line = _pipe(self._process.stdout).readline()
        if not line:
            raise PeerMissing(f"{self._process.args!r:.80} ended; its output says why")
        return json.loads(line)


@contextlib.contextmanager
def program(command: list[str]) -> Iterator[Program]:
    """Start a peer's program, wait until it says that it is up, and kill it in the end."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = Program(process)
        try:
            running.answer()
            yield running
        finally:
            process.kill()


@functools.cache
def python_with(requirement: str) -> str:
    """Return the path of a Python that has a package, which is installed unless an earlier run has done so.

    Raises PeerMissing when it cannot be installed, or shall not be.
    """
    if reason := os.environ.get(NO_PEERS):
        raise PeerMissing(reason)
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / f".has-{re.sub('[^a-z0-9]+', '-', requirement)}"
    if not done.exists():
        print(f"Installing {requirement} into {ENVIRONMENT.name}, once", file=sys.stderr, flush=True)
        _make_environment(python)
        _run([str(python), "-m", "pip", "install", "--quiet", requirement], f"pip cannot install {requirement}")
        done.touch()
    return str(python)


def _make_environment(python: Path) -> None:
    if not python.exists():
        _run([sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)], "no virtual environment can be made")


def _run(command: list[str], problem: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_WITHIN_S)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()]
        raise PeerMissing(f"{problem}: {lines[-1] if lines else error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerMissing(f"{problem}: {error}") from error


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the program was started without this pipe")
    return stream
