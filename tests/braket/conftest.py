"""Fixtures: a process that submits from a directory of its own, to a state directory of its own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of this process, empty; jobs go to a state directory of their own.

    Patched because the published interface leaves no other way to say either.
    """
    monkeypatch.setenv("QJOB_HOME", str(home))
    monkeypatch.setenv("QJOB_SLOTS", "2")
    monkeypatch.setenv("QJOB_GRACE_S", "1")
    monkeypatch.setenv("QJOB_IDLE_S", "5")
    directory = tmp_path / "here"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory
