"""Where benchmarks with a Slurm happen: a throw-away one of three nodes on loopback, which is that of the tests."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from room import fresh_home

HELD = {"hold": True}
"""The options of a job that waits until somebody lets it go, which nobody does here."""
_TESTS = Path(__file__).resolve().parents[1] / "tests"
_ROOM_FOR_JOBS = 100_000  # also those that have ended are in Slurm's list for some minutes; by default it has 10,000
_COUNTED = ("sbatch", "squeue", "scontrol", "sacct", "scancel", "sinfo")
_COUNTING = """\
#!/bin/sh
echo "$(date +%s.%N) {name}" >>{calls}
exec {real} "$@"
"""


def why_no_slurm() -> str | None:
    """Say why no Slurm can be started here, and what to do about it; None if one can."""
    problem: str | None = _cluster_module().slurm_problem()
    return problem


@contextlib.contextmanager
def slurm_room(root: Path) -> Iterator[Any]:
    """Have a new Slurm and a new QJOB_HOME whose jobs go there; yield the cluster, which is killed in the end."""
    cluster = _cluster_module().SlurmCluster.start(root / "slurm", MaxJobCount=_ROOM_FOR_JOBS)
    try:
        with fresh_home(root), _variables(cluster.environment | {"QJOB_ENGINE": "slurm"}):
            yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(root / "slurm", ignore_errors=True)


@contextlib.contextmanager
def counted_calls(directory: Path) -> Iterator[Path]:
    """Have every call of Slurm's commands written to a file, which is yielded: a line with its time and the command.

    Those of this process and of what it starts, which find on the PATH what writes it down and runs the real one.
    """
    calls, commands = directory / "calls", directory / "commands"
    commands.mkdir(parents=True)
    calls.touch()
    for name in _COUNTED:
        if real := shutil.which(name):
            counting = commands / name
            counting.write_text(_COUNTING.format(name=name, calls=shlex.quote(str(calls)), real=shlex.quote(real)))
            counting.chmod(0o700)
    with _variables({"PATH": f"{commands}:{os.environ['PATH']}"}):
        yield calls


def sbatch(*arguments: str) -> None:
    """Call sbatch as anybody would."""
    subprocess.run(["sbatch", "--parsable", *arguments], check=True, stdin=subprocess.DEVNULL, capture_output=True)


def _cluster_module() -> Any:
    if str(_TESTS) not in sys.path:
        sys.path.append(str(_TESTS))
    return import_module("slurm_cluster")


@contextlib.contextmanager
def _variables(wanted: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ |= wanted
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
