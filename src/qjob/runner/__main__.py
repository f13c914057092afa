"""``python -m qjob.runner FOLDER``: run the job in FOLDER to its end and leave an outcome there.

Engines of clusters call it so, and tell by options where it runs; see `qjob.runner.place.Place`.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from qjob.folder import JobFolder
from qjob.runner.place import Place, scheduler_variables
from qjob.runner.run import run_job


def main(arguments: list[str]) -> int:
    """Run one job; return an exit code for the engine, which has no need of it: the outcome counts."""
    asked = _parser().parse_args(arguments)
    place = Place(
        attempt=asked.attempt,
        launcher=tuple(shlex.split(asked.launcher)),
        lease=asked.lease,
        watches_parent=asked.watch_parent,
        variables=scheduler_variables(),
    )
    return run_job(JobFolder(asked.folder.absolute()), place=place)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m qjob.runner", description="Run one job to its end.")
    parser.add_argument("folder", type=Path, help="the job's folder")
    parser.add_argument("--attempt", type=int, help="how often the scheduler has started the job, from 1")
    parser.add_argument(
        "--launcher", default="", help="the command, as for a shell, that starts the keepers of all instances"
    )
    parser.add_argument("--lease", type=Path, help="the directory of the device that the job holds alone")
    parser.add_argument("--watch-parent", action="store_true", help="end the job when the parent process ends")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
