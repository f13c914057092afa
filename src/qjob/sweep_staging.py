"""Sweep staging: the folder of a sweep and those of all its jobs are written, and synced to the disk once."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from qjob.disk import sync_file_system
from qjob.errors import FolderError
from qjob.folder import JobFolder
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec
from qjob.model.sweep import SweepRecord
from qjob.staging import ABANDONED_S, Checkpoints, Payload, Staging, cannot_write, copy_checkpoints
from qjob.sweep_folder import SweepFolder, sweep_folder

_SUFFIX = ".staging"
_MOST_LINKS = 10_000  # to one file; ext4 allows 65,000
_READ_ONLY = 0o400


@dataclass(frozen=True, kw_only=True)
class Point:
    """What is a job's own among the jobs of a sweep.

    Attributes:
        number: the point, from 0; of a sweep that resumes another one its number there.
        hyperparameters: all of them.
        checkpoints: those that it starts with, of a job that it resumes.
    """

    number: int
    hyperparameters: Mapping[str, str]
    checkpoints: Checkpoints | None = None


@dataclass(frozen=True, kw_only=True)
class SweepSubmission:
    """A sweep that is ready to be submitted.

    Attributes:
        spec: what is asked, the same for all jobs but for name and hyperparameters; its name is the sweep's.
        points: the jobs.
        varied: the hyperparameters that are not the same in all points.
        concurrency: at most so many jobs run at a time.
        source: goes to the sweep's ``source/``.
        inputs: goes to its ``input/``, a directory for each channel.
        environment: the environment variables that the jobs shall see.
        resumed_from: the id of the sweep whose unfinished points these are.
    """

    spec: JobSpec
    points: Sequence[Point]
    varied: tuple[str, ...]
    concurrency: int | None
    source: Payload
    inputs: Payload
    environment: Mapping[str, str]
    resumed_from: str | None = None


class SweepStaging:
    """Writes sweeps beside the directory of all job folders, and their jobs as `Staging` does."""

    def __init__(self, jobs: Path, staging: Staging) -> None:
        """Stage what goes into ``jobs``, and beside it."""
        self._jobs = jobs
        self._staging = staging

    def write(self, sweep: SweepRecord, records: Sequence[JobRecord], submission: SweepSubmission) -> None:
        """Write the folder of a sweep, under its own name, and those of its jobs, staged; nothing is left on failure.

        A sweep's folder whose jobs are not on record counts for nothing. Raises FolderError when the disk is full or
        may not be written.
        """
        try:
            shared = self._write_shared(sweep, submission)
            self._write_jobs(shared, records, submission)
            shared.path.rename(self._folder(sweep.id).path)
            sync_file_system(self._jobs)  # the new name as well: what is on record must be there
        except OSError as error:
            self.discard(sweep.id, records)
            raise FolderError(cannot_write(self._jobs, error)) from error
        except BaseException:
            self.discard(sweep.id, records)
            raise

    def discard(self, sweep_id: str, records: Sequence[JobRecord]) -> None:
        """Remove what was written; harmless to repeat."""
        for record in records:
            self._staging.discard(record.id)
        for path in (self._staged(sweep_id), self._folder(sweep_id).path):
            shutil.rmtree(path, ignore_errors=True)

    def discard_abandoned(self, is_sweep: Callable[[str], bool]) -> None:
        """Remove what submitters that were killed long ago left behind, where it never became a sweep."""
        directory = self._folder("").path
        for path in directory.iterdir() if directory.is_dir() else ():
            sweep_id = path.name.removeprefix(".").removesuffix(_SUFFIX)
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_S and not is_sweep(sweep_id):
                    shutil.rmtree(path, ignore_errors=True)

    def _write_shared(self, sweep: SweepRecord, submission: SweepSubmission) -> SweepFolder:
        folder = SweepFolder(self._staged(sweep.id))
        folder.path.mkdir(mode=0o700, parents=True)
        folder.source.mkdir(mode=0o700)
        folder.ended.mkdir(mode=0o700)
        submission.source.write_to(folder.source)
        if submission.spec.inputs:
            folder.input.mkdir(mode=0o700)
            submission.inputs.write_to(folder.input)
            _make_read_only(folder.input)
        folder.write(sweep)
        return folder

    def _write_jobs(self, shared: SweepFolder, records: Sequence[JobRecord], submission: SweepSubmission) -> None:
        like = JobFolder(shared.path)  # its files of these names are what all jobs get
        for number, (record, point) in enumerate(zip(records, submission.points, strict=True)):
            if number % _MOST_LINKS == 0:
                like.environment.unlink(missing_ok=True)
                like.write_environment(submission.environment)
            folder = JobFolder(self._staging.staged(record.id))
            folder.path.mkdir(mode=0o700)
            folder.write_new(record, self._jobs / record.id)
            _link(like.environment, folder.environment)
            if record.spec.requirements:
                folder.requirements.write_text(record.spec.requirements, encoding="utf-8")
            if point.checkpoints is not None:
                folder.checkpoints.mkdir(mode=0o700)
                copy_checkpoints(point.checkpoints, folder, record.spec.name)
        like.environment.unlink()  # the jobs have it, until they have ended

    def _folder(self, sweep_id: str) -> SweepFolder:
        return sweep_folder(self._jobs, sweep_id)

    def _staged(self, sweep_id: str) -> Path:
        return self._folder(f".{sweep_id}{_SUFFIX}").path


def _make_read_only(directory: Path) -> None:
    """Take away the right to write what all jobs share, so that none changes it for the others by mistake."""
    for root, _, files in os.walk(directory):
        for name in files:
            path = os.path.join(root, name)
            os.chmod(path, os.stat(path).st_mode & 0o555 | _READ_ONLY)


def _link(source: Path, target: Path) -> None:
    """Give a file, which nobody ever changes, a second name; or copy it where the file system has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
        target.chmod(0o600)
