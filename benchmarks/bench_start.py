"""From the wish to run a script to its first line: qjob, plain Python, and the peers."""

from __future__ import annotations

import functools
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import our_cli
import peer_ray
import peer_submitit
import qjob
from peer import PeerMissing
from room import SCRIPTS, fresh_home, has_sdk, is_smoke_test, script_with_sdk, told
from rounds import Measure, interleaved, milliseconds
from row import Goal, Row, compared, not_measured, ratio_at_most

_WARM_S = 30.0
_SCRIPT = str(SCRIPTS / "first_line.py")
_CALL = "start: qjob.submit() to first line"
_COLD = "start: the same without a warm start"
_BRAKET = "start: qjob.submit() to the first line after `import braket.devices`"
_CLI = "start: `qjob submit` to first line"
_PLAIN = "python script.py"


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the ways to start a script, with a dispatcher that is at work."""
    rounds = 5 if quick else 21
    until_warm_s = 0.0 if is_smoke_test() else _WARM_S
    with fresh_home(root):
        measures: dict[str, Measure] = {_PLAIN: _by_python, _CALL: _by_call, _COLD: _by_cold_call}
        no_cli = our_cli.why_not("submit")
        if no_cli is None:
            measures[_CLI] = _by_cli
        found = interleaved(measures, rounds)
        yield _against(found, _CALL, _PLAIN, ratio_at_most(2))
        yield _against(found, _COLD, _PLAIN)
        yield _against(found, _CLI, _PLAIN) if no_cli is None else not_measured(_CLI, no_cli)
        yield from _with_braket(rounds, until_warm_s)
        yield from _beside_submitit(root, rounds)
        yield from _beside_ray(root, rounds)


def _with_braket(rounds: int, until_warm_s: float) -> Iterator[Row]:
    if not has_sdk():
        yield not_measured(_BRAKET, "it takes amazon-braket-sdk beside qjob", ratio_at_most(0.05))
        return
    script = script_with_sdk("braket_first_line.py", smoke="first_line.py")
    _until_warm(script, until_warm_s)
    by_python = functools.partial(_by_python, script)
    by_call = functools.partial(_by_call, script)
    found = interleaved({_BRAKET: by_call, _PLAIN: by_python}, max(3, rounds // 3))
    yield _against(found, _BRAKET, _PLAIN, ratio_at_most(0.05))


def _until_warm(script: str, within_s: float) -> None:
    """Run the script until the dispatcher has its imports ready: after that it is quicker by much."""
    cold_s = _by_call(script)
    deadline = time.monotonic() + within_s
    while _by_call(script) > cold_s / 2 and time.monotonic() < deadline:
        time.sleep(0.1)


def _beside_submitit(root: Path, rounds: int) -> Iterator[Row]:
    name, anchor = f"{_CALL}, beside submitit", "submitit, on this machine"
    try:
        with peer_submitit.local_executor(root / "submitit") as executor:
            found = interleaved({name: _by_call, anchor: lambda: executor.ask("go")}, rounds)
    except PeerMissing as reason:
        yield not_measured(name, str(reason))
        return
    yield _against(found, name, anchor)


def _beside_ray(root: Path, rounds: int) -> Iterator[Row]:
    name, anchor = f"{_CALL}, beside Ray", "Ray Jobs, local cluster"
    try:
        with peer_ray.cluster(root) as cluster:
            found = interleaved({name: _by_call, anchor: lambda: cluster.ask(_SCRIPT)}, rounds)
    except PeerMissing as reason:
        yield not_measured(name, str(reason))
        return
    yield _against(found, name, anchor)


def _against(found: Mapping[str, list[float]], ours: str, anchor: str, goal: Goal | None = None) -> Row:
    return compared(ours, "ms", milliseconds(found[ours]), milliseconds(found[anchor]), anchor_name=anchor, goal=goal)


def _by_python(script: str = _SCRIPT) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, script], check=True)
    return told() - started


def _by_call(script: str = _SCRIPT, **options: bool) -> float:
    started = time.monotonic()
    job = qjob.submit(script, options=options)
    job.wait()
    return told() - started


def _by_cold_call() -> float:
    return _by_call(warm=False)


def _by_cli() -> float:
    started = time.monotonic()
    subprocess.run([*our_cli.COMMAND, "submit", _SCRIPT], check=True, capture_output=True)
    qjob.find(limit=1)[0].wait()
    return told() - started
