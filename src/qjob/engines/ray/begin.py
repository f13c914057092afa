"""``python -m qjob.engines.ray.begin FOLDER``: what Ray starts on a node. Waits for the job's turn and runs it.

When Ray's supervisor of a job dies, a shell that it has left behind kills the process group of the entrypoint, with
SIGKILL: so the runner is in a group of its own, and has the time to end the job and to say so. Where that shell
is gone too nobody kills anything: so the process that Ray knows watches its parent, and the runner that process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from qjob.engines.ray.apart import PARENT_GONE, apart
from qjob.engines.ray.turn import wait_for_turn
from qjob.folder import JobFolder
from qjob.runner.__main__ import main as run

_TURN = "--turn"


def main(arguments: Sequence[str]) -> int:
    """Run one job; return the runner's exit code."""
    parser = argparse.ArgumentParser(prog="python -m qjob.engines.ray.begin")
    parser.add_argument("folder", type=Path, help="the job's folder")
    parser.add_argument(_TURN, nargs=2, metavar=("SLOTS", "COUNT"), help="wait for one of so many slots")
    own, others = parser.parse_known_args(arguments)
    return apart(lambda: _begin(own, others))


def _begin(own: argparse.Namespace, others: list[str]) -> int:
    _speak_into(JobFolder(own.folder).runner_log)
    if own.turn is not None:
        slots, count = own.turn
        folder = JobFolder(own.folder)
        slot = wait_for_turn(folder, Path(slots), int(count))  # held to the end of this process
        if slot is None and not folder.cancel_mark.exists():
            return PARENT_GONE
    return run([str(own.folder), *others])


def _speak_into(log: Path) -> None:
    """Have what is said from here on in the job's folder: Ray's own log of the job goes with the cluster."""
    with contextlib.suppress(OSError):  # then Ray's has to do
        fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(fd, 1)
        os.dup2(fd, 2)
        os.close(fd)


def begin_arguments(folder: Path, turn: tuple[Path, int] | None, runner_options: Sequence[str]) -> list[str]:
    """Return the arguments for a job: ``turn`` is the directory of its sweep's slots, and how many there are."""
    waits = [] if turn is None else [_TURN, str(turn[0]), str(turn[1])]
    return [str(folder), *waits, *runner_options]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
