"""The names of submissions, and what Ray says of them."""

from __future__ import annotations

from typing import Any

from qjob.engines.ray.ray_job import RayJob, attempt_of, job_id_of, newest, read_jobs, ref_of, submission_id


def test_names_lead_back_and_forth() -> None:
    ref = ref_of("1k17tk60j5j0r63")
    assert ref == "qjob-1k17tk60j5j0r63"
    assert submission_id(ref, 1) == ref
    assert submission_id(ref, 3) == f"{ref}-3"
    assert [attempt_of(submission_id(ref, attempt)) for attempt in (1, 2, 17)] == [1, 2, 17]
    assert job_id_of(submission_id(ref, 2)) == "1k17tk60j5j0r63"


def test_ours_are_read_and_others_left_out() -> None:
    ours = {
        "submission_id": "qjob-a",
        "status": "RUNNING",
        "message": "Job is currently running.",
        "error_type": None,
        "driver_node_id": "n1",
        "driver_exit_code": None,
    }
    others: list[dict[str, Any]] = [
        {"submission_id": "raysubmit_x", "status": "RUNNING"},
        {"submission_id": None, "status": "RUNNING"},
    ]
    expected = RayJob(submission_id="qjob-a", status="RUNNING", message="Job is currently running.", node_id="n1")
    assert read_jobs([ours, *others]) == [expected]


def test_the_last_attempt_counts() -> None:
    jobs = [RayJob(submission_id=name, status="FAILED") for name in ("qjob-a-10", "qjob-a-2", "qjob-a", "qjob-b")]
    assert {ref: job.submission_id for ref, job in newest(jobs).items()} == {"qjob-a": "qjob-a-10", "qjob-b": "qjob-b"}
