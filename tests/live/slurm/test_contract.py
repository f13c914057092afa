"""The engine contract, kept by a real Slurm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qjob.engine import Engine
from qjob.engines.slurm.engine import SlurmEngine
from qjob.testing import EngineContract


@pytest.mark.live
@pytest.mark.usefixtures("slurm_environment")
class TestSlurmEngine(EngineContract):
    def make_engine(self, directory: Path) -> Engine:
        return SlurmEngine(
            directory / "slurm",
            directory / "jobs",
            runners=directory / "runners",
            leases=directory / "devices",
            environment=os.environ,
            words={"mem": "200M"},
            settle_s=1.0,
        )
