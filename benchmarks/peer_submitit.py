"""submitit's local executor, as a peer: github.com/facebookincubator/submitit."""

from __future__ import annotations

import importlib.util
import time
from importlib import import_module
from pathlib import Path
from typing import Any


def why_not() -> str | None:
    """Return why there is nothing to measure, or None."""
    return None if importlib.util.find_spec("submitit") else "submitit is not installed: pip install submitit"


def first_line_s(directory: Path) -> float:
    """Return how long it takes from submit to the first thing that the submitted function does."""
    submitit: Any = import_module("submitit")
    executor = submitit.LocalExecutor(folder=directory)
    started = time.monotonic()
    first: float = executor.submit(time.monotonic).result()
    return first - started
