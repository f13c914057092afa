"""Moving a job to another engine; what takes real ones is in tests/live."""

from __future__ import annotations

import threading

import pytest

from qjob.errors import EngineUnavailable, JobStateError
from qjob.file_lock import file_lock
from qjob.model.status import JobStatus
from qjob.moving import move_job
from qjob.resume import Changes
from qjob.service import Service
from scene import Scene

CHANGES = Changes(engine="fake", environment={})
LONGEST_S = 20.0


@pytest.fixture
def service(scene: Scene) -> Service:
    return scene.service()


def test_a_job_that_no_engine_has_yet_can_be_moved(scene: Scene, service: Service) -> None:
    scene.engine.away = True
    with pytest.raises(EngineUnavailable):
        service.submit(scene.submission())
    [old] = [path.name for path in scene.jobs.iterdir()]
    scene.engine.away = False
    moved: list[str] = []
    thread = threading.Thread(target=lambda: moved.append(move_job(service, old, CHANGES).id), daemon=True)
    thread.start()
    thread.join(LONGEST_S)
    assert not thread.is_alive()
    assert service.record(old).status is JobStatus.CANCELLED
    assert service.record(moved[0]).id != old


def test_a_job_is_moved_by_one_at_a_time(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    with (
        file_lock(service.folder(record.id).moving, wait=True),
        pytest.raises(JobStateError, match="is being moved by another process"),
    ):
        move_job(service, record.id, CHANGES)
