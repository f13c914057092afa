"""``python -m qjob.runner FOLDER``: run the job in FOLDER to its end and leave an outcome there."""

from __future__ import annotations

import sys
from pathlib import Path

from qjob.folder import JobFolder
from qjob.runner.run import run_job


def main(arguments: list[str]) -> int:
    """Run one job; return an exit code for the engine, which has no need of it: the outcome counts."""
    if len(arguments) != 1:
        print("usage: python -m qjob.runner FOLDER", file=sys.stderr)
        return 2
    return run_job(JobFolder(Path(arguments[0]).absolute()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
