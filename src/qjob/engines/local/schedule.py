"""Which waiting jobs may start now, and what the others wait for. Pure.

First in, first out within a priority. A job that waits for a device, or for others of its sweep, lets others pass; a
job that waits for slots does not, or a wide job would wait for ever behind narrow ones. A job that was submitted by a
running one may be what that waits for, so one at a time of those runs as its guest, beyond the machine's slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from qjob.engines.local.queue import QueuedJob


def may_start(waiting: Iterable[QueuedJob], running: Sequence[QueuedJob], slots: int) -> Iterator[QueuedJob]:
    """Yield the jobs to start now, in order, as if each was running from then on."""
    busy = list(running)
    for job in waiting:
        if _used(busy) + _wanted(job, slots) > slots:
            return
        if _holders(job, busy) or _fills_its_sweep(job, busy):
            continue
        busy.append(job)
        yield job


def guests(children: Iterable[QueuedJob], running: Sequence[QueuedJob]) -> Iterator[QueuedJob]:
    """Yield those of the waiting children of running jobs to start now, whether there are slots or not."""
    busy = list(running)
    alone = {job.id for job in running} - {job.parent for job in running}  # a job may have submitted thousands
    for job in children:
        if not alone:
            return
        if job.parent not in alone or _holders(job, busy) or _fills_its_sweep(job, busy):
            continue
        busy.append(job)
        alone.remove(job.parent)
        yield job


def waits_for(job: QueuedJob, running: Sequence[QueuedJob], slots: int) -> str:
    """Return what a waiting job waits for, a sentence without its full stop."""
    holders = _holders(job, running)
    if holders:
        return f"device {job.device} is held by job {', '.join(holder.id for holder in holders)}"
    if _fills_its_sweep(job, running):
        return f"its sweep runs at most {job.concurrency} at a time"
    if _used(running) + _wanted(job, slots) > slots:
        taken = f"{_used(running)} of this machine's {slots} slots are in use"
        return f"{taken}, and the job takes {_wanted(job, slots)}"
    return "its turn comes next" if not running else "jobs before it in the queue"


def _holders(job: QueuedJob, running: Sequence[QueuedJob]) -> list[QueuedJob]:
    """Return the jobs that keep ``job`` from its device; none when there is room."""
    if job.device is None:
        return []
    holders = [other for other in running if other.device == job.device]
    return holders if len(holders) >= job.capacity else []


def _fills_its_sweep(job: QueuedJob, running: Sequence[QueuedJob]) -> bool:
    """Return whether as many jobs of its sweep run as may."""
    return job.concurrency is not None and sum(job.sweep == other.sweep for other in running) >= job.concurrency


def _used(running: Sequence[QueuedJob]) -> int:
    return sum(job.slots for job in running)


def _wanted(job: QueuedJob, slots: int) -> int:
    """Return the slots that a job takes: one that is wider than the machine takes the whole machine."""
    return min(job.slots, slots)
