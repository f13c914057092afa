"""Ray Jobs as a peer: a cluster of one node in namespaces of its own, where it can bind nothing but loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from peer import PeerMissing, Program, program, python_with

_PROGRAM = Path(__file__).resolve().with_name("ray_in_namespace.py")


@contextlib.contextmanager
def cluster(root: Path) -> Iterator[Program]:
    """Have a cluster at hand, which ends with its namespace and all that it started.

    It is asked with the path of a script, and answers with the seconds from submit to the script's first line.
    Raises PeerMissing.
    """
    _refuse_without_namespaces()
    python = python_with("ray[default]")
    command = ["unshare", "-npmf", "--kill-child", "--mount-proc", python, str(_PROGRAM), str(root / "ray")]
    with program(command) as running:
        yield running


def _refuse_without_namespaces() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise PeerMissing("Ray Jobs is measured in a network namespace, which takes Linux and root")
    missing = [tool for tool in ("unshare", "ip") if shutil.which(tool) is None]
    if missing:
        raise PeerMissing(f"Ray Jobs is measured in a network namespace, which takes {' and '.join(missing)}")
