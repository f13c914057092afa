"""The seam: what an engine is asked, and what it answers. docs/adding-an-engine.md is the guide to it.

An engine starts ``python -m qjob.runner FOLDER`` somewhere and says whether it still runs. It writes no
record and decides no state: it observes, `qjob.judge` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.model.status import JobStatus


class Presence(StrEnum):
    """Where an engine sees a job."""

    WAITING = "WAITING"
    """Taken, and not started."""
    RUNNING = "RUNNING"
    """Its runner is alive."""
    GONE = "GONE"
    """It does not run and will not run."""
    UNKNOWN = "UNKNOWN"
    """The engine cannot tell now. No news is not bad news: nothing follows from it."""


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What an engine says of a job now.

    Attributes:
        presence: where it sees the job.
        message: WAITING: what the job waits for. GONE: how it ended. A sentence without its full stop.
        position: WAITING: its place in the queue, 1 for the next to start, where that is known. Place and message may
            be left out when more than one job is asked for.
        certain: False when a shared disk may still hide the outcome of a job that is GONE; it then
            takes two such observations some time apart.
        waits_since: WAITING, of a job that was put back into the queue: when that was.
        ended_at: GONE: when it ended, where the engine knows.
        ended_as: GONE: how it ended, as far as the engine knows better than that it FAILED: CANCELLED by
            somebody who went to the engine itself.
    """

    presence: Presence
    message: str = ""
    position: int | None = None
    certain: bool = True
    waits_since: datetime | None = None
    ended_as: JobStatus = JobStatus.FAILED
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Fact:
    """One thing that an engine offers, or that stands in its way, for ``qjob doctor``.

    Attributes:
        what: its name, as in ``partition main``.
        text: how it is; a sentence without its full stop.
        well: False when jobs cannot run because of it; the text has the remedy then.
    """

    what: str
    text: str
    well: bool = True


class Engine(Protocol):
    """Where a job's Python runs."""

    @property
    def name(self) -> str:
        """The word for it: ``local``, ``slurm``, …"""

    def check(self, spec: JobSpec) -> list[str]:
        """Return every reason why this engine cannot run that; a sentence each, with a remedy.

        Without side effects, and quick: it is asked before anything is written.
        """

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Take jobs and return the engine's own handle of each, at once and without waiting for a slot.

        Either one job or many of one sweep: those have the same spec but for name, hyperparameters, point and
        checkpoints, and come in the order of their points. At most ``spec.sweep_point.concurrency`` of a sweep's
        jobs run at a time.

        Harmless to repeat: a folder that was taken before gives the handle that it got then. A submitter
        that was killed half-way is settled by that.

        Raises SubmitError when none was started and none will be, EngineUnavailable when it may
        be tried again.
        """

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say of each job where it is now: one question for many. A ref it never gave is GONE."""

    def cancel(self, refs: Sequence[str]) -> None:
        """End jobs and all that they started; returns at once. Harmless to repeat, and after the end.

        Those that wait are taken first: none of them may start because another one was ended.
        """

    def describe(self) -> list[Fact]:
        """Say what it offers now: machines, limits, devices. Raises EngineUnavailable when it cannot be reached."""

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Make the folder here hold what the job has written by now; nothing to do on a shared disk."""


def remote_input_problems(spec: JobSpec) -> list[str]:
    """Return why an engine that has nothing but the job's folder cannot give a job its input data."""
    return [
        f"input channel {channel.name!r} is {channel.uri}: the engine {spec.engine} cannot fetch from S3; "
        "download it and name the path."
        for channel in spec.inputs
        if channel.uri.startswith("s3://")
    ]
