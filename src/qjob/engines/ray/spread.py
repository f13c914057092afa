"""``python -m qjob.engines.ray.spread FOLDER``: start the instances of a job on as many nodes as Ray gives them.

The launcher of `qjob.runner.spread`, on Ray: a *placement group* with a bundle for each instance, which Ray gives all
at once or not at all, and in each bundle a task that starts the instance's keeper and waits for it. The functions of
the tasks go to Ray by value, as those of a main module do, and use the standard library alone: its workers cannot
import qjob. Runs on the cluster, with an interpreter that has ray.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from qjob.atomic import write_whole
from qjob.engines.ray.resources import instance_take
from qjob.errors import MissingExtra
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.place import MEETING

_PACKED = "PACK"  # as few nodes as will do: instances talk to each other
_LOOK_S = 1.0
_LOST = -signal.SIGKILL


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where an instance runs.

    Attributes:
        number: of the instance.
        node: of its machine among those of the job, from 0.
        local_rank: of the instance among those on its machine, from 0.
        local_size: how many those are.
    """

    number: int
    node: int
    local_rank: int
    local_size: int


def seats(node_ids: Sequence[str]) -> list[Seat]:
    """Return the seats of all instances, from the node of each."""
    nodes = list(dict.fromkeys(node_ids))
    return [
        Seat(
            number=number,
            node=nodes.index(node),
            local_rank=node_ids[:number].count(node),
            local_size=node_ids.count(node),
        )
        for number, node in enumerate(node_ids)
    ]


def seat_variables(seat: Seat, meeting: str) -> dict[str, str]:
    """Return what a keeper is told of its instance's seat, and of where the instances meet."""
    return {
        MEETING: meeting,
        "QJOB_NODE_RANK": str(seat.node),
        "QJOB_LOCAL_RANK": str(seat.local_rank),
        "QJOB_LOCAL_SIZE": str(seat.local_size),
    }


def bundle_options(amounts: Mapping[str, float]) -> dict[str, Any]:
    """Return the options of a task that takes the whole of a bundle."""
    return {
        "num_cpus": amounts.get("CPU", 0),
        "num_gpus": amounts.get("GPU", 0),
        "memory": int(amounts.get("memory", 0)) or None,
    }


def spread(ray: Any, folder: JobFolder, spec: JobSpec) -> None:
    """Start all instances and wait until they have ended, or are lost; ``ray`` is the module, connected."""
    amounts = instance_take(spec) or {"memory": 1}
    group = ray.util.placement_group([amounts] * spec.instance_count, strategy=_PACKED)
    ray.get(group.ready())
    in_first = _in_bundle(ray, group, 0)
    meeting = ray.get(ray.remote(_meeting).options(num_cpus=0, scheduling_strategy=in_first).remote())
    lying = ray.util.placement_group_table(group)["bundles_to_node_id"]
    running = {}
    for seat in seats([lying[number] for number in range(spec.instance_count)]):
        place = {"scheduling_strategy": _in_bundle(ray, group, seat.number), **bundle_options(amounts)}
        keeper = ray.remote(_keep).options(max_retries=0, **place)
        running[keeper.remote(_command(folder, seat), _variables(seat, meeting), str(folder.runner_log))] = seat.number
    _wait(ray, folder, running)
    ray.util.remove_placement_group(group)


def _wait(ray: Any, folder: JobFolder, running: dict[Any, int]) -> None:
    while running:
        ended, _ = ray.wait(list(running), timeout=_LOOK_S)
        for ref in ended:
            number = running.pop(ref)
            try:
                ray.get(ref)
            except ray.exceptions.RayError as error:
                _tell_lost(folder, number, error)


def _tell_lost(folder: JobFolder, number: int, error: Exception) -> None:
    """Tell the end of an instance whose keeper cannot: its node is gone, or Ray has killed the task."""
    if folder.instance_state(number).exists():
        return
    why = str(error).strip().splitlines() or [type(error).__name__]
    told = {"exitCode": int(_LOST), "reason": f"Ray has lost it: {why[0].rstrip('.')}", "traceback": ""}
    write_whole(folder.instance_state(number), json.dumps(told).encode())


def _in_bundle(ray: Any, group: Any, number: int) -> Any:
    return ray.util.scheduling_strategies.PlacementGroupSchedulingStrategy(
        placement_group=group, placement_group_bundle_index=number
    )


def _command(folder: JobFolder, seat: Seat) -> list[str]:
    return [sys.executable, "-P", "-m", "qjob.runner.keeper", str(folder.path), str(seat.number)]


def _variables(seat: Seat, meeting: str) -> dict[str, str]:
    """Return what is added to a worker's environment for its keeper; Ray's own words are there, its GPUs too."""
    leased = {name: value for name, value in os.environ.items() if name == "QJOB_DEVICE_LEASE"}
    return {"PYTHONPATH": str(Path(__file__).parents[3]), **leased, **seat_variables(seat, meeting)}


def _keep(command: list[str], variables: dict[str, str], log: str) -> int:
    """Run a keeper; what it says of itself goes into the job's folder. Runs in a worker, like `_meeting`."""
    with open(log, "ab") as said:
        return subprocess.call(
            command, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )


def _meeting() -> str:
    """Return this node's address and a port that is free there."""
    ray: Any = import_module("ray")
    address = ray.util.get_node_ip_address()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as found:
        found.bind((address, 0))
        return f"{address} {found.getsockname()[1]}"


def _connected() -> Any:
    try:
        ray: Any = import_module("ray")
    except ImportError as error:
        raise MissingExtra(
            f"The interpreter {sys.executable} has no ray, which starts the instances of a job on several nodes: "
            "set python in [engines.ray] of the settings to one that has it, or pip install 'qjob[ray]' there."
        ) from error
    import_module("ray.util.scheduling_strategies")
    ray.init(address="auto", log_to_driver=False)
    return ray


def main(arguments: Sequence[str]) -> int:
    """Start the instances of the job in a folder; return 0 when all have ended."""
    if len(arguments) != 1:
        print("usage: python -m qjob.engines.ray.spread FOLDER", file=sys.stderr)
        return 2
    folder = JobFolder(Path(arguments[0]).absolute())
    # Ray tells every process below a job's entrypoint to end. The keepers are elsewhere, and shall end theirs in peace.
    signal.signal(signal.SIGTERM, lambda *_: folder.end_mark.touch())
    try:
        spread(_connected(), folder, folder.read_spec())
    except MissingExtra as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
