"""Whether a cluster can ever run a job, and what is free on it."""

from __future__ import annotations

import pytest

from qjob.engines.ray.capacity import Node, custom, free_of, read_nodes, read_usage, shortage, totals
from qjob.engines.ray.resources import Take

SMALL = Node(id="a", total={"CPU": 2.0, "node:127.0.0.1": 1.0})
QUANTUM = Node(id="b", total={"CPU": 1.0, "qpu": 1.0, "memory": 8e9})


@pytest.mark.parametrize(
    ("take", "said"),
    [
        (Take(entrypoint={"CPU": 2}), ""),
        (Take(entrypoint={"CPU": 1, "qpu": 1}), ""),
        (Take(entrypoint={"CPU": 3}), "no node of the cluster has CPU=3; there is CPU=2"),
        (Take(entrypoint={"CPU": 1, "tpu": 1}), "no node of the cluster has tpu=1; there is qpu=1"),
        (Take(entrypoint={"CPU": 1, "qpu": 2}), "no node of the cluster has qpu=2; there is qpu=1"),
        (Take(entrypoint={"CPU": 2, "qpu": 1}), "no node of the cluster has CPU=2, qpu=1 all together"),
        (Take(entrypoint={"memory": 1}, instances=({"CPU": 1},) * 3), ""),
        (
            Take(entrypoint={"memory": 1}, instances=({"CPU": 1},) * 4),
            "the nodes of the cluster have room for 3 instances with CPU=1, not for 4",
        ),
        (
            Take(entrypoint={"memory": 1}, instances=({"GPU": 1},) * 2),
            "no node of the cluster has GPU=1; there is qpu=1",
        ),
    ],
)
def test_shortage(take: Take, said: str) -> None:
    assert shortage(take, [SMALL, QUANTUM]) == said


def test_a_cluster_without_nodes_runs_nothing() -> None:
    assert shortage(Take(entrypoint={"CPU": 1}), []) == "the cluster has no node"


def test_a_cluster_without_custom_resources_says_so() -> None:
    assert shortage(Take(entrypoint={"qpu": 1}), [SMALL]).endswith("there is no custom resource")


def test_nodes_are_read() -> None:
    alive = {"node_id": "a", "state": "ALIVE", "resources_total": {"CPU": 2.0, "my_qpu": 1.0}}
    dead = {"node_id": "b", "state": "DEAD", "resources_total": {}}
    answer = {"data": {"result": {"result": [alive, dead]}}}
    assert read_nodes(answer) == [Node(id="a", total={"CPU": 2.0, "my_qpu": 1.0})]


def test_usage_is_read_in_the_dashboards_own_spelling() -> None:
    answer = {"data": {"clusterStatus": {"loadMetricsReport": {"usage": {"CPU": [1.0, 4.0], "myQpu": [0.0, 1.0]}}}}}
    usage = read_usage(answer)
    assert free_of("CPU", usage) == (3.0, 4.0)
    assert free_of("my_qpu", usage) == (1.0, 1.0)
    assert free_of("tpu", usage) is None
    assert read_usage({"data": {"clusterStatus": None}}) == {}


def test_totals_leave_out_what_ray_counts_for_itself() -> None:
    assert totals([SMALL, QUANTUM]) == {"CPU": 3.0, "qpu": 1.0, "memory": 8e9}
    assert custom(totals([SMALL, QUANTUM])) == {"qpu": 1.0}
