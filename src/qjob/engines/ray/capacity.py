"""What the nodes of a cluster have, and whether a job can ever run there. Pure.

Ray keeps a job that no node can take PENDING, and after 15 minutes says that it failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qjob.engines.ray.resources import Take, amounts_text

_OF_RAY = ("node:", "accelerator_type:")
_BYTES = ("memory", "object_store_memory")


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive.

    Attributes:
        id: Ray's id of it.
        total: what it has, by the name of the resource.
    """

    id: str
    total: Mapping[str, float]


def read_nodes(answer: Mapping[str, Any]) -> list[Node]:
    """Return the live nodes from the answer of Ray's state API at ``/api/v0/nodes``."""
    found = answer["data"]["result"]["result"]
    return [Node(id=n["node_id"], total=n.get("resources_total") or {}) for n in found if n["state"] == "ALIVE"]


def read_usage(answer: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return what is taken and what there is, by name, from the answer at ``/api/cluster_status``; empty if unknown.

    The dashboard writes the names of resources in camel case there: ``my_qpu`` is ``myQpu``.
    """
    status = (answer.get("data") or {}).get("clusterStatus") or {}
    usage = (status.get("loadMetricsReport") or {}).get("usage") or {}
    return {name: (float(taken), float(total)) for name, (taken, total) in usage.items()}


def free_of(name: str, usage: Mapping[str, tuple[float, float]]) -> tuple[float, float] | None:
    """Return how much of a resource is free and how much there is; None if that is not known."""
    found = usage.get(name) or usage.get(_camel_case(name))
    return None if found is None else (found[1] - found[0], found[1])


def shortage(wanted: Take, nodes: Sequence[Node]) -> str:
    """Say why the cluster, as it is, could never run a job; empty when it could."""
    if not nodes:
        return "the cluster has no node"
    for amounts in (wanted.entrypoint, *wanted.instances[:1]):
        if not any(_fits(amounts, node) for node in nodes):
            return _nobody_has(amounts, nodes)
    if wanted.instances:
        room = sum(_room(wanted.instances[0], node) for node in nodes)
        if room < len(wanted.instances):
            each = amounts_text(wanted.instances[0])
            return (
                f"the nodes of the cluster have room for {room} instances with {each}, not for {len(wanted.instances)}"
            )
    return ""


def totals(nodes: Iterable[Node]) -> dict[str, float]:
    """Return what all nodes have together, without what Ray counts for itself."""
    found: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.total.items():
            if not name.startswith(_OF_RAY):
                found[name] = found.get(name, 0.0) + amount
    return found


def custom(amounts: Mapping[str, float]) -> dict[str, float]:
    """Return the custom resources among some amounts."""
    return {name: amount for name, amount in sorted(amounts.items()) if name not in ("CPU", "GPU", *_BYTES)}


def _fits(amounts: Mapping[str, float], node: Node) -> bool:
    return all(node.total.get(name, 0.0) >= amount for name, amount in amounts.items())


def _room(amounts: Mapping[str, float], node: Node) -> int:
    return min((int(node.total.get(name, 0.0) / amount + 1e-9) for name, amount in amounts.items()), default=1 << 30)


def _nobody_has(amounts: Mapping[str, float], nodes: Sequence[Node]) -> str:
    lacking = {
        name: amount for name, amount in amounts.items() if all(node.total.get(name, 0.0) < amount for node in nodes)
    }
    if not lacking:
        return f"no node of the cluster has {amounts_text(amounts)} all together"
    most = {name: max(node.total.get(name, 0.0) for node in nodes) for name in lacking}
    there = {name: amount for name, amount in most.items() if amount} or custom(totals(nodes))
    return f"no node of the cluster has {amounts_text(lacking)}; there is {amounts_text(there) or 'no custom resource'}"


def _camel_case(name: str) -> str:
    """Return a name as the dashboard writes it, see ``to_camel_case`` in ray/dashboard/utils.py."""
    first, *others = name.split("_")
    return first + "".join(word.title() for word in others)
