"""submitit's executors, as peers: github.com/facebookincubator/submitit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from peer import Program, program, python_with

_PROGRAM = Path(__file__).resolve().with_name("submitit_program.py")


@contextlib.contextmanager
def local_executor(directory: Path) -> Iterator[Program]:
    """Have an executor at hand; what it is asked, it answers with the seconds from submit to the job's first act.

    Raises PeerMissing.
    """
    with _executor("local", directory) as running:
        yield running


@contextlib.contextmanager
def slurm_executor(directory: Path) -> Iterator[Program]:
    """Have one for the Slurm that SLURM_CONF names; it answers with the seconds from submit to a line in the output.

    Raises PeerMissing.
    """
    with _executor("slurm", directory) as running:
        yield running


@contextlib.contextmanager
def _executor(kind: str, directory: Path) -> Iterator[Program]:
    with program([python_with("submitit>=1.5"), str(_PROGRAM), kind, str(directory)]) as running:
        yield running
