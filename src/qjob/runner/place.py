"""Place: what an engine tells the runner of where it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_OF_A_SCHEDULER = (
    "SLURM",
    "SPANK_",
    "QRMI_",
    "PMI",
    "OMPI_",
    "RAY_",
    "PBS_",
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "NEURON_",
    "NVIDIA_VISIBLE_DEVICES",
    "TPU_",
    "GPU_DEVICE_ORDINAL",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "TMPDIR",
)
"""How the variables begin by which schedulers, their launchers and their plugins tell a job what it was given."""


MEETING = "QJOB_INSTANCE_MEETING"
"""For keepers: host and port at which the instances of their job meet."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a runner runs, in its engine's words; the defaults are those of this machine.

    Attributes:
        attempt: how often its scheduler has started this job, from 1; None where a job is started once. Where
            there are attempts, a job that the scheduler ends leaves no outcome: there may be another one.
        launcher: the command that starts the keepers of all instances, on as many machines as it likes, and ends
            when they have ended; it gets the job's folder as its last argument. Empty: the runner starts the
            instances itself.
        lease: the directory of the device that the job holds alone while it runs; None when there is none.
        watches_parent: whether the job is to end when the process that started the runner does.
        variables: what the scheduler has set in the environment; a job sees it, before what its submitter had.
    """

    attempt: int | None = None
    launcher: tuple[str, ...] = ()
    lease: Path | None = None
    watches_parent: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


HERE = Place()
"""This machine, without a scheduler."""


def scheduler_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return those variables that tell what a scheduler has given."""
    return {name: value for name, value in environment.items() if is_of_a_scheduler(name)}


def is_of_a_scheduler(name: str) -> bool:
    """Return whether a variable's name is one of those by which a scheduler tells what it has given."""
    return name.startswith(_OF_A_SCHEDULER)
