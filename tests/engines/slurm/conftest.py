"""Fixtures: a Slurm of the tests' own, see `fake_slurm`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_slurm import FakeSlurm
from qjob.folder import JobFolder, locked


@pytest.fixture(scope="session")
def runners(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where copies of qjob lie: one for all tests."""
    return tmp_path_factory.mktemp("runners")


@pytest.fixture
def slurm(tmp_path: Path, runners: Path) -> FakeSlurm:
    """A cluster, all at nasty paths."""
    place = tmp_path / 'a\'; echo "foo" ü'
    made = FakeSlurm(place / "bin", place / "home", runners)
    made.build()
    return made


@pytest.fixture
def at_work() -> Callable[[JobFolder], contextlib.AbstractContextManager[None]]:
    """Hold a job's folder as its runner does."""

    @contextlib.contextmanager
    def hold(folder: JobFolder) -> Iterator[None]:
        folder.events.touch()
        with locked(folder.events) as fd:
            assert fd is not None
            yield

    return hold
