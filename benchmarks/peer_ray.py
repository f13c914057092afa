"""Ray Jobs as a peer: a cluster of one node in namespaces of its own, where it can bind nothing but loopback."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PROGRAM = Path(__file__).resolve().with_name("ray_in_namespace.py")


def why_not() -> str | None:
    """Return why there is nothing to measure, or None."""
    if not all(map(importlib.util.find_spec, ("ray", "aiohttp_cors"))):
        return 'Ray Jobs is not installed: pip install "ray[default]"'
    if sys.platform != "linux" or os.geteuid() != 0:
        return "Ray Jobs is measured in a network namespace, which takes Linux and root"
    missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    return f"Ray Jobs is measured in a network namespace, which takes {' and '.join(missing)}" if missing else None


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        process: the program in the namespace: takes a script's path per line, gives an answer per line.
    """

    process: subprocess.Popen[str]

    def first_line_s(self, script: str) -> float:
        """Return how long it takes from submit to the first line of the script."""
        print(script, file=_pipe(self.process.stdin), flush=True)
        return float(self.answer())

    def answer(self) -> str:
        """Return the next line that the program says."""
        line = _pipe(self.process.stdout).readline()
        if not line:
            raise RuntimeError("the Ray cluster ended; its output above says why")
        answer: str = json.loads(line)
        return answer


@contextlib.contextmanager
def cluster(root: Path) -> Iterator[Cluster]:
    """Start a cluster, and end it and all that it started with its namespace."""
    command = ["unshare", "-npmf", "--kill-child", "--mount-proc", sys.executable, str(_PROGRAM), str(root / "ray")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        running = Cluster(process)
        try:
            running.answer()
            yield running
        finally:
            process.kill()


def _pipe(stream: IO[str] | None) -> IO[str]:
    if stream is None:
        raise ValueError("the program was started without this pipe")
    return stream
