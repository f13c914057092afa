"""A state directory without processes: a service over an engine that plays its jobs in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from qjob.engine import Engine, Observation
from qjob.errors import EngineUnavailable, InvalidInput, SubmitError
from qjob.folder import JobFolder
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec
from qjob.service import Service
from qjob.staging import Payload, Submission
from qjob.store.store import Store
from qjob.testing import FakeEngine, ScriptSource, make_spec


class Clock:
    """A clock that goes on by a millisecond whenever somebody looks at it."""

    def __init__(self) -> None:
        self._time = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        self._time += timedelta(milliseconds=1)
        return self._time


class MoodyEngine(FakeEngine):
    """A fake engine that may be away, refuse jobs, or take its time to cancel; safe to use from threads.

    Attributes:
        away: whether it cannot be reached.
        refuses: whether it refuses every job.
        slow: whether a cancelled job goes on until `FakeEngine.cancel` is called with this off.
    """

    away = False
    refuses = False
    slow = False

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__(now)
        self._turn = threading.RLock()

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        self._be_there()
        if self.refuses:
            raise SubmitError("No machine for such a job.")
        return super().submit(jobs)

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        self._be_there()
        return super().observe(refs)

    def cancel(self, refs: Sequence[str]) -> None:
        self._be_there()
        if self.slow:
            self.calls.append("cancel")
            return
        with self._turn:
            super().cancel(refs)

    def step(self) -> None:
        with self._turn:
            super().step()

    def _be_there(self) -> None:
        if self.away:
            raise EngineUnavailable("The engine is away.")


@dataclass(frozen=True)
class NoInputs:
    """No input data."""

    def write_to(self, directory: Path) -> None:
        """Write nothing."""


@dataclass
class Scene:
    """A state directory, its engine, and any number of services over them.

    Attributes:
        jobs: the directory of the job folders.
        clock: the one clock of all.
        engine: the engine ``fake``, the only one.
    """

    jobs: Path
    clock: Clock = field(default_factory=Clock)
    engine: MoodyEngine = field(init=False)
    stores: list[Store] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = MoodyEngine(self.clock)

    @property
    def index(self) -> Path:
        """The index over the folders."""
        return self.jobs.parent / "index.db"

    def service(self) -> Service:
        """Return a new service, as another process would have it."""
        self.stores.append(Store(self.index, self.jobs))
        return Service(store=self.stores[-1], engine_of=self.engine_of, jobs=self.jobs, now=self.clock)

    def engine_of(self, name: str) -> Engine:
        """Return the engine of that name."""
        if name != "fake":
            raise InvalidInput(f"engine {name!r}: there is fake.")
        return self.engine

    def submission(self, do: str = "finish", source: Payload | None = None, **fields: Any) -> Submission:
        """Return the submission of a job of the contract; ``fields`` are those of `JobSpec`."""
        spec = make_spec(do, **{"engine": "fake", **fields})
        return Submission(spec=spec, source=source or ScriptSource(), inputs=NoInputs(), environment={"SECRET": "1"})

    def submitted(self, service: Service, do: str = "finish", **fields: Any) -> JobRecord:
        """Submit a job of the contract and return its record."""
        return service.submit(self.submission(do, **fields))

    def close(self) -> None:
        """Let go of every index."""
        for store in self.stores:
            store.close()
