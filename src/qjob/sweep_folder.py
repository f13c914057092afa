"""SweepFolder: names, reads and writes what the jobs of a sweep share. See docs/job-folder.md."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qjob.atomic import write_whole
from qjob.errors import FolderError
from qjob.folder import locked
from qjob.model.sweep import SweepRecord, sweep_from_json, sweep_to_json

DIRECTORY = "sweeps"
"""Beside the directory of all job folders."""


@dataclass(frozen=True)
class SweepFolder:
    """The files that belong to a sweep as a whole.

    Attributes:
        path: the sweep's directory, absolute; its name is the sweep's id.
    """

    path: Path

    @property
    def id(self) -> str:
        """The sweep's id."""
        return self.path.name

    @property
    def record(self) -> Path:
        """What is known of it; written once, by the service. Locked while its jobs are handed to their engine."""
        return self.path / "sweep.json"

    @property
    def source(self) -> Path:
        """The code as it was at submit; the runner of each job copies it into the job's own folder."""
        return self.path / "source"

    @property
    def input(self) -> Path:
        """The input channels of all jobs, read-only; each job's ``input`` leads here."""
        return self.path / "input"

    @property
    def ended(self) -> Path:
        """An empty file for each job that has ended, named by its id; written by its runner as its last act."""
        return self.path / "ended"

    def submit_script(self, part: int) -> Path:
        """What was handed to a scheduler for a part of its jobs, word for word; written by the engine."""
        return self.path / f"submit-{part}.sh"

    def handed_over(self, part: int) -> Path:
        """Which jobs that part has, and what the scheduler answered; written by the engine before and after."""
        return self.path / f"submitted-{part}.json"

    def read(self) -> SweepRecord:
        """Return what is known of the sweep; raises FolderError."""
        try:
            return sweep_from_json(json.loads(self.record.read_bytes()))
        except FileNotFoundError:
            raise FolderError(f"{self.record} is missing: the sweep's folder was removed or moved.") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FolderError(f"{self.record} cannot be read ({error!r}): move it away.") from error

    def write(self, sweep: SweepRecord) -> None:
        """Write what is known of the sweep."""
        write_whole(self.record, json.dumps(sweep_to_json(sweep), indent=2).encode() + b"\n")

    @contextlib.contextmanager
    def submitting(self) -> Iterator[bool]:
        """Hold the right to hand this sweep's jobs to their engine; yield False when another process has it.

        Raises FolderError when the sweep's folder is gone.
        """
        try:
            with locked(self.record) as fd:
                yield fd is not None
        except FileNotFoundError:
            raise FolderError(f"{self.record} is missing: the sweep's folder was removed or moved.") from None

    def tell_ended(self, job_id: str) -> None:
        """Note that a job has ended; without effect where the sweep's folder is gone, or its disk full."""
        with contextlib.suppress(OSError):
            os.close(os.open(self.ended / job_id, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def ended_ids(self) -> set[str]:
        """Return the ids of the jobs whose runners have told that they ended."""
        try:
            return set(os.listdir(self.ended))
        except FileNotFoundError:
            return set()


def sweep_folder(jobs: Path, sweep_id: str) -> SweepFolder:
    """Return the folder of a sweep; ``jobs`` is the directory of all job folders."""
    return SweepFolder(jobs.with_name(DIRECTORY) / sweep_id)
