"""The jobs of years, as they would be on record: several projects, sweeps, failures and all that finds a job."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec, SweepPoint
from qjob.model.status import EventType, JobStatus
from qjob.model.sweep import SweepRecord
from qjob.store.store import Store

QPU = "arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1"
RARE_NAME = "vqe-the-only-one"
_BLOCKS = 100  # of jobs: a sweep, or as many that were submitted one by one
_DEVICES = ("local:braket/default", "local:pennylane/lightning.qubit", QPU)
_MOLECULES = ("H2", "LiH", "BeH2")
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_ENDS = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


def fill(home: Path, count: int) -> None:
    """Put so many ended jobs on record; they have no folders, which nobody asks for."""
    (home / "jobs").mkdir(exist_ok=True)
    store = Store(home / "index.db", home / "jobs")
    store.rebuild(lambda _: history(count))
    store.close()


def history(count: int, *, sweeps: bool = True) -> Iterator[JobRecord | SweepRecord]:
    """Yield jobs in the order of their ids: seven of ten in sweeps of a hundredth each, the others alone."""
    chance = random.Random(20260401)
    of_block = max(1, count // _BLOCKS)
    for number in range(count):
        block, position = divmod(number, of_block)
        begin = _BEGIN + timedelta(days=block)
        tags = {"campaign": f"c{block % 7}", "owner": "ada", "molecule": _MOLECULES[block % 3]}
        if sweeps and block % 10 >= 3:
            sweep_id = job_id(_microseconds(begin) - 1, block)
            if position == 0:
                yield SweepRecord(id=sweep_id, name=f"scan-{block}", created_at=begin, points=of_block)
            point = SweepPoint(sweep=sweep_id, number=position)
            created_at = begin + timedelta(microseconds=position)
            yield _job(chance, created_at, f"scan-{block}-{position}", tags, _DEVICES[block % 2], point)
        else:
            name = RARE_NAME if number == count // 10 else f"vqe-{chance.randrange(count // 10 + 1)}"
            created_at = begin + timedelta(seconds=position)
            yield _job(chance, created_at, name, tags, chance.choice(_DEVICES))


def _job(
    chance: random.Random,
    created_at: datetime,
    name: str,
    tags: dict[str, str],
    device: str,
    point: SweepPoint | None = None,
) -> JobRecord:
    key = job_id(_microseconds(created_at), chance.randrange(1 << 20))
    (status,) = chance.choices(_ENDS, (95, 4, 1))
    times = [created_at + timedelta(seconds=second, microseconds=chance.randrange(10**6)) for second in (1, 2, 3, 90)]
    reasons = {
        JobStatus.FAILED: f"The script ended with ValueError: the energy {chance.random()} is not finite",
        JobStatus.CANCELLED: "The job was cancelled.",
    }
    kinds = (EventType.STARTING_INSTANCE, EventType.DOWNLOADING_DATA, EventType.RUNNING, EventType(status))
    messages = ("", "", "", reasons.get(status, ""))
    later = (JobEvent(type=kind, time=at, message=text) for kind, at, text in zip(kinds, times, messages, strict=True))
    return JobRecord(
        id=key,
        spec=_spec(chance, name, tags, device, point),
        created_at=created_at,
        status=status,
        started_at=times[2],
        ended_at=times[3],
        failure_reason=reasons.get(status),
        events=(JobEvent(type=EventType.QUEUED_FOR_EXECUTION, time=created_at), *later),
        ref=f"ada-laptop/{key}",
        exit_codes=(0 if status is JobStatus.COMPLETED else 1,),
        host="ada-laptop",
        python="3.12.4",
        version=7,
    )


def _spec(chance: random.Random, name: str, tags: dict[str, str], device: str, point: SweepPoint | None) -> JobSpec:
    return JobSpec(
        name=name,
        entry_point="vqe_molecules",
        source_name="vqe_molecules.py",
        source_uri="file:///home/ada/projects/molecules/vqe_molecules.py",
        device=device,
        hyperparameters={"theta": f"{chance.random():.6f}", "shots": "1000", "ansatz": "uccsd"},
        tags=tags,
        python="/home/ada/miniconda3/envs/quantum/bin/python3.12",
        git_commit=hashlib.sha1(str(chance.randrange(300)).encode()).hexdigest(),
        imports=("braket.devices", "numpy", "pennylane", "scipy.optimize"),
        sweep_point=point,
    )


def _microseconds(time: datetime) -> int:
    return int(time.timestamp() * 1e6)
