"""Handover: what was handed to Slurm, written down before and after: a submit that was cut short is settled by it.

A job is known by its Slurm name, which is made of its own id and never given out again. Slurm's number alone is not
enough: a controller that was killed gives numbers out again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qjob.atomic import write_unsynced, write_whole
from qjob.engines.slurm.rows import PREFIX
from qjob.errors import FolderError

_REF = re.compile(r"(?P<task>\d+(?:_(?P<index>\d+))?)@(?P<at>\d+)/(?P<name>[^/]+)(?:/(?P<job>[^/]+))?")


@dataclass(frozen=True)
class Key:
    """What identifies a job in Slurm: its name and, in an array, its index."""

    name: str
    index: int | None = None


@dataclass(frozen=True, kw_only=True)
class Handover:
    """One call of sbatch.

    Attributes:
        name: the Slurm name.
        at: when it was called, in seconds since 1970.
        slurm_id: the number that Slurm gave; None as long as that is not known, 0 when Slurm has forgotten it.
        jobs: of an array: by index, the jobs' ids; empty for a single job.
        again_at: when a job of it was last handed over again, as Slurm had forgotten it.
        lost_at: when it was found that Slurm has forgotten a job of it, until that is handed over again.
    """

    name: str
    at: int
    slurm_id: int | None = None
    jobs: Mapping[int, str] = field(default_factory=dict)
    again_at: int | None = None
    lost_at: int | None = None

    def called_at(self, at: float) -> Handover:
        """Return the same, with the time of another call: the one before has not reached Slurm."""
        return replace(self, at=int(at))

    def handed_over_again(self, at: float) -> Handover:
        """Return the same, handed over once more."""
        return replace(self, again_at=int(at), lost_at=None)

    def found_lost(self, at: float | None) -> Handover:
        """Return the same, forgotten by Slurm at that time; None: it is there after all."""
        return replace(self, lost_at=None if at is None else int(at))

    def with_number(self, slurm_id: int) -> Handover:
        """Return the same, with Slurm's number."""
        return replace(self, slurm_id=slurm_id)

    def refs(self) -> dict[str, str]:
        """Return the ref of each job, by its id."""
        if not self.jobs:
            return {self.name.removeprefix(PREFIX): f"{self.slurm_id or 0}@{self.at}/{self.name}"}
        return {job: f"{self.slurm_id or 0}_{index}@{self.at}/{self.name}/{job}" for index, job in self.jobs.items()}


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A ref, taken apart.

    Attributes:
        key: what identifies the job in Slurm.
        job: the job's id.
        task: Slurm's number when it was submitted, as ``4711`` or ``4712_3``; 0 when it was not known.
        submitted_at: in seconds since 1970.
    """

    key: Key
    job: str
    task: str
    submitted_at: int


def parse_ref(text: str) -> Ref | None:
    """Return the ref that `Handover.refs` gave; None for a text that is none."""
    found = _REF.fullmatch(text)
    if found is None:
        return None
    index = None if found["index"] is None else int(found["index"])
    job = found["job"] or found["name"].removeprefix(PREFIX)
    return Ref(key=Key(found["name"], index), job=job, task=found["task"], submitted_at=int(found["at"]))


def read_handover(path: Path) -> Handover | None:
    """Return what was written down; None when nothing was, or a lost power supply took it. Raises FolderError."""
    try:
        text = path.read_bytes()
        if not text:
            return None
        data = json.loads(text)
        return Handover(
            name=data["name"],
            at=data["at"],
            slurm_id=data["slurmId"],
            jobs={int(index): job for index, job in data["jobs"].items()},
            again_at=data["againAt"],
            lost_at=data.get("lostAt"),
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(
            f"{path} cannot be read ({error!r}): move it away when Slurm does not have the job."
        ) from error


def write_handover(path: Path, handover: Handover) -> None:
    """Write it down. Raises OSError.

    For a killed process. That of a single job does not wait for the disk: where a lost power supply takes it, the job
    may be handed over twice, and the folder sees to it that never two run at once, nor one after the end.
    """
    data: dict[str, Any] = {
        "name": handover.name,
        "at": handover.at,
        "slurmId": handover.slurm_id,
        "jobs": {str(index): job for index, job in handover.jobs.items()},
        "againAt": handover.again_at,
        "lostAt": handover.lost_at,
    }
    write = write_whole if handover.jobs else write_unsynced
    write(path, json.dumps(data).encode() + b"\n")


def single(job_id: str, at: float) -> Handover:
    """Return the handover of one job."""
    return Handover(name=f"{PREFIX}{job_id}", at=int(at))


def arrays(sweep_id: str, points: Mapping[int, str], first_part: int, size: int, at: float) -> Iterable[Handover]:
    """Yield the arrays that hold the points of a sweep, by number; indices are less than ``size``."""
    chunks: dict[int, dict[int, str]] = {}
    for number, job in points.items():
        chunks.setdefault(number // size, {})[number % size] = job
    for part, (_, jobs) in enumerate(sorted(chunks.items()), start=first_part):
        yield Handover(name=f"{PREFIX}{sweep_id}.{part}", at=int(at), jobs=jobs)
