"""From the wish to run a script on a Slurm to the sight of its first line: qjob, bare sbatch, and the peers."""

from __future__ import annotations

import itertools
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import peer_ray
import peer_submitit
import qjob
from peer import PeerMissing
from qjob.app import shared_service
from room import SCRIPTS
from rounds import Measure, interleaved, milliseconds
from row import Goal, Row, compared, not_measured, ratio_at_most
from slurm_room import sbatch, slurm_room, why_no_slurm

_SCRIPT = str(SCRIPTS / "print_line.py")
_NAME = "slurm: qjob.submit() to first line seen"
_PLAIN = "sbatch to first line seen"
_GOAL = ratio_at_most(1.3)
_TICK_S = 1.0  # slurmctld starts batch jobs once in this time: most of what is measured is the wait for it
_GOLDEN = 0.618034
_LOOK_S = 0.005
_SEEN_WITHIN_S = 60.0


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the ways to run a script that prints a line, on a cluster that has nothing else to do."""
    rounds = 7 if quick else 31
    if reason := why_no_slurm():
        yield not_measured(_NAME, reason, _GOAL)
        return
    with slurm_room(root):
        batch = Sbatch(root / "sbatch")
        found = interleaved(_in_step(batch, {_NAME: _by_call, _PLAIN: batch.first_line_s}), rounds)
        yield _against(found, _NAME, _PLAIN, _GOAL)
        yield from _beside_submitit(root, batch, rounds)
        yield from _beside_ray(root, batch, rounds // 3)


class Sbatch:
    """What somebody does who has only Slurm: a batch script that starts Python, and a look at its output."""

    def __init__(self, directory: Path) -> None:
        """Write script and output into a directory, which is made."""
        directory.mkdir(parents=True)
        self._output = directory / "out"
        self._script = directory / "script.sh"
        self._script.write_text(
            f"#!/bin/sh\n#SBATCH --output={self._output}\nexec {shlex.join([sys.executable, '-u', _SCRIPT])}\n"
        )

    def first_line_s(self) -> float:
        """Return how long it takes from the call of sbatch until there is a line in the output."""
        self._output.unlink(missing_ok=True)
        started = time.monotonic()
        sbatch(str(self._script))
        return _until_line(self._output) - started


def _in_step(batch: Sbatch, measures: Mapping[str, Measure]) -> dict[str, Measure]:
    """Let all measurements begin at the same moments between two of Slurm's rounds, which are spread evenly.

    Each comes after a batch job that is not measured: its start tells when a round was.
    """
    return {name: _after_round(batch.first_line_s, measure) for name, measure in measures.items()}


def _after_round(until_round: Callable[[], object], measure: Measure) -> Measure:
    moments = (number * _GOLDEN % 1.0 * _TICK_S for number in itertools.count(1))

    def measured() -> float:
        until_round()
        time.sleep(next(moments))
        return measure()

    return measured


def _by_call() -> float:
    """Return how long it takes until one who follows the log, as logs(wait=True) does, gets the first line."""
    started = time.monotonic()
    job = qjob.submit(_SCRIPT)
    service = shared_service()
    reader = service.log(job.id)
    next(service.follow(job.id, lambda final: reader.pieces(final=final)))
    seen = time.monotonic()
    job.wait()
    return seen - started


def _until_line(path: Path) -> float:
    """Return when a file had a line."""
    deadline = time.monotonic() + _SEEN_WITHIN_S
    while time.monotonic() < deadline:
        if path.exists() and b"\n" in path.read_bytes():
            return time.monotonic()
        time.sleep(_LOOK_S)
    raise TimeoutError(f"{path} has no line after {_SEEN_WITHIN_S:g} s")


def _beside_submitit(root: Path, batch: Sbatch, rounds: int) -> Iterator[Row]:
    name, anchor = f"{_NAME}, beside submitit", "submitit, on the same Slurm"
    try:
        with peer_submitit.slurm_executor(root / "submitit") as executor:
            measures = {name: _by_call, anchor: lambda: float(executor.ask("go"))}
            found = interleaved(_in_step(batch, measures), rounds)
    except PeerMissing as reason:
        yield not_measured(name, str(reason))
        return
    yield _against(found, name, anchor)


def _beside_ray(root: Path, batch: Sbatch, rounds: int) -> Iterator[Row]:
    name, anchor = f"{_NAME}, beside Ray", "Ray Jobs, local cluster, to the line itself"
    try:
        with peer_ray.cluster(root) as cluster:
            measures = {name: _by_call, anchor: lambda: float(cluster.ask(str(SCRIPTS / "first_line.py")))}
            found = interleaved(_in_step(batch, measures), rounds)
    except PeerMissing as reason:
        yield not_measured(name, str(reason))
        return
    yield _against(found, name, anchor)


def _against(found: Mapping[str, list[float]], ours: str, anchor: str, goal: Goal | None = None) -> Row:
    return compared(ours, "ms", milliseconds(found[ours]), milliseconds(found[anchor]), anchor_name=anchor, goal=goal)
