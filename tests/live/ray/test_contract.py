"""The engine ``ray`` keeps the contract, on a real cluster of two nodes with two CPUs each."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from living import processes_naming, wait_until
from qjob.engine import Engine
from qjob.engines.ray.ray_job import ref_of
from qjob.errors import SubmitError
from qjob.folder import JobFolder
from qjob.testing import EngineContract, make_spec, make_sweep_folders
from ray_cluster import RayCluster


class TestRayEngine(EngineContract):
    deadline_s = 90.0

    @pytest.fixture(autouse=True)
    def _cluster(self, cluster: RayCluster, tmp_path: Path) -> Iterator[None]:
        self.cluster = cluster
        yield
        # All that a test has started ends by itself or was cancelled; the next one shall find the nodes free.
        wait_until(lambda: not processes_naming(str(tmp_path)))

    def make_engine(self, directory: Path) -> Engine:
        return self.cluster.engine(directory)


class TestRayEngineWithoutASharedDisk(TestRayEngine):
    def make_engine(self, directory: Path) -> Engine:
        self.jobs = directory / "jobs"
        return self.cluster.engine(directory, shared=False, python=sys.executable)

    def help_on(self, engine: Engine) -> None:
        """Look at the jobs, as whoever waits for them does: what they write comes by that."""
        for path in self.jobs.iterdir():
            engine.sync(ref_of(path.name), JobFolder(path))
        time.sleep(0.05)

    def test_no_more_jobs_of_a_sweep_run_at_a_time_than_it_allows(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine=engine.name), points=4, concurrency=1)
        spec = folders[0].read_spec()
        (problem,) = engine.check(spec)
        assert "have each job take a piece of a custom resource" in problem
        with pytest.raises(SubmitError, match="concurrency=1"):
            engine.submit([(folder, folder.read_spec()) for folder in folders])
