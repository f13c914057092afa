"""Submitting: jobs go to Slurm, once each, whoever is killed meanwhile and whatever the controller forgets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qjob.atomic import write_unsynced
from qjob.engines.slurm.batches import Batches
from qjob.engines.slurm.cluster_facts import ClusterFacts
from qjob.engines.slurm.commands import Slurm
from qjob.engines.slurm.handover import Handover, Key, Ref, arrays, read_handover, single, write_handover
from qjob.engines.slurm.queue_view import QueueView, row_of
from qjob.engines.slurm.rows import PREFIX, Row
from qjob.engines.slurm.script import Array, Batch, batch_script
from qjob.engines.slurm.states import is_start_refused
from qjob.errors import EngineUnavailable, FolderError, SubmitError
from qjob.folder import JobFolder, locked
from qjob.model.spec import JobSpec
from qjob.shared_answer import Patience
from qjob.sweep_folder import SweepFolder, sweep_folder

_AGAIN_S = 120.0  # a job that squeue cannot show must not be handed over at every look
_NOT_LISTED = "squeue does not list it, although it was handed over again a moment ago"


@dataclass(frozen=True, kw_only=True)
class _Files:
    """Where one call of sbatch is written down: the script, and what came of it."""

    script: Path
    note: Path


class Submitting:
    """Hands jobs over."""

    def __init__(
        self, slurm: Slurm, queue: QueueView, facts: ClusterFacts, batches: Batches, patience: Patience
    ) -> None:
        """Hand them to the cluster, and leave it alone for a while when it takes none."""
        self._patience = patience
        self._slurm = slurm
        self._queue = queue
        self._facts = facts
        self._batches = batches
        self._jobs = batches.jobs

    def submit_one(self, folder: JobFolder, spec: JobSpec) -> dict[str, str]:
        """Hand over a job that stands alone; return its ref, by its id."""
        files = _Files(script=folder.submit_script, note=folder.handed_over)
        known = read_handover(files.note)
        if known is not None and known.slurm_id is not None:
            return known.refs()
        number = None if known is None else self._settled(known, has_begun=folder.events.exists())
        if known is not None and number is not None:
            return _noted(files, known.with_number(number)).refs()
        wanted = single(folder.id, time.time())
        return self._call(files, wanted, self._batches.of_job(wanted.name, spec, folder.id)).refs()

    def submit_sweep(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> dict[str, str]:
        """Hand over the jobs of a sweep that were not yet, in as many arrays as Slurm's limit asks for.

        Returns the refs of all jobs that were handed over, by their ids. When Slurm refuses one of the arrays, those
        that it has taken in this call are taken back.
        """
        spec = jobs[0][1]
        if spec.sweep_point is None:
            raise ValueError(f"job {jobs[0][0].id} is of no sweep")
        shared = sweep_folder(self._jobs, spec.sweep_point.sweep)
        points = {each.sweep_point.number: folder.id for folder, each in jobs if each.sweep_point is not None}
        done: list[Handover] = []
        try:
            for part, known in enumerate(_handovers(shared)):
                done.append(self._settled_part(shared, part, known, spec, _last_number(done)))
            known_jobs = {job for handover in done for job in handover.jobs.values()}
            missing = {number: job for number, job in points.items() if job not in known_jobs}
            for part, new in enumerate(self._arrays(shared, missing, len(done)), start=len(done)):
                done.append(self._call(_part_files(shared, part), new, self._batch(new, spec, _last_number(done))))
        except SubmitError:
            self._take_back(shared, done, set(points.values()))
            raise
        return {job: ref for handover in done for job, ref in handover.refs().items()}

    def hand_over_again(self, lost: Sequence[Ref], known_at: float) -> dict[Key, str]:
        """Hand over jobs that a controller has accepted and forgotten or refused to start, by the listing of that time.

        Once, whoever notices. Those that have begun go on from their checkpoints. Returns why, for those that could
        not be handed over. Raises EngineUnavailable.
        """
        names: dict[str, list[Ref]] = {}
        for ref in lost:
            names.setdefault(ref.key.name, []).append(ref)
        trouble: dict[Key, str] = {}
        for refs in names.values():
            try:
                trouble.update((ref.key, _NOT_LISTED) for ref in self._once_more(refs, known_at))
            except (SubmitError, FolderError, OSError) as error:  # one job must not hide the others
                trouble.update(
                    (ref.key, f"Slurm has lost it, and it cannot be handed over again: {error}") for ref in refs
                )
        return trouble

    def handed_over_at(self, ref: Ref) -> float:
        """Return when a job was handed over last, in seconds since 1970, as far as that can be read."""
        known = self._known_of(ref)
        return ref.submitted_at if known is None else max(ref.submitted_at, known.again_at or 0)

    def is_known_lost(self, ref: Ref) -> bool:
        """Return whether it was found before that Slurm has lost a job, or another of its array, and still has."""
        known = self._known_of(ref)
        return known is not None and known.lost_at is not None

    def was_handed_over_again(self, ref: Ref) -> bool:
        """Return whether Slurm has lost a job, or another of its array, before. Raises FolderError."""
        known = read_handover(self._files_of(ref).note)
        return known is not None and known.again_at is not None

    def _take_back(self, shared: SweepFolder, done: Sequence[Handover], jobs: set[str]) -> None:
        """Take arrays of these jobs out of the queue again, as whoever submits them is told that none was started."""
        for part, handover in enumerate(done):
            if jobs & set(handover.jobs.values()):
                self._slurm.take_out([str(handover.slurm_id)])
                _part_files(shared, part).note.unlink(missing_ok=True)

    def _arrays(self, shared: SweepFolder, missing: Mapping[int, str], first: int) -> Iterator[Handover]:
        if missing:
            size = max(1, self._facts.read().array_size)
            yield from arrays(shared.id, missing, first, size, time.time())

    def _settled_part(
        self, shared: SweepFolder, part: int, known: Handover, spec: JobSpec, after: int | None
    ) -> Handover:
        """Return what an earlier call handed over; one that was cut short is settled first."""
        if known.slurm_id is not None:
            return known
        has_begun = any(JobFolder(self._jobs / job).events.exists() for job in known.jobs.values())
        number = self._settled(known, has_begun=has_begun)
        files = _part_files(shared, part)
        if number is not None:
            return _noted(files, known.with_number(number))
        return self._call(files, known.called_at(time.time()), self._batch(known, spec, after))

    def _batch(self, handover: Handover, spec: JobSpec, after: int | None) -> Batch:
        """Return an array, after another one where the sweep has a limit: each array has a throttle of its own."""
        concurrency = _concurrency(spec)
        after = None if concurrency is None else after
        array = Array(jobs=handover.jobs, at_a_time=concurrency, after=after)
        return self._batches.of_array(handover.name, spec, array)

    def _settled(self, handover: Handover, *, has_begun: bool) -> int | None:
        """Return Slurm's number of what a submit that was cut short handed over; None when it has no such job."""
        rows = [row for key, row in self._queue.look_now().rows.items() if key.name == handover.name]
        if rows:
            return rows[0].slurm_id
        return 0 if has_begun else None

    def _call(self, files: _Files, wanted: Handover, batch: Batch) -> Handover:
        """Call sbatch, written down before and after. Raises SubmitError, EngineUnavailable, or OSError before it."""
        _write_script(files, batch)
        write_handover(files.note, wanted)
        try:
            number = self._patience.ask(lambda: self._slurm.submit(files.script))
        except SubmitError:
            files.note.unlink(missing_ok=True)
            raise
        try:
            self._queue.note_act()
            return _noted(files, wanted.with_number(number))
        except OSError as error:
            raise EngineUnavailable(f"Slurm has the job, and {files.note} cannot be written: {error}.") from error

    def _once_more(self, refs: Sequence[Ref], known_at: float) -> Sequence[Ref]:
        """Call sbatch again for jobs of one name; return those for which that was done a moment ago, in vain."""
        files = self._files_of(refs[0])
        with locked(files.note) as fd:
            known = read_handover(files.note)
            if fd is None or known is None or (known.again_at or 0) >= known_at:
                return []  # somebody is at it, or was
            if time.time() - (known.again_at or 0) < _AGAIN_S:
                return refs
            known = known.found_lost(known_at)
            write_handover(files.note, known)  # the listings that show it are gone when this is cut short, or refused
            listed = self._queue.look_now().rows
            lost = [ref for ref in refs if _is_lost(row_of(listed, ref.key))]
            if not lost:
                write_handover(files.note, known.found_lost(None))
                return []
            _write_script(files, self._batch_again(known, lost))
            self._patience.ask(lambda: self._slurm.submit(files.script))
            write_handover(files.note, known.handed_over_again(time.time()))
        self._queue.note_act()
        return []

    def _batch_again(self, known: Handover, lost: Sequence[Ref]) -> Batch:
        spec = JobFolder(self._jobs / lost[0].job).read_spec()
        if not known.jobs:
            return self._batches.of_job(known.name, spec, lost[0].job)
        jobs = {ref.key.index: ref.job for ref in lost if ref.key.index is not None}
        return self._batches.of_array(known.name, spec, Array(jobs=jobs, at_a_time=_concurrency(spec)))

    def _known_of(self, ref: Ref) -> Handover | None:
        """Return what was written down of a job, as far as that can be read."""
        with contextlib.suppress(FolderError):
            return read_handover(self._files_of(ref).note)
        return None

    def _files_of(self, ref: Ref) -> _Files:
        if ref.key.index is None:
            folder = JobFolder(self._jobs / ref.job)
            return _Files(script=folder.submit_script, note=folder.handed_over)
        sweep, _, part = ref.key.name.removeprefix(PREFIX).rpartition(".")
        if not part.isdecimal():
            raise FolderError(f"{ref.key.name!r} is no name of an array of qjob's.")
        return _part_files(sweep_folder(self._jobs, sweep), int(part))


def _handovers(shared: SweepFolder) -> Iterator[Handover]:
    part = 0
    while (known := read_handover(shared.handed_over(part))) is not None:
        yield known
        part += 1


def _part_files(shared: SweepFolder, part: int) -> _Files:
    return _Files(script=shared.submit_script(part), note=shared.handed_over(part))


def _write_script(files: _Files, batch: Batch) -> None:
    write_unsynced(files.script, batch_script(batch).encode("utf-8", "surrogateescape"))


def _is_lost(row: Row | None) -> bool:
    return row is None or is_start_refused(row)


def _noted(files: _Files, handover: Handover) -> Handover:
    write_handover(files.note, handover)
    return handover


def _last_number(done: Sequence[Handover]) -> int | None:
    """Return Slurm's number of the last array that Slurm knows; one that it has forgotten nobody can wait for."""
    return next((handover.slurm_id for handover in reversed(done) if handover.slurm_id), None)


def _concurrency(spec: JobSpec) -> int | None:
    return None if spec.sweep_point is None else spec.sweep_point.concurrency
