"""A real Ray for these tests, which tests/engines/ray/test_real_ray.py runs inside of namespaces."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from qjob.engines.ray.client import RayClient
from qjob.engines.ray.engine import RayDevice, RayEngine
from ray_cluster import INSIDE, QPU, RayCluster

collect_ignore_glob = [] if INSIDE in os.environ else ["*.py"]


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    cluster = RayCluster()
    cluster.start()
    yield cluster
    cluster.remove()


@pytest.fixture
def client(cluster: RayCluster) -> RayClient:
    return RayClient(cluster.address, cluster.token)


@pytest.fixture
def engine(cluster: RayCluster, tmp_path: Path) -> RayEngine:
    return cluster.engine(tmp_path, devices={QPU: RayDevice(asks="qpu=1")})
