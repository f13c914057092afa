"""What the folders tell: the records of all jobs and sweeps, as a new index is made from them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qjob.errors import FolderError, QjobError
from qjob.folder import JobFolder
from qjob.model.event import JobEvent
from qjob.model.naming import ID_PATTERN, time_us_of
from qjob.model.record import JobRecord, apply
from qjob.model.status import EventType
from qjob.model.sweep import SweepRecord
from qjob.sweep_folder import SweepFolder, sweep_folder

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_folders(jobs: Path, problems: list[str]) -> Iterator[JobRecord | SweepRecord]:
    """Yield the record of every folder in the directory ``jobs``, then those of the sweeps that these are of.

    Why a folder could not be read is added to ``problems``. A sweep without jobs was never submitted, or is removed.
    """
    sweeps: dict[str, _Seen] = {}
    for name in sorted(os.listdir(jobs)):
        if name.startswith("."):
            continue
        try:
            record = _record_in(JobFolder(jobs / name))
        except QjobError as error:
            problems.append(str(error))
            continue
        if record.spec.sweep_point is not None:
            sweeps.setdefault(record.spec.sweep_point.sweep, _Seen(record)).add(record.spec.sweep_point.number)
        yield record
    for sweep_id, seen in sweeps.items():
        yield _sweep_in(sweep_folder(jobs, sweep_id), seen, problems)


@dataclass
class _Seen:
    """What the jobs of a sweep tell of it.

    Attributes:
        first: the one whose folder came first.
        points: at least so many there are.
    """

    first: JobRecord
    points: int = 0

    def add(self, number: int) -> None:
        """Count a point in."""
        self.points = max(self.points, number + 1)


def _record_in(folder: JobFolder) -> JobRecord:
    """Return the record that a folder tells of; from the spec alone, should record.json be lost."""
    if not ID_PATTERN.fullmatch(folder.id):
        raise FolderError(f"{folder.path} is no job's folder, as its name is no job's id; move it away.")
    try:
        record = folder.read_record()
    except FolderError:
        created_at = _time_of(folder.id)
        record = JobRecord(id=folder.id, spec=folder.read_spec(), created_at=created_at)
        record = apply(record, JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=created_at))
    if record.id != folder.id:
        raise FolderError(f"{folder.path} holds job {record.id}: it is a copy of that folder; move it away.")
    return record


def _sweep_in(folder: SweepFolder, seen: _Seen, problems: list[str]) -> SweepRecord:
    """Return the record that a sweep's folder tells of; from its jobs alone, should that be lost."""
    try:
        sweep = folder.read()
        if sweep.id == folder.id:
            return sweep
        problems.append(f"{folder.path} holds sweep {sweep.id}: it is a copy of that folder.")
    except FolderError as error:
        problems.append(str(error))
    point = seen.first.spec.sweep_point
    return SweepRecord(
        id=folder.id,
        name=seen.first.spec.name.rpartition("-")[0] or seen.first.spec.name,
        created_at=_time_of(folder.id),
        points=seen.points,
        concurrency=None if point is None else point.concurrency,
    )


def _time_of(job_id: str) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us_of(job_id))
