"""Batches: from a spec and the settings to what a batch script is made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qjob.engines.slurm.cluster_facts import ClusterFacts
from qjob.engines.slurm.options import long_name, merged, parse_asked, to_options
from qjob.engines.slurm.script import Array, Batch
from qjob.errors import EngineUnavailable
from qjob.model.config import StoppingCondition
from qjob.model.spec import JobSpec
from qjob.runner.lease import lease_directory
from qjob.runner_copy import runner_copy


@dataclass(frozen=True, kw_only=True)
class SlurmDevice:
    """A device that Slurm knows.

    Attributes:
        asks: the options of sbatch by which a job asks for it; empty when it need not ask.
        capacity: how many jobs it takes at a time.
        lease: the directory in which its holders are numbered; None for the usual one.
    """

    asks: str
    capacity: int = 1
    lease: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Makes batches.

    Attributes:
        jobs: the directory of all job folders, on the disk that all nodes share.
        runners: where copies of qjob for the nodes lie, on the same disk.
        leases: where the holders of devices are numbered, on the same disk.
        devices: those that Slurm knows, by ARN.
        defaults: the settings' options of sbatch.
        words: the engine's own settings.
        facts: the limits of the cluster.
    """

    jobs: Path
    runners: Path
    leases: Path
    devices: Mapping[str, SlurmDevice] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=dict)
    facts: ClusterFacts

    def of_job(self, name: str, spec: JobSpec, job: str) -> Batch:
        """Return that of a single job. Raises OSError when qjob cannot be copied for the nodes."""
        return self._batch(name, spec, job=job)

    def of_array(self, name: str, spec: JobSpec, array: Array) -> Batch:
        """Return that of jobs of a sweep, with the spec of any of them. Raises OSError."""
        return self._batch(name, spec, array=array)

    def _batch(self, name: str, spec: JobSpec, *, job: str | None = None, array: Array | None = None) -> Batch:
        device = self.devices.get(spec.device)
        asks = {} if device is None else parse_asked(device.asks)
        options = merged(to_options(_defaults_for(spec, self.defaults)), asks, to_options(spec.options))
        return Batch(
            name=name,
            spec=spec,
            folders=self.jobs,
            job=job,
            array=array,
            runner=runner_copy(self.runners),
            python=str(self.words.get("python", sys.executable)),
            setup=str(self.words.get("setup", "")),
            options=options,
            limit_s=self._limit_s(options.get("partition")),
            lease=None if device is None else self._lease(device, spec.device),
        )

    def _limit_s(self, partition: str | None) -> float | None:
        """Return the longest run that a partition allows, where that is known."""
        try:
            found = self.facts.read().partition(partition)
        except EngineUnavailable:
            return None
        return None if found is None else found.limit_s

    def _lease(self, device: SlurmDevice, arn: str) -> Path | None:
        """Return where the holders of a device are numbered: only one that has a single holder can be fenced."""
        if not device.asks or device.capacity > 1:
            return None
        return device.lease or lease_directory(self.leases, arn)


def _defaults_for(spec: JobSpec, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings' options without those for which the job has a word of its own."""
    own = {
        "time": spec.stopping_condition != StoppingCondition(),
        "nice": spec.priority < 0,
    }
    return {name: value for name, value in defaults.items() if not own.get(long_name(name), False)}
