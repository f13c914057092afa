"""Fixtures: a process of its own, which has loaded nothing yet."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def in_new_process() -> Callable[..., str]:
    """Run code with arguments in a new process, and return what it printed."""

    def run(code: str, *arguments: object) -> str:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return run
