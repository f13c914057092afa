"""SlurmEngine: the engine ``slurm``; a client of the cluster's own scheduler, and nothing beside it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qjob.engine import Fact, Observation, Presence
from qjob.engines.slurm.admission import Admission
from qjob.engines.slurm.batches import Batches, SlurmDevice
from qjob.engines.slurm.cancelling import Cancelling
from qjob.engines.slurm.cluster import facts
from qjob.engines.slurm.cluster_facts import ClusterFacts
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.handover import Key, Ref, parse_ref
from qjob.engines.slurm.options import OWN_WORDS, environment_defaults
from qjob.engines.slurm.queue_view import QueueView, Snapshot, row_of
from qjob.engines.slurm.rows import Row
from qjob.engines.slurm.states import is_start_refused, observation_of
from qjob.engines.slurm.submitting import Submitting
from qjob.errors import EngineUnavailable, FolderError, SettingsError, SubmitError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.shared_answer import Patience

__all__ = ["NAME", "SlurmDevice", "SlurmEngine"]

NAME = "slurm"
_POLL_S = 30.0
_LONGEST_POLL_S = 3600.0
_SETTLE_S = 15.0  # how long a shared disk may hide what was written on another machine


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
            words: the settings of ``[engines.slurm]``; they go before SBATCH_ACCOUNT and its like.
            devices: those that Slurm knows, by ARN.
            settle_s: how long the shared disk may hide a file that was written elsewhere, in seconds.

        Raises SettingsError.
        """
        words = environment_defaults(environment) | dict(words or {})
        own = {name: words.pop(name) for name in OWN_WORDS if name in words}
        _check_words(own)
        devices = dict(devices or {})
        self._jobs = jobs
        self._settle_s = settle_s
        self._slurm = Slurm(environment)
        self._queue = QueueView(self._slurm, state, _poll_s(own))
        self._facts = ClusterFacts(self._slurm, state)
        batches = Batches(
            jobs=jobs,
            runners=runners,
            leases=leases,
            devices=devices,
            defaults=words,
            words=own,
            facts=self._facts,
        )
        self._admission = Admission(self._slurm, self._facts, words, devices, runners)
        self._submitting = Submitting(self._slurm, self._queue, self._facts, batches, Patience(state / "submit"))
        self._cancelling = Cancelling(self._slurm, self._queue, state, jobs)

    def check(self, spec: JobSpec) -> list[str]:
        """Return what this cluster does not take; asks the controller for its limits, at most every ten minutes."""
        return self._admission.problems(spec)

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Hand one job over, or the jobs of a sweep as arrays; one call of sbatch for each."""
        has_begun = any(folder.events.exists() for folder, _ in jobs)
        is_sweep = jobs[0][1].sweep_point is not None
        try:
            refs = self._submitting.submit_sweep(jobs) if is_sweep else self._submitting.submit_one(*jobs[0])
        except OSError as error:
            kind = EngineUnavailable if has_begun else SubmitError
            raise kind(f"the job's folder cannot be written to: {error}.") from error
        return [refs[folder.id] for folder, _ in jobs]

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is by Slurm's last word; of those that it does not know any more, by what they left.

        What a controller has accepted and lost, or would not let start, is handed over again.
        """
        if not refs:
            return {}
        snapshot = self._queue.look()
        now = time.time()
        parsed = {text: parse_ref(text) for text in refs}
        missing = [
            ref
            for ref in parsed.values()
            if ref is not None and row_of(snapshot.rows, ref.key) is None and self._is_missing(ref, snapshot)
        ]
        ended = self._ended(missing)
        lost = [ref for ref in missing if row_of(ended, ref.key) is None]
        refused = [ref for ref in parsed.values() if ref is not None and self._is_refused(ref, snapshot, now)]
        again = self._handed_over_again(lost, refused, snapshot)
        return {
            text: again.get(ref.key) or self._observation(ref, snapshot, ended, now)
            if ref is not None
            else Observation(presence=Presence.GONE, message="it was never handed to Slurm")
            for text, ref in parsed.items()
        }

    def describe(self) -> list[Fact]:
        """Say which partitions, nodes and licences there are."""
        return facts(self._facts.ask(), self._slurm.nodes(), self._slurm.licenses())

    def cancel(self, refs: Sequence[str]) -> None:
        """Take those that wait out of the queue, and tell the runners of the others to end them."""
        self._cancelling.cancel([ref for ref in map(parse_ref, refs) if ref is not None])

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Do nothing: the folder is on the disk that all nodes share."""

    def _is_missing(self, ref: Ref, snapshot: Snapshot) -> bool:
        """Return whether Slurm should know a job by now, and does not."""
        folder = JobFolder(self._jobs / ref.job)
        if snapshot.is_older_than(ref) or not folder.path.exists() or folder.has_runner():
            return False
        return not snapshot.was_asked_before(self._submitting.handed_over_at(ref))

    def _is_refused(self, ref: Ref, snapshot: Snapshot, now: float) -> bool:
        """Return whether a node would not start a job, and Slurm ended it: nothing of ours ends so silently."""
        row = row_of(snapshot.rows, ref.key)
        if row is None or not is_start_refused(row) or now - (row.ended_at or 0) < self._settle_s:
            return False
        folder = JobFolder(self._jobs / ref.job)
        if not folder.path.exists() or folder.outcome.exists() or folder.has_runner() or _size(folder.runner_log):
            return False
        try:
            return not self._submitting.was_handed_over_again(ref)
        except FolderError:
            return False  # then it counts as what Slurm says

    def _ended(self, missing: Sequence[Ref]) -> Mapping[Key, Row]:
        return self._queue.ended(missing) if missing and self._facts.read().has_accounting else {}

    def _handed_over_again(
        self, missing: Sequence[Ref], refused: Sequence[Ref], snapshot: Snapshot
    ) -> dict[Key, Observation]:
        """Hand over what Slurm has lost, as far as nobody wants it ended; return what is to be said of it.

        A job that ended is listed for some minutes more. One that was there, or was submitted, less than that ago and
        is not listed was lost by its controller.
        """
        if not missing and not refused:
            return {}
        kept_s = self._facts.read().ended_kept_s
        unseen = [ref for ref in missing if snapshot.unseen_s(ref) < kept_s or self._submitting.is_known_lost(ref)]
        candidates = [*unseen, *refused]
        lost = [ref for ref in candidates if not JobFolder(self._jobs / ref.job).cancel_mark.exists()]
        since = datetime.fromtimestamp(snapshot.asked_at, UTC)
        message = "Slurm, whose controller had lost it; it was handed over again"
        waits = Observation(presence=Presence.WAITING, message=message, waits_since=since)
        trouble = self._submitting.hand_over_again(lost, snapshot.asked_at)
        return {
            ref.key: Observation(presence=Presence.UNKNOWN, message=trouble[ref.key]) if ref.key in trouble else waits
            for ref in lost
        }

    def _observation(self, ref: Ref, snapshot: Snapshot, ended: Mapping[Key, Row], now: float) -> Observation:
        row = row_of(snapshot.rows, ref.key) or row_of(ended, ref.key)
        if row is None:
            seen = self._unlisted(ref, snapshot)
        elif is_start_refused(row) and snapshot.was_asked_before(self._submitting.handed_over_at(ref)):
            seen = Observation(presence=Presence.WAITING, message="Slurm to look at it")
        else:
            seen = observation_of(row, now=now, settle_s=self._settle_s)
        if seen.presence is Presence.GONE and JobFolder(self._jobs / ref.job).has_runner():
            # A controller that was killed has forgotten it, or has started it a second time in vain.
            return Observation(presence=Presence.RUNNING, message="Slurm takes it for ended, but it runs")
        if seen.presence is Presence.WAITING and seen.waits_since is None and self._has_begun(ref):
            return Observation(presence=Presence.RUNNING)  # since Slurm was asked
        return seen

    def _has_begun(self, ref: Ref) -> bool:
        return JobFolder(self._jobs / ref.job).events.exists()

    def _unlisted(self, ref: Ref, snapshot: Snapshot) -> Observation:
        """Say where a job is that Slurm does not know: not yet, not any more, or its controller has lost it."""
        if not (self._jobs / ref.job).exists():
            return Observation(presence=Presence.GONE, message="its folder was removed")
        if snapshot.is_older_than(ref) or snapshot.was_asked_before(self._submitting.handed_over_at(ref)):
            return Observation(presence=Presence.WAITING, message="Slurm to look at it")
        certain = time.time() - snapshot.missing_since(ref) >= self._settle_s
        message = "Slurm does not know it any more: it ended long ago, or its controller has lost it"
        return Observation(presence=Presence.GONE, message=message, certain=certain)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _poll_s(words: Mapping[str, Any]) -> float:
    value = words.get("poll_s", _POLL_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _LONGEST_POLL_S:
        raise SettingsError(
            f"[engines.slurm] poll_s = {value!r}: a number of seconds from 1 to {_LONGEST_POLL_S:g} is expected."
        )
    return float(value)


def _check_words(words: Mapping[str, Any]) -> None:
    for name in ("python", "setup"):
        value = words.get(name, "-")
        if not isinstance(value, str) or (name == "python" and not value.strip()):
            raise SettingsError(f"[engines.slurm] {name} = {value!r}: a text is expected, {OWN_WORDS[name]}.")
