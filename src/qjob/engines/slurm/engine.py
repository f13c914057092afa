"""SlurmEngine: the engine ``slurm``; a client of the cluster's own scheduler, and nothing beside it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qjob.atomic import write_whole
from qjob.engine import Fact, Observation, Presence, remote_input_problems
from qjob.engines.slurm.cancelling import Cancelling
from qjob.engines.slurm.cluster import facts
from qjob.engines.slurm.cluster_facts import ClusterFacts
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.handover import Handover, Ref, arrays, parse_ref, read_handover, single, write_handover
from qjob.engines.slurm.options import OWN_WORDS, known_options, merged, option_problems, parse_asked, to_options
from qjob.engines.slurm.queue_view import QueueView, Snapshot
from qjob.engines.slurm.script import Array, Batch, batch_script
from qjob.engines.slurm.states import observation_of
from qjob.errors import EngineUnavailable, SettingsError, SubmitError
from qjob.folder import JobFolder
from qjob.model.config import StoppingCondition
from qjob.model.spec import JobSpec
from qjob.runner.lease import lease_directory
from qjob.runner_copy import runner_copy
from qjob.sweep_folder import SweepFolder, sweep_folder

NAME = "slurm"
_POLL_S = 30.0
_SETTLE_S = 15.0  # how long a shared disk may hide what was written on another machine


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


class SlurmEngine:
    """Jobs of a Slurm cluster."""

    name = NAME

    def __init__(
        self,
        state: Path,
        jobs: Path,
        *,
        runners: Path,
        leases: Path,
        environment: Mapping[str, str],
        words: Mapping[str, Any] | None = None,
        devices: Mapping[str, SlurmDevice] | None = None,
        settle_s: float = _SETTLE_S,
    ) -> None:
        """Use the cluster that Slurm's commands talk to.

        Args:
            state: the engine's own directory, on a local disk; made when needed.
            jobs: the directory of all job folders, on a disk that all nodes share.
            runners: where copies of qjob for the nodes lie, on the same disk.
            leases: where the holders of devices are numbered, on the same disk.
            environment: the environment variables of this process.
            words: the settings of ``[engines.slurm]``.
            devices: those that Slurm knows, by ARN.
            settle_s: how long the shared disk may hide a file that was written elsewhere, in seconds.

        Raises SettingsError.
        """
        words = dict(words or {})
        self._own = {name: words.pop(name) for name in OWN_WORDS if name in words}
        self._defaults = words
        self._jobs = jobs
        self._runners = runners
        self._leases = leases
        self._devices = dict(devices or {})
        self._settle_s = settle_s
        self._slurm = Slurm(environment)
        self._queue = QueueView(self._slurm, state, _poll_s(self._own))
        self._cancelling = Cancelling(self._slurm, self._queue, state, jobs)
        self._facts = ClusterFacts(self._slurm, state)
        self._known: frozenset[str] | None = None

    # What a job may be

    def check(self, spec: JobSpec) -> list[str]:
        """Return what this cluster does not take; asks the controller for its limits, at most every ten minutes."""
        try:
            known = self._known_options()
        except EngineUnavailable as error:
            return [f"engine 'slurm': {error} Submit where Slurm's commands are, or name another engine."]
        problems = option_problems(self._defaults, known, "[engines.slurm] option")
        problems += option_problems(spec.options, known, "option")
        return [*problems, *self._device_problems(spec), *_priority_problems(spec), *remote_input_problems(spec)] or (
            self._limit_problems(spec)
        )

    def _known_options(self) -> frozenset[str]:
        if self._known is None:
            self._known = known_options(self._slurm.options_help())
        return self._known

    def _device_problems(self, spec: JobSpec) -> list[str]:
        if spec.device.startswith("local:"):
            return []
        device = self._devices.get(spec.device)
        if device is None:
            return [
                f"device {spec.device!r}: this Slurm does not know it. Name what a job asks Slurm for, in qjob.toml: "
                f'[devices."{spec.device}"] slurm = "--licenses=…"; or slurm = "" if it may be used without asking.'
            ]
        try:
            parse_asked(device.asks)
        except ValueError as error:
            return [f"device {spec.device!r}: slurm = {device.asks!r} in the settings: {error}."]
        return []

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

    # Handing over

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Hand one job over, or the jobs of a sweep as arrays; one call of sbatch for each."""
        has_begun = any(folder.events.exists() for folder, _ in jobs)
        try:
            refs = self._submit_sweep(jobs) if jobs[0][1].sweep_point is not None else self._submit_one(*jobs[0])
        except OSError as error:
            kind = EngineUnavailable if has_begun else SubmitError
            raise kind(f"the job's folder cannot be written to: {error}.") from error
        return [refs[folder.id] for folder, _ in jobs]

    def _submit_one(self, folder: JobFolder, spec: JobSpec) -> dict[str, str]:
        known = read_handover(folder.handed_over)
        if known is None or known.slurm_id is None:
            known = self._handed_over(
                known,
                known or single(folder.id, time.time()),
                folder.handed_over,
                folder.submit_script,
                self._batch(spec, job=folder.id, name=single(folder.id, 0).name),
                has_begun=folder.events.exists(),
            )
        return known.refs()

    def _submit_sweep(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> dict[str, str]:
        """Hand over the jobs that were not yet, in as many arrays as Slurm's limit asks for."""
        spec = jobs[0][1]
        assert spec.sweep_point is not None
        shared = sweep_folder(self._jobs, spec.sweep_point.sweep)
        earlier = list(_handovers(shared))
        refs: dict[str, str] = {}
        for part, known in enumerate(earlier):
            refs |= (
                known if known.slurm_id is not None else self._submit_part(shared, part, known, known, None)
            ).refs()
        points = {each.sweep_point.number: folder.id for folder, each in jobs if each.sweep_point is not None}
        missing = {number: job for number, job in points.items() if job not in refs}
        after: int | None = None
        size = max(1, self._facts.read().array_size)
        for part, new in enumerate(arrays(shared.id, missing, len(earlier), size, time.time()), start=len(earlier)):
            done = self._submit_part(shared, part, None, new, after)
            refs |= done.refs()
            # Each array has a throttle of its own: only one after the other they keep the sweep's.
            after = done.slurm_id if spec.sweep_point.concurrency is not None else None
        return refs

    def _submit_part(
        self, shared: SweepFolder, part: int, known: Handover | None, wanted: Handover, after: int | None
    ) -> Handover:
        spec = JobFolder(self._jobs / next(iter(wanted.jobs.values()))).read_spec()
        assert spec.sweep_point is not None
        array = Array(jobs=wanted.jobs, at_a_time=spec.sweep_point.concurrency, after=after)
        batch = self._batch(spec, array=array, name=wanted.name)
        has_begun = any((self._jobs / job / "events.jsonl").exists() for job in wanted.jobs.values())
        return self._handed_over(
            known, wanted, shared.handed_over(part), shared.submit_script(part), batch, has_begun=has_begun
        )

    def _batch(self, spec: JobSpec, *, name: str, job: str | None = None, array: Array | None = None) -> Batch:
        device = self._devices.get(spec.device)
        lease = None
        if device is not None and device.asks and device.capacity == 1:
            lease = device.lease or lease_directory(self._leases, spec.device)
        return Batch(
            name=name,
            spec=spec,
            folders=self._jobs,
            job=job,
            array=array,
            runner=runner_copy(self._runners),
            python=str(self._own.get("python", sys.executable)),
            setup=str(self._own.get("setup", "")),
            options=merged(
                to_options(self._defaults),
                parse_asked(device.asks) if device is not None else {},
                to_options(spec.options),
            ),
            lease=lease,
        )

    def _handed_over(
        self,
        known: Handover | None,
        wanted: Handover,
        path: Path,
        script: Path,
        batch: Batch,
        *,
        has_begun: bool,
    ) -> Handover:
        """Call sbatch, unless an earlier call that was cut short has reached Slurm; write down what came of it."""
        if known is not None:
            number = self._settled(wanted, has_begun=has_begun)
            if number is not None:
                return _noted(path, wanted.with_number(number))
        write_whole(script, batch_script(batch).encode("utf-8", "surrogateescape"))
        write_handover(path, wanted)
        try:
            number = self._slurm.submit(script)
        except SubmitError:
            path.unlink(missing_ok=True)
            raise
        self._queue.note_act()
        return _noted(path, wanted.with_number(number))

    def _settled(self, handover: Handover, *, has_begun: bool) -> int | None:
        """Return Slurm's number of what a submit that was cut short handed over; None when it has no such job."""
        rows = [row for key, row in self._queue.look_now().rows.items() if key.name == handover.name]
        if rows:
            return rows[0].slurm_id
        return 0 if has_begun else None

    # Looking

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is by Slurm's last word; of those that it does not know any more, by what they left."""
        if not refs:
            return {}
        snapshot = self._queue.look()
        parsed = {text: parse_ref(text) for text in refs}
        ended = self._ended(snapshot, [ref for ref in parsed.values() if ref is not None])
        return {text: self._observation(ref, snapshot, ended) for text, ref in parsed.items()}

    def _ended(self, snapshot: Snapshot, refs: Sequence[Ref]) -> Mapping[Any, Any]:
        missing = [ref for ref in refs if ref.key not in snapshot.rows and not snapshot.is_older_than(ref)]
        missing = [ref for ref in missing if not JobFolder(self._jobs / ref.job).has_runner()]
        if not missing or not self._facts.read().has_accounting:
            return {}
        return self._queue.ended(missing)

    def _observation(self, ref: Ref | None, snapshot: Snapshot, ended: Mapping[Any, Any]) -> Observation:
        if ref is None:
            return Observation(presence=Presence.GONE, message="it was never handed to Slurm")
        row = snapshot.rows.get(ref.key) or ended.get(ref.key)
        if row is not None:
            return observation_of(row, now=time.time(), settle_s=self._settle_s)
        if not (self._jobs / ref.job).exists():
            return Observation(presence=Presence.GONE, message="its folder was removed")
        if snapshot.is_older_than(ref):
            return Observation(presence=Presence.WAITING, message="Slurm to look at it")
        return self._forgotten(ref, snapshot)

    def _forgotten(self, ref: Ref, snapshot: Snapshot) -> Observation:
        """Say where a job is that Slurm does not know: its controller may have lost it, and the job gone on."""
        folder = JobFolder(self._jobs / ref.job)
        if folder.has_runner():
            return Observation(presence=Presence.RUNNING, message="Slurm does not know it any more, but it runs")
        certain = time.time() - snapshot.missing_since(ref) >= self._settle_s
        message = "Slurm does not know it any more: it ended long ago, or its controller has lost it"
        return Observation(presence=Presence.GONE, message=message, certain=certain)

    def describe(self) -> list[Fact]:
        """Say which partitions, nodes and licences there are."""
        return facts(self._facts.ask(), self._slurm.nodes(), self._slurm.licenses())

    # Ending

    def cancel(self, refs: Sequence[str]) -> None:
        """Take those that wait out of the queue, and tell the runners of the others to end them."""
        self._cancelling.cancel([ref for ref in map(parse_ref, refs) if ref is not None])

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Do nothing: the folder is on the disk that all nodes share."""


def _handovers(shared: SweepFolder) -> Iterator[Handover]:
    part = 0
    while (known := read_handover(shared.handed_over(part))) is not None:
        yield known
        part += 1


def _noted(path: Path, handover: Handover) -> Handover:
    write_handover(path, handover)
    return handover


def _poll_s(words: Mapping[str, Any]) -> float:
    value = words.get("poll_s", _POLL_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 1:
        raise SettingsError(f"[engines.slurm] poll_s = {value!r}: a number of seconds from 1 is expected.")
    return float(value)


def _priority_problems(spec: JobSpec) -> list[str]:
    if spec.priority <= 0:
        return []
    return [
        f"priority={spec.priority}: Slurm lets its users only lower the priority of a job, by a negative number; "
        "leave it out, or ask for another quality of service (options={'qos': …})."
    ]
