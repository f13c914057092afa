"""Every engine keeps the one contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from living import end_all
from qjob.engine import Engine
from qjob.engines.local.engine import LocalEngine
from qjob.testing import EngineContract, FakeEngine


class TestFakeEngine(EngineContract):
    def make_engine(self, directory: Path) -> Engine:
        return FakeEngine()

    def help_on(self, engine: Engine) -> None:
        assert isinstance(engine, FakeEngine)
        engine.step()


@pytest.mark.live
class TestLocalEngine(EngineContract):
    @pytest.fixture(autouse=True)
    def _end_processes(self, tmp_path: Path) -> Iterator[None]:
        yield
        end_all(tmp_path)

    def make_engine(self, directory: Path) -> Engine:
        return LocalEngine(directory / "local", directory / "jobs", slots=2, idle_s=5.0)
