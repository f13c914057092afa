"""The local engine on a state directory of its own, without a service above it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from living import end_all, wait_until
from qjob.engine import Presence
from qjob.engines.local.engine import LocalEngine
from qjob.engines.local.queue import Queue
from qjob.engines.local.state import LocalState
from qjob.folder import JobFolder
from qjob.model.outcome import Outcome
from qjob.testing import ScriptSource, make_folder, make_spec


@dataclass(frozen=True)
class Place:
    """A directory with the engine's state in it, and the jobs.

    Attributes:
        path: that directory.
    """

    path: Path

    @property
    def state(self) -> LocalState:
        """The engine's own files."""
        return LocalState(self.path / "local")

    @property
    def jobs(self) -> Path:
        """The job folders."""
        return self.path / "jobs"

    def engine(self, **options: Any) -> LocalEngine:
        """Return a new engine."""
        return LocalEngine(self.state.path, self.jobs, **({"slots": 2, "idle_s": 5.0} | options))

    def folder(self, text: str, **fields: Any) -> JobFolder:
        """Return the folder of a new job."""
        return make_folder(self.jobs, make_spec(**fields), ScriptSource(text))

    def submit(self, engine: LocalEngine, text: str, **fields: Any) -> tuple[JobFolder, str]:
        """Submit a script; return its folder and its ref."""
        folder = self.folder(text, **fields)
        return folder, engine.submit([(folder, folder.read_spec())])[0]

    def queue(self) -> Queue:
        """Open the queue."""
        return Queue(self.state.queue, durable=False)

    def dispatcher(self) -> int | None:
        """Return the pid of the dispatcher that came last."""
        text = self.state.lock.read_text() if self.state.lock.exists() else ""
        return int(text) if text else None


@pytest.fixture
def new_place(tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """Make places, and end what runs there; a dispatcher has nothing to say when all is well."""
    places: list[Place] = []

    def make(name: str) -> Place:
        places.append(Place(tmp_path / name))
        return places[-1]

    yield make
    for place in places:
        end_all(place.path)
        log = place.state.log.read_text() if place.state.log.exists() else ""
        assert "Traceback" not in log, log


@pytest.fixture
def place(new_place: Callable[[str], Place]) -> Place:
    """One place, at a nasty path."""
    return new_place("p'l a\nce ü")


def outcome_of(folder: JobFolder) -> Outcome:
    """Wait for the end of a job by its folder alone: nobody asks the engine, so nobody helps it on."""
    outcome = wait_until(folder.read_outcome)
    assert outcome is not None
    return outcome


def until_gone(engine: LocalEngine, ref: str) -> str:
    """Wait until the engine says that a job is gone; return what it says."""

    def look() -> str | None:
        seen = engine.observe([ref])[ref]
        return seen.message or "gone" if seen.presence is Presence.GONE else None

    return wait_until(look) or ""


@pytest.fixture
def wait_for() -> Callable[[JobFolder], Outcome]:
    """See `outcome_of`."""
    return outcome_of


@pytest.fixture
def wait_for_gone() -> Callable[[LocalEngine, str], str]:
    """See `until_gone`."""
    return until_gone
