"""Fixture: the benchmarks' modules, which lie beside the package and not in it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import one of the benchmarks' modules, as their programs do."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # they are no package: each program begins beside them
    return import_module
