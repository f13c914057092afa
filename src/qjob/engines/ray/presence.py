"""Where a job is, from what Ray says of it and from what its folder shows. Pure but for `trace_of`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass

from qjob.engine import Observation, Presence
from qjob.engines.ray.ray_job import ENDED, NEVER_STARTED, RUNNING, STOPPED, WAITING, RayJob
from qjob.folder import JobFolder, locked
from qjob.model.status import JobStatus

ENDED_BY_ITSELF = Observation(presence=Presence.GONE, message="it has ended")
CANCELLED_UNSTARTED = Observation(presence=Presence.GONE, message="it was cancelled before it started")
A_PLACE = "a place on the Ray cluster"
_FORGOTTEN = "the Ray cluster does not know it any more: it was started anew, or is another one"
_MOST_SAID = 500


@dataclass(frozen=True, kw_only=True)
class Trace:
    """What a job's folder shows.

    Attributes:
        exists: the folder is there.
        cancelled: it has the cancel mark.
        begun: a runner has been there; it makes its file of events before it looks for the cancel mark.
        ended: it has an outcome.
    """

    exists: bool
    cancelled: bool
    begun: bool
    ended: bool


def trace_of(folder: JobFolder) -> Trace:
    """Look at a job's folder. The cancel mark first: where it is and no runner was, none will start anything."""
    cancelled = _is_there(folder.cancel_mark)
    return Trace(
        cancelled=cancelled,
        begun=_is_there(folder.events),
        ended=_is_there(folder.outcome),
        exists=_is_there(folder.spec),
    )


def has_runner(folder: JobFolder) -> bool:
    """Return whether a runner holds the job's lock; not to be asked of a job that may just be starting."""
    with contextlib.suppress(FileNotFoundError), locked(folder.events) as fd:
        return fd is None
    return False


def is_dropped(job: RayJob | None, trace: Trace) -> bool:
    """Return whether a job that never began must be handed to Ray once more, for it will not start it any more."""
    if not trace.exists or trace.begun or trace.cancelled or trace.ended:
        return False
    return job is None or (job.status in ENDED and job.error_type in NEVER_STARTED)


def presence(job: RayJob | None, trace: Trace, *, has_runner: bool) -> Observation:
    """Return where a job is that `is_dropped` is not true of.

    Args:
        job: what Ray says of its last attempt; None when it knows none.
        trace: what its folder shows.
        has_runner: whether a runner holds its lock; asked only where Ray knows of none.
    """
    if trace.ended:
        return ENDED_BY_ITSELF
    if trace.cancelled and not trace.begun and (job is None or job.status in WAITING):
        return CANCELLED_UNSTARTED  # Ray may start the entrypoint all the same, even when told to stop it
    if job is None or job.status in ENDED:
        return Observation(presence=Presence.RUNNING) if has_runner else _gone(job)
    if job.status in RUNNING or (job.status in WAITING and trace.begun):
        return Observation(presence=Presence.RUNNING)
    if job.status in WAITING:
        return Observation(presence=Presence.WAITING, message=A_PLACE)
    return Observation(presence=Presence.UNKNOWN, message=f"Ray says {job.status}")


def _gone(job: RayJob | None) -> Observation:
    """Say how it went; a shared disk may hide its outcome for a while, and so does what has not been fetched."""
    if job is None:
        return Observation(presence=Presence.GONE, message=_FORGOTTEN, certain=False)
    ended_as = JobStatus.CANCELLED if job.status == STOPPED else JobStatus.FAILED
    message = f"Ray says {job.status}: {_sentence(job.message)}"
    return Observation(presence=Presence.GONE, message=message, certain=False, ended_as=ended_as)


def _sentence(text: str) -> str:
    """Return Ray's words as one line that is no novel: the last lines of a log may be among them."""
    line = " ".join(text.split())
    return (line if len(line) <= _MOST_SAID else f"{line[: _MOST_SAID // 2]} … {line[-_MOST_SAID // 2 :]}").rstrip(".")


def _is_there(path: os.PathLike[str]) -> bool:
    return os.access(path, os.F_OK)
