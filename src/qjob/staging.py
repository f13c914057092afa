"""Staging: a job's folder is written whole under a name that nobody takes for a job, then gets its own."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from qjob.atomic import TEMPORARY_SUFFIX, sync_directory, sync_file
from qjob.disk import sync_file_system
from qjob.errors import FolderError, InvalidInput
from qjob.folder import JobFolder
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec
from qjob.runtime.alone import alone_in

_SUFFIX = ".staging"
_MOST_SYNCED_EACH = 50  # of more files, one wait for all that the disk has to write is the shorter one
ABANDONED_S = 3600.0
"""How old, in seconds, what a submitter has staged must be to count as left behind."""


class Payload(Protocol):
    """What a caller has prepared for a job's folder: its source, its input data."""

    def write_to(self, directory: Path) -> None:
        """Write it below ``directory``; raises OSError."""


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A job that is ready to be submitted.

    Attributes:
        spec: what is asked.
        source: goes to the folder's ``source/``.
        inputs: goes to ``input/``, a directory for each channel.
        environment: the environment variables that the job shall see.
    """

    spec: JobSpec
    source: Payload
    inputs: Payload
    environment: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Checkpoints:
    """The checkpoints that a new job starts with.

    Attributes:
        job_id: the job that left them.
        job_name: its name, by which Braket's files are named.
        directory: where they lie.
    """

    job_id: str
    job_name: str
    directory: Path


class Staging:
    """The folders in the making, beside the finished ones."""

    def __init__(self, jobs: Path) -> None:
        """Stage the folders of the jobs in the directory ``jobs``."""
        self._jobs = jobs

    def write(self, record: JobRecord, submission: Submission, checkpoints: Checkpoints | None) -> None:
        """Write the whole folder of a new job; nothing is left of it when that fails.

        Raises InvalidInput, or FolderError when the disk is full or may not be written.
        """
        folder = JobFolder(self.staged(record.id))
        try:
            folder.path.mkdir(mode=0o700)
            self._fill(folder, record, submission, checkpoints)
        except OSError as error:
            self.discard(record.id)
            raise FolderError(cannot_write(self._jobs, error)) from error
        except BaseException:
            self.discard(record.id)
            raise

    def rename(self, job_id: str, record: JobRecord) -> None:
        """Give what was staged for ``job_id`` to ``record``, the same job under another id."""
        self.staged(job_id).rename(self.staged(record.id))
        JobFolder(self.staged(record.id)).write_record(record, self._jobs / record.id)

    def promote(self, job_id: str) -> bool:
        """Give the folder its own name; return whether the job has its folder. Harmless to repeat."""
        with contextlib.suppress(OSError):
            self.staged(job_id).rename(self._jobs / job_id)
        return JobFolder(self._jobs / job_id).spec.exists()

    def discard(self, job_id: str) -> None:
        """Remove what was staged; harmless to repeat."""
        shutil.rmtree(self.staged(job_id), ignore_errors=True)

    def discard_abandoned(self, is_job: Callable[[str], bool]) -> None:
        """Remove what submitters that were killed long ago left behind, where it never became a job."""
        for path in self._jobs.glob(f".*{_SUFFIX}"):
            job_id = path.name.removeprefix(".").removesuffix(_SUFFIX)
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_S and not is_job(job_id):
                    self.discard(job_id)

    def staged(self, job_id: str) -> Path:
        """Return where the folder of a new job is made."""
        return self._jobs / f".{job_id}{_SUFFIX}"

    def _fill(
        self, folder: JobFolder, record: JobRecord, submission: Submission, checkpoints: Checkpoints | None
    ) -> None:
        for directory in (folder.source, folder.logs, folder.results, folder.checkpoints):
            directory.mkdir(mode=0o700)
        submission.source.write_to(folder.source)
        if record.spec.inputs:
            folder.input.mkdir(mode=0o700)
            submission.inputs.write_to(folder.input)
        if checkpoints is not None:
            copy_checkpoints(checkpoints, folder, record.spec.name)
        folder.write_hyperparameters(record.spec.hyperparameters)
        if record.spec.requirements:
            folder.requirements.write_text(record.spec.requirements, encoding="utf-8")
        folder.write_environment(submission.environment)
        folder.write_spec(record.spec)
        folder.write_record(record, self._jobs / record.id)
        sync_new_folder(folder)


def sync_new_folder(folder: JobFolder) -> None:
    """Put the folder of a new job on the disk, but for its record: nothing waited for that while it was written.

    A script that a power cut had emptied would run, and complete. Raises OSError.
    """
    found = [(root, names) for root, _, names in os.walk(folder.path) if names]
    if sum(len(names) for _, names in found) > _MOST_SYNCED_EACH:
        sync_file_system(folder.path)
        return
    for root, names in found:
        for path in (Path(root, name) for name in names):
            if path != folder.record and not path.is_symlink():
                sync_file(path)
        sync_directory(Path(root))


def copy_checkpoints(checkpoints: Checkpoints, folder: JobFolder, name: str) -> None:
    """Carry over checkpoints: as they are, and those under the old job's name also under the new one's.

    A script that loads a checkpoint without naming a job looks for its own job's name, as published. A job
    that still runs does not save meanwhile.
    """
    if not checkpoints.directory.is_dir():
        raise _no_checkpoints(checkpoints)
    with alone_in(checkpoints.directory):
        if not any(checkpoints.directory.iterdir()):
            raise _no_checkpoints(checkpoints)
        unfinished = shutil.ignore_patterns(f".*{TEMPORARY_SUFFIX}")  # of a process that was killed
        shutil.copytree(checkpoints.directory, folder.checkpoints, dirs_exist_ok=True, ignore=unfinished)
    if checkpoints.job_name == name:
        return
    for saved in list(folder.checkpoints.glob("*.json")):
        suffix = saved.name.removeprefix(checkpoints.job_name)
        if suffix == ".json" or (suffix != saved.name and suffix.startswith("_")):
            shutil.copy2(saved, folder.checkpoints / f"{name}{suffix}")


def _no_checkpoints(checkpoints: Checkpoints) -> InvalidInput:
    return InvalidInput(
        f"copy_checkpoints_from_job: job {checkpoints.job_name} ({checkpoints.job_id}) has left no "
        "checkpoints; leave the argument out to start from the beginning."
    )


def cannot_write(jobs: Path, error: OSError) -> str:
    """Return why nothing was submitted, when a folder in ``jobs`` could not be written."""
    if error.filename is not None and not Path(error.filename).is_relative_to(jobs):
        return f"{error.filename} cannot be taken along: {error.strerror}. Nothing was submitted."
    remedy = "make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
    return (
        f"The job's folder cannot be written in {jobs}: {error.strerror or error}; {remedy}, or set "
        "QJOB_HOME to another disk. Nothing was submitted."
    )
