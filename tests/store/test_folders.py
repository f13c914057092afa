"""What the folders tell, whatever is lost or damaged among them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from qjob.folder import JobFolder
from qjob.model.naming import job_id
from qjob.model.record import JobRecord
from qjob.model.spec import SweepPoint
from qjob.model.status import EventType, JobStatus
from qjob.model.sweep import SweepRecord
from qjob.store.folders import read_folders
from qjob.store.store import Query, Store
from qjob.sweep_folder import SweepFolder, sweep_folder
from qjob.testing import make_spec

START = datetime(2026, 11, 22, 10, tzinfo=UTC)
SWEEP = SweepRecord(
    id=job_id(int(START.timestamp() * 1e6), 0), name="scan", created_at=START, points=3, varied=("theta",)
)


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / 'a\'; echo "foo" ü' / "jobs"
    path.mkdir(parents=True)
    return path


def put(jobs: Path, number: int, point: SweepPoint | None = None, name: str = "alone") -> JobRecord:
    """Write the folder of a job; a higher number is a newer one."""
    created_at = START + timedelta(seconds=number)
    spec = make_spec(sweep_point=point, name=name)
    key = job_id(int(created_at.timestamp() * 1e6), number)
    record = JobRecord(id=key, spec=spec, created_at=created_at, status=JobStatus.RUNNING, ref="x", version=3)
    folder = JobFolder(jobs / key)
    folder.path.mkdir()
    folder.write_new(record, folder.path)
    return record


def put_sweep(jobs: Path) -> tuple[SweepFolder, list[JobRecord]]:
    """Write the folders of a sweep, and return its own and the records of its jobs."""
    folder = sweep_folder(jobs, SWEEP.id)
    folder.path.mkdir(parents=True)
    folder.write(SWEEP)
    points = [SweepPoint(sweep=SWEEP.id, number=number, concurrency=2) for number in range(3)]
    return folder, [put(jobs, 10 + point.number, point, name=f"scan-{point.number}") for point in points]


def test_every_job_is_read_in_the_order_of_the_ids(jobs: Path) -> None:
    records = [put(jobs, number) for number in (3, 1, 2)]
    (jobs / ".abc.staging").mkdir()
    problems: list[str] = []
    assert list(read_folders(jobs, problems)) == sorted(records, key=lambda record: record.id)
    assert problems == []


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]"])
def test_a_record_that_is_lost_follows_from_spec_and_id(jobs: Path, content: bytes | None) -> None:
    record = put(jobs, 1)
    path = JobFolder(jobs / record.id).record
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    problems: list[str] = []
    [found] = read_folders(jobs, problems)
    assert isinstance(found, JobRecord)
    assert (found.id, found.spec, found.status, found.ref) == (record.id, record.spec, JobStatus.QUEUED, None)
    assert abs(found.created_at - record.created_at) <= timedelta(microseconds=1)
    assert [event.type for event in found.events] == [EventType.QUEUED_FOR_EXECUTION]
    assert problems == []


def test_a_folder_that_cannot_be_read_is_a_problem_and_hides_no_other(jobs: Path) -> None:
    record = put(jobs, 1)
    (jobs / job_id(7, 7)).mkdir()
    (jobs / "notes").mkdir()
    JobFolder(jobs / record.id).path.rename(jobs / job_id(8, 8))
    well = put(jobs, 2)
    problems: list[str] = []
    assert list(read_folders(jobs, problems)) == [well]
    missing, copy, strange = problems
    assert "spec.json is missing" in missing
    assert f"holds job {record.id}: it is a copy" in copy
    assert "notes is no job's folder" in strange


def test_sweeps_follow_their_jobs(jobs: Path) -> None:
    _, records = put_sweep(jobs)
    alone = put(jobs, 99)
    assert list(read_folders(jobs, [])) == [*records, alone, SWEEP]


def test_a_sweep_whose_jobs_are_not_there_counts_for_nothing(jobs: Path) -> None:
    folder = sweep_folder(jobs, SWEEP.id)
    folder.path.mkdir(parents=True)
    folder.write(SWEEP)
    problems: list[str] = []
    assert list(read_folders(jobs, problems)) == []
    assert problems == []


@pytest.mark.parametrize("damage", ["lost", "damaged", "another's"])
def test_a_sweep_whose_own_record_is_lost_follows_from_its_jobs(jobs: Path, damage: str) -> None:
    folder, records = put_sweep(jobs)
    if damage == "lost":
        folder.record.unlink()
    elif damage == "damaged":
        folder.record.write_bytes(b"{")
    else:
        folder.write(SweepRecord(id=job_id(1, 1), name="other", created_at=START, points=1))
    problems: list[str] = []
    *_, sweep = read_folders(jobs, problems)
    assert sweep == SweepRecord(id=SWEEP.id, name="scan", created_at=START, points=3, concurrency=2)
    assert len(problems) == 1
    assert str(folder.path) in problems[0]
    store = Store(jobs.parent / "index.db", jobs)
    store.rebuild(lambda known: read_folders(jobs, problems))
    assert store.find(Query(sweep=SWEEP.id)) == records[::-1]
    assert store.find_sweeps(Query()) == [sweep]
    store.close()
