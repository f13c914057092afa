"""The H2 example on a real Ray, alone and as a sweep: the same numbers as on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from living import end_all
from qjob.app import open_service
from qjob.config import Settings
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.sweep_handle import Sweep
from qjob.sweep_request import prepare_sweep
from ray_cluster import RayCluster

pytestmark = pytest.mark.examples

SOURCE = Path(__file__).parents[3] / "examples" / "h2_vqe"
FAR_S = 180.0


@pytest.fixture
def settings(cluster: RayCluster, tmp_path: Path) -> Iterator[Settings]:
    """A state directory whose jobs go to the cluster, or stay here."""
    pytest.importorskip("braket.devices")
    home = tmp_path / "a home"
    yield Settings(
        home=home,
        index=home,
        slots=2,
        idle_s=5.0,
        engines={"ray": {"address": cluster.address, "token": cluster.token, "poll_s": 0.5}},
    )
    end_all(home)


def asked(engine: str, **fields: Any) -> Request:
    return Request(source=SOURCE, engine=engine, **fields)


def test_the_energy_is_the_same(settings: Settings) -> None:
    service = open_service(settings)

    def run(engine: str) -> Job:
        request = asked(engine, hyperparameters={"max_iterations": 60, "seed": 3})
        return Job(service.submit(prepare(request)).id, service=service)

    there, here = run("ray"), run("local")
    assert there.result(FAR_S)["energy"] == here.result(FAR_S)["energy"]


def test_a_sweep_has_the_same_numbers(settings: Settings) -> None:
    service = open_service(settings)

    def swept(engine: str) -> Sweep:
        request = asked(engine, hyperparameters={"max_iterations": 40})
        return Sweep(service.sweeps.submit(prepare_sweep(request, {"seed": [1, 2]}, concurrency=2)).id, service=service)

    there, here = swept("ray"), swept("local")
    assert there.wait(FAR_S) == here.wait(FAR_S) == {"COMPLETED": 2}
    assert [job.result()["energy"] for job in there] == [job.result()["energy"] for job in here]
