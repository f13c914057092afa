"""Fixtures of the tests with a real Slurm: one cluster for the session, and one that has accounting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from slurm_cluster import SlurmCluster, accounting_problem, slurm_problem
from slurm_lab import Lab


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """A Slurm cluster of three nodes, without accounting; each worker of pytest-xdist has its own."""
    if problem := slurm_problem():
        pytest.skip(problem)
    cluster = SlurmCluster.start(tmp_path_factory.mktemp("slurm"))
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def slurm_with_accounting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Another one, whose database answers sacct."""
    if problem := accounting_problem():
        pytest.skip(problem)
    cluster = SlurmCluster.start(tmp_path_factory.mktemp("accounting"), accounting=True)
    yield cluster
    cluster.stop()


@pytest.fixture
def slurm_environment(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """Have what this test does and starts use the cluster ``slurm``, which is as new again after it."""
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    yield slurm.environment
    slurm.restore()


@pytest.fixture
def lab(slurm: SlurmCluster, slurm_environment: Mapping[str, str], home: Path, tmp_path: Path) -> Lab:
    """A state directory, at a nasty path, on the session's cluster."""
    return Lab(cluster=slurm, home=home, scripts=tmp_path)


@pytest.fixture
def new_lab(
    tmp_path_factory: pytest.TempPathFactory, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Lab]]:
    """Make a lab on a cluster of its own, with other lines in its slurm.conf."""
    if problem := slurm_problem():
        pytest.skip(problem)
    clusters: list[SlurmCluster] = []

    def make(**lines: Any) -> Lab:
        clusters.append(SlurmCluster.start(tmp_path_factory.mktemp("slurm"), **lines))
        for name, value in clusters[-1].environment.items():
            monkeypatch.setenv(name, value)
        return Lab(cluster=clusters[-1], home=home, scripts=tmp_path)

    yield make
    for cluster in clusters:
        cluster.stop()
