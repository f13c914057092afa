"""submitit's local executor, as a peer: github.com/facebookincubator/submitit."""

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
    with program([python_with("submitit>=1.5"), str(_PROGRAM), str(directory)]) as running:
        yield running
