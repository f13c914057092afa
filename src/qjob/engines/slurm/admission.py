"""Admission: why a cluster cannot run what is asked, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qjob.engine import remote_input_problems
from qjob.engines.slurm.batches import SlurmDevice
from qjob.engines.slurm.cluster_facts import ClusterFacts
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.options import Options, known_options, option_problems, parse_asked, to_options
from qjob.errors import EngineUnavailable
from qjob.model.config import StoppingCondition
from qjob.model.spec import JobSpec


class Admission:
    """Looks at specs."""

    def __init__(
        self,
        slurm: Slurm,
        facts: ClusterFacts,
        defaults: Mapping[str, Any],
        devices: Mapping[str, SlurmDevice],
        runners: Path,
    ) -> None:
        """Look at them with the settings' options and devices, and where copies of qjob for the nodes lie."""
        self._slurm = slurm
        self._facts = facts
        self._defaults = defaults
        self._devices = devices
        self._known: frozenset[str] | None = None
        self._path_problems = (
            [f"home: {runners} has a colon, which PYTHONPATH cannot have; set QJOB_HOME to another directory."]
            if ":" in str(runners)
            else []
        )

    def problems(self, spec: JobSpec) -> list[str]:
        """Return every reason; asks the controller for its limits, at most every ten minutes."""
        try:
            known = self._known_options()
        except EngineUnavailable as error:
            return [f"engine 'slurm': {error} Submit where Slurm's commands are, or name another engine."]
        problems = option_problems(self._defaults, known, "[engines.slurm] option")
        problems += option_problems(spec.options, known, "option")
        problems += [*self._device_problems(spec, known), *_priority_problems(spec), *remote_input_problems(spec)]
        problems += _task_problems(spec, to_options({**self._defaults, **spec.options}))
        problems += self._path_problems
        return problems or self._limit_problems(spec)

    def _known_options(self) -> frozenset[str]:
        if self._known is None:
            self._known = known_options(self._slurm.options_help())
        return self._known

    def _device_problems(self, spec: JobSpec, known: frozenset[str]) -> list[str]:
        if spec.device.startswith("local:"):
            return []
        device = self._devices.get(spec.device)
        if device is None:
            return [
                f"device {spec.device!r}: this Slurm does not know it. Name what a job asks Slurm for, in qjob.toml: "
                f'[devices."{spec.device}"] slurm = "--licenses=…"; or slurm = "" if it may be used without asking.'
            ]
        where = f"device {spec.device!r}: slurm = {device.asks!r} in the settings"
        try:
            asked = parse_asked(device.asks)
        except ValueError as error:
            return [f"{where}: {error}."]
        return option_problems(
            {name: True if value is None else value for name, value in asked.items()}, known, f"{where}: option"
        )

    def _limit_problems(self, spec: JobSpec) -> list[str]:
        """Say that the partition allows less time than the job wants, where both are known."""
        if spec.stopping_condition == StoppingCondition():
            return []
        partition = to_options({**self._defaults, **spec.options}).get("partition")
        try:
            found = self._facts.read().partition(partition)
        except EngineUnavailable:
            return []  # the submit tells
        wanted_s = spec.stopping_condition.maxRuntimeInSeconds
        if found is None or found.limit_s is None or wanted_s <= found.limit_s - spec.grace_s:
            return []
        return [
            f"stopping_condition.maxRuntimeInSeconds={wanted_s}: the partition {found.name} ends jobs after "
            f"{found.limit_s:g} s, and {spec.grace_s:g} s of that are for ending well; ask for less, or name another "
            "partition (options={'partition': …})."
        ]


def _task_problems(spec: JobSpec, options: Options) -> list[str]:
    count, tasks = spec.instance_count, options.get("ntasks")
    if count == 1 or tasks is None or tasks == str(count):
        return []
    return [f"option 'ntasks'={tasks}: the job has {count} instances, one for each task; leave the option out."]


def _priority_problems(spec: JobSpec) -> list[str]:
    if spec.priority <= 0:
        return []
    return [
        f"priority={spec.priority}: Slurm lets its users only lower the priority of a job, by a negative number; "
        "leave it out, or ask for another quality of service (options={'qos': …})."
    ]
