"""Attempts: a scheduler may start a job again, while what is left of the last attempt does not know it is over.

A machine that a scheduler has lost may still run the job. So the runner of a later attempt first writes down that
there is one (``attempt.json``), then waits for the lock that the earlier one holds. That one looks once a second,
and ends all it has started without another word. It may be out of reach for good, though: then nothing it does
reaches the folder, and the wait ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace

from qjob.errors import FolderError
from qjob.folder import JobFolder, locked, look_anew
from qjob.model.event import JobEvent
from qjob.model.status import EventType
from qjob.runner.place import Place

_TAKE_OVER_S = 30.0
_POLL_S = 0.1


@contextlib.contextmanager
def holding(folder: JobFolder, place: Place) -> Iterator[bool]:
    """Hold the right to run the job in ``folder``; yield False when another runner has it.

    Of two runners of the same attempt one has it. A later attempt takes it from an earlier one. Raises OSError.
    """
    if place.attempt is not None and _is_later(folder, place.attempt):
        with _taken_over(folder, place.attempt):
            yield True
        return
    with locked(folder.events) as fd:
        yield fd is not None


def numbered(folder: JobFolder, place: Place) -> Place:
    """Return the place with the attempt's true number; whoever calls it holds the right to run the job.

    A scheduler counts the starts that it remembers: after its controller was killed it may begin again.
    """
    if place.attempt is None:
        return place
    number = max(place.attempt, last_attempt(folder.read_events()) + 1)
    if number > max(1, folder.read_attempt()):
        folder.write_attempt(number)  # also for one whose lock is not seen on this machine
    return replace(place, attempt=number)


def is_superseded(folder: JobFolder, place: Place) -> bool:
    """Return whether a later attempt has been started."""
    if place.attempt is None:
        return False
    look_anew(folder.path)
    return folder.read_attempt() > place.attempt


def last_attempt(events: list[JobEvent]) -> int:
    """Return the number of the last attempt that has begun; 0 for none."""
    starts = (event for event in events if event.type is EventType.STARTING_INSTANCE)
    return max((int(event.detail.get("attempt", 1)) for event in starts), default=0)


def set_logs_aside(folder: JobFolder, attempt: int) -> None:
    """Keep the logs of an attempt that is over as they are, and go on with copies of them.

    What a lost machine still writes goes to the old ones, and who follows the logs reads on where they were.
    """
    kept = folder.attempt(attempt)
    kept.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not folder.logs.is_dir() or (kept / "logs").exists():
        return
    folder.logs.rename(kept / "logs")
    shutil.copytree(kept / "logs", folder.logs)


def _is_later(folder: JobFolder, attempt: int) -> bool:
    """Return whether there was an attempt before this one, and nobody has begun this one."""
    begun = 0
    with contextlib.suppress(FolderError):  # damaged: whoever runs the job tells
        begun = last_attempt(folder.read_events())
    return attempt > max(1, begun, folder.read_attempt())


@contextlib.contextmanager
def _taken_over(folder: JobFolder, attempt: int) -> Iterator[None]:
    folder.write_attempt(attempt)
    deadline = time.monotonic() + _TAKE_OVER_S
    while time.monotonic() < deadline:
        with locked(folder.events) as fd:
            if fd is not None:
                yield
                return
        time.sleep(_POLL_S)
    os.write(2, b"qjob: the earlier attempt does not let go of the job: its machine is taken for lost\n")
    yield
