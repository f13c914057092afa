"""``python -m qjob.runner.keeper FOLDER [NUMBER]``: look after one instance of a job, beside it on its machine.

A scheduler's launcher starts one for each instance, see `qjob.runner.spread`. The number is by default that of the
launcher's process, in Slurm's or Open MPI's words; which instances share a machine is known in ours as well. The
keeper is to its instance what the runner is to those on its own machine: its parent, the keeper of its log, its end,
and the one who tells how it ended.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from qjob.atomic import write_whole
from qjob.device_lease import VARIABLE as DEVICE_LEASE
from qjob.folder import JobFolder, look_anew
from qjob.runner.environment import InstancePlace, Meeting, instance_environment
from qjob.runner.instance import Instance, start_instance
from qjob.runner.instances import LocalInstances
from qjob.runner.place import MEETING, scheduler_variables
from qjob.runner.turns import Turns

_NUMBER = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_LOCAL_RANK = ("QJOB_LOCAL_RANK", "SLURM_LOCALID", "OMPI_COMM_WORLD_LOCAL_RANK")
_LOCAL_SIZE = ("QJOB_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE")
_NODE = ("QJOB_NODE_RANK", "SLURM_NODEID")
_LOOK_S = 0.5
_STRAGGLERS_GRACE_S = 2.0


def keep(folder: JobFolder, number: int, environment: Mapping[str, str]) -> int:
    """Run one instance to its end and tell how it ended; return 0: the launcher need not end the others for it.

    It is ended when the folder says so, when the keeper is told to end, and when the launcher is gone.
    Raises OSError or FolderError.
    """
    spec = folder.read_spec()

    def start(instance: int) -> Instance:
        place = InstancePlace(meeting=_meeting(environment), given=_given(environment))
        variables = instance_environment(folder.read_environment(), folder, spec, instance, place)
        return start_instance(folder, spec, instance, variables)

    instances = LocalInstances(start, [number])
    turns = Turns(instances)
    turns.begin(is_warned=True)
    parent = os.getppid()
    instances.start(turns.listen)
    instance = instances.all[0]
    while turns.reap():
        if not turns.is_ending:
            look_anew(folder.instances_state)
            if turns.terminated or os.getppid() != parent or folder.end_mark.exists():
                turns.end_all(spec.grace_s)
            elif instance.exit_code is not None:
                turns.end_all(min(spec.grace_s, _STRAGGLERS_GRACE_S))
        turns.kill_if_due()
        turns.wait(_LOOK_S)
    instances.close()
    _tell(folder, instance)
    return 0


def _tell(folder: JobFolder, instance: Instance) -> None:
    told = {"exitCode": instance.exit_code, "reason": instance.reason, "traceback": instance.traceback}
    write_whole(folder.instance_state(instance.number), json.dumps(told).encode())


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    lease = {DEVICE_LEASE: environment[DEVICE_LEASE]} if DEVICE_LEASE in environment else {}
    return {**scheduler_variables(environment), **lease}


def _meeting(environment: Mapping[str, str]) -> Meeting | None:
    told = environment.get(MEETING)
    if told is None:
        return None
    host, port = told.split(" ")
    local_rank = _first(environment, _LOCAL_RANK)
    node = _first(environment, _NODE) or 0
    size = None if local_rank is None else _local_size(environment, node)
    return Meeting(host=host, port=int(port), node=node, local_rank=local_rank, local_size=size)


def _local_size(environment: Mapping[str, str], node: int) -> int | None:
    """Return how many instances run on this machine, as the launcher says.

    Slurm says ``2(x3),1`` for two on three nodes and one on the next.
    """
    told = _first(environment, _LOCAL_SIZE)
    if told is not None:
        return told
    sizes: list[int] = []
    for part in filter(None, environment.get("SLURM_STEP_TASKS_PER_NODE", "").split(",")):
        size, _, times = part.partition("(x")
        sizes += [int(size)] * int(times.rstrip(")") or 1)
    return sizes[node] if node < len(sizes) else None


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    return next((int(environment[name]) for name in names if environment.get(name, "").isdecimal()), None)


def main(arguments: list[str]) -> int:
    """Keep one instance; return an exit code for the launcher."""
    number = int(arguments[1]) if len(arguments) > 1 else _first(os.environ, _NUMBER)
    if number is None or len(arguments) > 2:
        print("usage: python -m qjob.runner.keeper FOLDER [NUMBER]", file=sys.stderr)
        return 2
    return keep(JobFolder(Path(arguments[0])), number, dict(os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
