"""Fixtures: a state directory of its own for each test, at a nasty path, and an end to its processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from living import end_all
from qjob.app import open_service
from qjob.config import Settings
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.service import Service
from scene import Scene


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> None:
    """Have the processes that tests start heed Ctrl-C, also where a shell in the background has us ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A state directory; what was started on it is ended with the test."""
    path = tmp_path / 'a\'; echo "foo" ü'
    yield path
    end_all(path)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """A state directory without processes, at a nasty path too, whose engine plays its jobs in memory."""
    jobs = tmp_path / 'a\'; echo "foo" ü' / "jobs"
    jobs.mkdir(parents=True)
    made = Scene(jobs)
    yield made
    made.close()


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings that make tests quick: two slots, a short grace, and a dispatcher that soon goes."""
    return Settings(home=home, index=home, slots=2, grace_s=1.0, idle_s=5.0)


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """The environment of a subprocess that uses the same state directory."""
    return os.environ | {"QJOB_HOME": str(home), "QJOB_SLOTS": "2", "QJOB_GRACE_S": "1", "QJOB_IDLE_S": "5"}


@pytest.fixture
def service(settings: Settings) -> Service:
    """The service over it, with the real local engine."""
    return open_service(settings)


@pytest.fixture
def submit(service: Service, tmp_path: Path) -> Callable[..., Job]:
    """Submit a script by its text; keyword arguments are fields of `Request`."""

    def submit_text(text: str, **asked: object) -> Job:
        script = tmp_path / "script.py"
        script.write_text(text)
        request = Request(source=script, **{"grace_s": 1.0, **asked})  # type: ignore[arg-type]
        return Job(service.submit(prepare(request)).id, service=service)

    return submit_text
