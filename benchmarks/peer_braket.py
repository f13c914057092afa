"""Braket's reader of metrics as a peer: ``LogMetricsParser`` of amazon-braket-sdk."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from peer import Program, program, python_with

_PROGRAM = Path(__file__).resolve().with_name("braket_program.py")
NAME = "LogMetricsParser of amazon-braket-sdk"


@contextlib.contextmanager
def parser() -> Iterator[Program]:
    """Have Braket's parser at hand, in a process of its own, for `parsed`; raises PeerMissing."""
    with program([python_with("amazon-braket-sdk"), str(_PROGRAM)]) as running:
        yield running


def parsed(running: Program, log: Path, metric_type: str, table: Path) -> tuple[float, dict[str, list[Any]]]:
    """Have a log parsed, by ``"Timestamp"`` or ``"IterationNumber"``; return the seconds and the table.

    ``table`` is a file to hand it over in, which takes no part in the time.
    """
    seconds: float = running.ask({"log": str(log), "metric_type": metric_type, "table": str(table)})
    found: dict[str, list[Any]] = json.loads(table.read_text())
    return seconds, found
