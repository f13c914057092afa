"""The use cases, over an engine that plays its jobs in memory."""

from __future__ import annotations

import base64
import errno
import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from qjob.engine import Observation
from qjob.errors import (
    AmbiguousJob,
    EngineUnavailable,
    FolderError,
    InvalidInput,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobStateError,
    ResultError,
    ResultTimeout,
    StoreError,
    StoreMissing,
    SubmitError,
)
from qjob.folder import JobFolder
from qjob.logs import LogPiece
from qjob.model.config import InstanceConfig, MetricType
from qjob.model.naming import arn_of
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord, QueueInfo
from qjob.model.spec import JobSpec
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query, Store
from scene import MoodyEngine, Scene

SOON_S = 20.0
"""What no wait here may take."""


@pytest.fixture
def service(scene: Scene) -> Service:
    return scene.service()


def ended(scene: Scene, service: Service, do: str = "finish", **fields: Any) -> JobRecord:
    """Return the record of a job that was played to its end."""
    record = scene.submitted(service, do, **fields)
    for _ in range(2):
        scene.engine.step()
    record = service.record(record.id)
    assert record.status.ended
    return record


# Submitting


def test_a_job_goes_from_submit_to_its_result(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    assert (record.status, record.ref) == (JobStatus.QUEUED, f"fake-{record.id}")
    folder = service.folder(record.id)
    assert folder.read_record() == service.record(record.id) == record
    scene.engine.step()
    running = service.record(record.id)
    assert (running.status, running.started_at is not None) == (JobStatus.RUNNING, True)
    assert folder.read_record() == running
    assert folder.environment.exists()
    scene.engine.step()
    completed = service.record(record.id)
    assert (completed.status, completed.exit_codes) == (JobStatus.COMPLETED, (0,))
    assert folder.read_record() == completed
    assert not folder.environment.exists()
    assert service.result(record.id) == {}


def test_ids_sort_by_the_time_of_submission(scene: Scene, service: Service) -> None:
    ids = [scene.submitted(service).id for _ in range(5)]
    assert ids == sorted(ids)
    assert [record.id for record in service.find(Query())] == ids[::-1]


@dataclass(frozen=True)
class Unwritable:
    """A source on a disk that is full."""

    def write_to(self, directory: Path) -> None:
        (directory / "half").write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")


def nothing_is_left(scene: Scene, service: Service) -> bool:
    return os.listdir(scene.jobs) == [] and service.find(Query()) == []


def test_what_the_engine_cannot_run_is_refused_before_anything_is_there(scene: Scene, service: Service) -> None:
    with pytest.raises(InvalidInput) as refusal:
        service.submit(scene.submission(options={"a": 1, "b": 2}))
    assert len(refusal.value.problems) == 2
    with pytest.raises(InvalidInput, match="engine 'other': there is fake"):
        service.submit(scene.submission(engine="other"))
    assert nothing_is_left(scene, service)
    assert "submit" not in scene.engine.calls


def test_a_job_that_the_engine_refuses_leaves_nothing(scene: Scene, service: Service) -> None:
    scene.engine.refuses = True
    with pytest.raises(SubmitError, match="No machine for such a job"):
        service.submit(scene.submission())
    assert nothing_is_left(scene, service)


def test_a_disk_that_is_full_at_submit_leaves_nothing(scene: Scene, service: Service) -> None:
    with pytest.raises(FolderError, match="No space left on device; make room"):
        service.submit(scene.submission(source=Unwritable()))
    assert nothing_is_left(scene, service)


class BrokenStore(Store):
    def insert(self, record: JobRecord) -> bool:
        raise StoreError("the index is on fire")


def test_an_index_that_cannot_be_written_leaves_nothing(scene: Scene) -> None:
    broken = Service(
        store=BrokenStore(scene.index, scene.jobs), engine_of=scene.engine_of, jobs=scene.jobs, now=scene.clock
    )
    with pytest.raises(StoreError, match="on fire"):
        broken.submit(scene.submission())
    assert nothing_is_left(scene, scene.service())


def test_a_text_that_the_index_cannot_hold_is_refused(scene: Scene, service: Service) -> None:
    with pytest.raises(InvalidInput, match="bytes that are no character"):
        service.submit(scene.submission(tags={"a": "\udcff"}))
    assert nothing_is_left(scene, service)


class CollidingStore(Store):
    """An index in which another process has just taken the first two ids."""

    left = 2

    def insert(self, record: JobRecord) -> bool:
        self.left -= 1
        return self.left < 0 and super().insert(record)


def test_an_id_that_is_taken_is_not_given_out_again(scene: Scene) -> None:
    store = CollidingStore(scene.index, scene.jobs)
    scene.stores.append(store)
    service = Service(store=store, engine_of=scene.engine_of, jobs=scene.jobs, now=scene.clock)
    record = scene.submitted(service)
    assert os.listdir(scene.jobs) == [record.id]
    assert service.folder(record.id).read_record() == service.record(record.id)


def test_a_job_that_cannot_be_handed_over_now_is_named(scene: Scene, service: Service) -> None:
    scene.engine.away = True
    with pytest.raises(EngineUnavailable) as error:
        service.submit(scene.submission())
    [job_id] = os.listdir(scene.jobs)
    assert f"Job {job_id} is on record and will be handed over" in str(error.value)


class Interrupted(MoodyEngine):
    """An engine during whose first submit somebody presses Ctrl-C, before or after it has taken the job."""

    takes = False
    interrupts = True

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        if self.interrupts:
            self.interrupts = False
            if self.takes:
                super().submit(jobs)
            raise KeyboardInterrupt
        return super().submit(jobs)


@pytest.mark.parametrize("takes", [False, True])
def test_a_submit_that_was_interrupted_runs_nothing(scene: Scene, takes: bool) -> None:
    engine = Interrupted(scene.clock)
    engine.takes = takes
    scene.engine = engine
    service = scene.service()
    with pytest.raises(KeyboardInterrupt):
        service.submit(scene.submission())
    [job_id] = os.listdir(scene.jobs)
    record = service.wait(job_id, SOON_S, interval_s=0.02)
    assert record.status is JobStatus.CANCELLED
    assert record.failure_reason == "The job was cancelled: The submit was interrupted."
    assert service.folder(job_id).instances() == []


def test_checkpoints_are_carried_over(scene: Scene, service: Service) -> None:
    first = ended(scene, service, name="first")
    (service.folder(first.id).checkpoints / "first.json").write_text("{}")
    second = scene.submitted(service, name="second", copied_from=first.id)
    names = sorted(os.listdir(service.folder(second.id).checkpoints))
    assert names == ["first.json", "second.json"]
    assert service.record(second.id).spec.copied_from == first.id


def test_without_checkpoints_there_is_nothing_to_carry_over(scene: Scene, service: Service) -> None:
    first = ended(scene, service)
    with pytest.raises(InvalidInput, match="has left no checkpoints"):
        scene.submitted(service, copied_from=first.id)
    shutil.rmtree(service.folder(first.id).path)
    with pytest.raises(InvalidInput, match="has left no checkpoints"):
        scene.submitted(service, copied_from=first.id)
    with pytest.raises(JobNotFound):
        scene.submitted(service, copied_from="0" * 15)
    assert os.listdir(scene.jobs) == []


# Looking


def test_a_job_is_named_by_id_prefix_name_and_arn(scene: Scene, service: Service) -> None:
    old, new = scene.submitted(service, name="vqe"), scene.submitted(service, name="vqe")
    other = scene.submitted(service, name="qaoa")
    for selector, meant in {
        old.id: old,
        arn_of(old.id): old,
        new.id[:-1]: new,
        "vqe": new,
        "qaoa": other,
    }.items():
        assert service.resolve(selector) == meant.id
        assert service.record(selector).id == meant.id


@pytest.mark.parametrize(
    "selector", ["", "zzz", "0" * 15, "0" * 16, "vq", arn_of("0" * 15), "arn:aws:braket:x", "%", "ü"]
)
def test_a_job_that_is_not_on_record_is_not_found(scene: Scene, service: Service, selector: str) -> None:
    scene.submitted(service, name="vqe")
    with pytest.raises(JobNotFound):
        service.resolve(selector)


def test_a_prefix_of_several_ids_is_ambiguous_and_a_name_is_not(scene: Scene, service: Service) -> None:
    first, second = scene.submitted(service), scene.submitted(service)
    prefix = first.id[: next(at for at in range(15) if first.id[at] != second.id[at])]
    with pytest.raises(AmbiguousJob, match=f"{first.id}, {second.id}"):
        service.resolve(prefix)
    named = scene.submitted(service, name=prefix)
    assert service.resolve(prefix) == named.id
    with pytest.raises(JobNotFound):
        service.resolve(arn_of(prefix))


def test_find_looks_before_it_answers(scene: Scene, service: Service) -> None:
    completed, queued = scene.submitted(service), scene.submitted(service, tags={"sweep": "h2"})
    for _ in range(2):
        scene.engine.step()
    assert [job.id for job in service.find(Query(statuses=frozenset({JobStatus.COMPLETED})))] == [completed.id]
    assert [job.id for job in service.find(Query(tags={"sweep": "h2"}))] == [queued.id]
    assert service.look([completed.id, "0" * 15]).keys() == {completed.id}


def test_the_queue_is_told_while_a_job_waits(scene: Scene, service: Service) -> None:
    first, second = scene.submitted(service), scene.submitted(service)
    assert service.queue_info(second.id) == QueueInfo(position=2, message="its turn")
    assert service.metadata(first.id)["queueInfo"]["position"] == "1"
    scene.engine.step()
    assert service.queue_info(first.id) == QueueInfo()
    assert service.queue_info(second.id).position == 1
    assert service.metadata(first.id)["queueInfo"] == {"queue": "JOBS_QUEUE", "position": "None"}


# Waiting


def test_no_time_to_wait_is_one_look(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, name="vqe")
    with pytest.raises(
        ResultTimeout, match=r"^vqe: Polling for job completion timed out after 0 seconds; it is QUEUED\.$"
    ):
        service.wait(record.id, timeout_s=0)
    scene.engine.step()
    scene.engine.step()
    assert service.wait(record.id, timeout_s=0).status is JobStatus.COMPLETED


@pytest.mark.parametrize("interval_s", [0.0, 0.01, 600.0])
def test_a_wait_ends_in_time(scene: Scene, service: Service, interval_s: float) -> None:
    record = scene.submitted(service)
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"after 0\.1 seconds"):
        service.wait(record.id, timeout_s=0.1, interval_s=interval_s)
    assert 0.1 <= time.monotonic() - started < SOON_S


def test_no_interval_is_no_busy_loop(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    scene.engine.calls.clear()
    with pytest.raises(ResultTimeout):
        service.wait(record.id, timeout_s=0.3, interval_s=0)
    assert scene.engine.calls.count("observe") < 30


def test_the_outcome_wakes_a_wait(scene: Scene, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    # So that a look once a second cannot be what ends it.
    monkeypatch.setattr("qjob.service._LONGEST_LOOK_S", 600.0)
    record = scene.submitted(service)
    scene.engine.step()
    waited: list[JobRecord] = []
    thread = threading.Thread(target=lambda: waited.append(service.wait(record.id, interval_s=600)))
    thread.start()
    (service.folder(record.id).path / "noise").touch()
    scene.engine.step()
    thread.join(SOON_S)
    assert [record.status for record in waited] == [JobStatus.COMPLETED]


def test_many_wait_at_once(scene: Scene) -> None:
    record = scene.submitted(scene.service())
    waited: list[JobStatus] = []
    services = [scene.service() for _ in range(4)]
    threads = [
        threading.Thread(target=lambda each=each: waited.append(each.wait(record.id, SOON_S).status))
        for each in services
    ]
    for thread in threads:
        thread.start()
    scene.engine.step()
    scene.engine.step()
    for thread in threads:
        thread.join()
    assert waited == [JobStatus.COMPLETED] * 4


def test_a_job_that_is_removed_meanwhile_is_not_waited_for(scene: Scene) -> None:
    service, other = scene.service(), scene.service()
    record = scene.submitted(service)
    errors: list[Exception] = []

    def wait() -> None:
        try:
            service.wait(record.id, SOON_S, interval_s=0.02)
        except JobNotFound as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    other.cancel(record.id)
    try:
        other.delete(record.id)
    finally:
        thread.join(SOON_S)
    assert not thread.is_alive()
    assert len(errors) <= 1  # it may have seen the end before the removal


# What jobs leave


def save(service: Service, job_id: str, values: object, data_format: str = "plaintext") -> None:
    header = {"name": "braket.jobs_data.persisted_job_data", "version": "1"}
    text = json.dumps({"braketSchemaHeader": header, "dataDictionary": values, "dataFormat": data_format})
    (service.folder(job_id).results / "results.json").write_text(text)


def test_the_result_is_what_was_saved(scene: Scene, service: Service) -> None:
    record = ended(scene, service)
    save(service, record.id, {"energy": -1.1})
    assert service.result(record.id) == {"energy": -1.1}


def test_pickled_results_are_opened_on_request_only(scene: Scene, service: Service) -> None:
    record = ended(scene, service)
    save(service, record.id, {"x": base64.encodebytes(pickle.dumps({1, 2}, 4)).decode()}, "pickled_v4")
    with pytest.raises(ResultError, match="allow_pickle=True"):
        service.result(record.id)
    assert service.result(record.id, allow_pickle=True) == {"x": {1, 2}}


def test_a_failed_job_says_why_with_the_end_of_the_traceback(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, name="vqe")
    scene.engine.step()
    folder = service.folder(record.id)
    trace = "\n".join(f"line {number}" for number in range(30)) + "\nValueError: bad angle\n"
    folder.write_outcome(
        Outcome(status=JobStatus.FAILED, ended_at=scene.clock(), reason="ValueError: bad angle", traceback=trace)
    )
    for use in (service.result, service.raise_if_failed):
        with pytest.raises(JobFailed) as failure:
            use(record.id)
        lines = str(failure.value).splitlines()
        assert lines[0] == f"Job vqe ({record.id}) is FAILED: ValueError: bad angle"
        assert lines[1:] == [*(f"line {number}" for number in range(19, 30)), "ValueError: bad angle"]
    assert service.outcome(record.id) == folder.read_outcome()


def test_a_failure_is_told_even_when_its_outcome_was_damaged_since(scene: Scene, service: Service) -> None:
    record = ended(scene, service, "fail")
    service.folder(record.id).outcome.write_text("{")
    with pytest.raises(JobFailed, match="told to fail"):
        service.result(record.id)


def test_a_cancelled_job_has_no_result(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    service.cancel(record.id, "too dear")
    with pytest.raises(JobCancelled, match=r"is CANCELLED: The job was cancelled: too dear\."):
        service.result(record.id)
    service.raise_if_failed(record.id)


def test_a_job_that_has_not_ended_has_no_result_yet(scene: Scene, service: Service, tmp_path: Path) -> None:
    record = scene.submitted(service)
    for use in (lambda: service.result(record.id), lambda: service.download(record.id, tmp_path / "out")):
        with pytest.raises(JobStateError, match="is QUEUED: its results come when it ends"):
            use()
    assert not (tmp_path / "out").exists()


def test_results_that_were_removed_by_hand_are_not_taken_for_none(
    scene: Scene, service: Service, tmp_path: Path
) -> None:
    record = ended(scene, service)
    shutil.rmtree(service.folder(record.id).path)
    uses: list[Callable[[], object]] = [
        lambda: service.result(record.id),
        lambda: service.download(record.id, tmp_path / "out"),
    ]
    for use in uses:
        with pytest.raises(FolderError, match=f"is missing: .*'qjob rm {record.id}'"):
            use()
    service.delete(record.id)
    assert service.find(Query()) == []


@pytest.mark.parametrize(("do", "error"), [("finish", None), ("fail", JobFailed), ("cancel", JobCancelled)])
def test_what_was_saved_can_be_downloaded_however_the_job_ended(
    scene: Scene, service: Service, tmp_path: Path, do: str, error: type[Exception] | None
) -> None:
    record = scene.submitted(service, "sleep" if do == "cancel" else do, name="vqe")
    scene.engine.step()
    (service.folder(record.id).results / "partial").write_text("precious")
    if do == "cancel":
        service.cancel(record.id)
    else:
        scene.engine.step()
    target = tmp_path / 'a\'; echo "ü"'
    for _ in range(2):
        if error is None:
            assert service.download(record.id, target) == target / "vqe"
        else:
            with pytest.raises(error):
                service.download(record.id, target)
    assert (target / "vqe" / "partial").read_text() == "precious"


def test_the_log_is_of_all_instances_or_some(scene: Scene, service: Service) -> None:
    record = ended(scene, service, instance_config=InstanceConfig(instanceCount=2))
    reader = service.log(record.id)
    assert [piece.instance for piece in reader.pieces(final=True)] == [0, 1]
    assert [piece.instance for piece in service.log(record.id, [1]).pieces(final=True)] == [1]
    with pytest.raises(InvalidInput, match="instance 2: the job has instances 0 to 1"):
        service.log(record.id, [0, 2])


def test_metrics_are_read_from_the_logs(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, instance_config=InstanceConfig(instanceCount=2))
    scene.engine.step()
    with service.folder(record.id).log(1).open("a") as log:
        for number in range(3):
            log.write(f"Metrics - timestamp={number}.5; energy=-{number}; iteration_number={number};\n")
        log.write("Metrics - timestamp=9; energy=-9; iteration_number=9;")
    columns = service.metrics(record.id, MetricType.ITERATION_NUMBER)
    assert columns["energy"] == [0.0, -1.0, -2.0]
    scene.engine.step()
    assert service.metrics(record.id, MetricType.ITERATION_NUMBER)["energy"] == [0.0, -1.0, -2.0, -9.0]


# Following


def followed(service: Service, job_id: str, interval_s: float = 5.0, **more: Any) -> Iterator[bytes]:
    reader = service.log(job_id)
    pieces = service.follow(job_id, lambda final: reader.pieces(final=final), interval_s, **more)
    return (piece.data for piece in pieces)


def test_following_an_ended_job_shows_all_of_it(scene: Scene, service: Service) -> None:
    record = ended(scene, service)
    with service.folder(record.id).log(0).open("ab") as log:
        log.write(b"no end of line")
    assert b"".join(followed(service, record.id)) == b"hello\nno end of line"


def test_followers_see_every_byte_while_it_is_written(scene: Scene) -> None:
    services = [scene.service() for _ in range(3)]
    record = scene.submitted(services[0])
    seen: dict[int, bytes] = {}

    def follow(number: int) -> None:
        seen[number] = b"".join(followed(services[number], record.id, interval_s=0.05))

    threads = [threading.Thread(target=follow, args=(number,)) for number in range(len(services))]
    for thread in threads:
        thread.start()
    scene.engine.step()
    written = write_noise(services[0].folder(record.id).log(0))
    scene.engine.step()
    for thread in threads:
        thread.join(SOON_S)
    assert [seen[number] == b"hello\n" + written for number in range(len(services))] == [True] * 3


def write_noise(log: Path) -> bytes:
    """Append bytes in many pieces, with pauses that let followers see some of them; return them."""
    pieces = [bytes([number % 256]) * (number * 37 % 5000) + b"\n"[: number % 2] for number in range(300)]
    with log.open("ab", buffering=0) as file:
        for number, piece in enumerate(pieces):
            file.write(piece)
            if number % 50 == 0:
                time.sleep(0.002)
    return b"".join(pieces)


FOLLOW = """\
import sys
from pathlib import Path
from qjob.engine import Observation, Presence
from qjob.service import Service
from qjob.store.store import Store

class Elsewhere:
    name = "fake"
    def observe(self, refs): return {ref: Observation(presence=Presence.UNKNOWN) for ref in refs}
    def sync(self, ref, folder): pass

root, job = Path(sys.argv[1]), sys.argv[2]
store = Store(root / "index.db", root / "jobs")
service = Service(store=store, engine_of=lambda name: Elsewhere(), jobs=root / "jobs")
reader = service.log(job)
print("ready", file=sys.stderr, flush=True)
for piece in service.follow(job, lambda final: reader.pieces(final=final)):
    sys.stdout.buffer.write(piece.data)
print(service.record(job).status, file=sys.stderr)
"""


def test_two_processes_follow_at_once_and_see_every_byte(scene: Scene, service: Service, tmp_path: Path) -> None:
    record = scene.submitted(service)
    scene.engine.step()
    command = [sys.executable, "-c", FOLLOW, str(scene.jobs.parent), record.id]
    outputs = [tmp_path / f"seen-{number}" for number in range(2)]
    others = []
    for output in outputs:
        with output.open("wb") as file:
            others.append(subprocess.Popen(command, stdout=file, stderr=subprocess.PIPE, text=True))
    for other in others:
        assert other.stderr is not None
        assert other.stderr.readline() == "ready\n"
    written = write_noise(service.folder(record.id).log(0))
    scene.engine.step()
    for other, output in zip(others, outputs, strict=True):
        assert other.communicate(timeout=60)[1] == "COMPLETED\n"
        assert output.read_bytes() == b"hello\n" + written
    assert service.record(record.id) == service.folder(record.id).read_record()


def test_a_queued_job_says_what_it_waits_for(scene: Scene, service: Service) -> None:
    first, second = scene.submitted(service), scene.submitted(service)
    reader = service.log(second.id)
    said: list[QueueInfo] = []

    def read(final: bool) -> Iterator[LogPiece]:
        scene.engine.step()
        return reader.pieces(final=final)

    pieces = service.follow(second.id, read, 0.02, said.append)
    assert b"".join(piece.data for piece in pieces) == b"hello\n"
    assert said[0] == QueueInfo(position=2, message="its turn")
    assert QueueInfo(position=1, message="its turn") in said
    assert service.record(first.id).status is JobStatus.COMPLETED


def test_a_vanished_job_is_followed_to_its_end(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    assert record.ref is not None
    pieces = followed(service, record.id, interval_s=0.02)
    assert next(pieces) == b"hello\n"
    scene.engine.vanish(record.ref)
    assert list(pieces) == []
    assert service.record(record.id).status is JobStatus.FAILED


def test_a_damaged_folder_is_not_followed_for_ever(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    scene.engine.step()
    service.folder(record.id).outcome.write_text("{")
    with pytest.warns(RuntimeWarning, match="damaged"), pytest.raises(FolderError, match=r"outcome\.json is damaged"):
        list(followed(service, record.id))


# Cancelling


def test_a_waiting_job_is_cancelled_at_once(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    cancelled = service.cancel(record.id)
    assert (cancelled.status, cancelled.exit_codes) == (JobStatus.CANCELLED, (None,))
    assert service.folder(record.id).read_record() == cancelled
    scene.engine.step()
    assert service.folder(record.id).instances() == []


def test_a_running_job_is_cancelled(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    cancelled = service.cancel(record.id, "too dear")
    assert cancelled.status is JobStatus.CANCELLED
    assert cancelled.failure_reason == "The job was cancelled: too dear."
    assert cancelled.cancel_requested_at is not None
    assert "CANCELLING" not in [event.type for event in cancelled.events]


def test_a_cancellation_may_be_repeated_until_the_end(scene: Scene, service: Service) -> None:
    scene.engine.slow = True
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    first = service.cancel(record.id, "first")
    assert first.status is JobStatus.CANCELLING
    mark = service.folder(record.id).read_cancel_mark()
    assert scene.service().cancel(record.id, "second").status is JobStatus.CANCELLING
    assert service.folder(record.id).read_cancel_mark() == mark
    scene.engine.slow = False
    assert service.record(record.id).status is JobStatus.CANCELLING  # this look tells the engine again
    ended = service.record(record.id)
    assert (ended.status, ended.cancel_requested_at) == (JobStatus.CANCELLED, first.cancel_requested_at)
    with pytest.raises(JobStateError, match="is CANCELLED: it cannot be cancelled"):
        service.cancel(record.id)


@pytest.mark.parametrize(("do", "state"), [("finish", "COMPLETED"), ("fail", "FAILED")])
def test_a_job_that_has_ended_cannot_be_cancelled(scene: Scene, service: Service, do: str, state: str) -> None:
    record = ended(scene, service, do)
    with pytest.raises(JobStateError, match=f"is {state}: it cannot be cancelled"):
        service.cancel(record.id)
    assert not service.folder(record.id).cancel_mark.exists()
    assert service.record(record.id) == record


class EndsMeanwhile(MoodyEngine):
    """An engine whose jobs end just after it has said that they run."""

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        seen = super().observe(refs)
        self.step()
        return seen


def test_a_job_that_ended_just_before_the_mark_says_so(scene: Scene, service: Service) -> None:
    engine = EndsMeanwhile(scene.clock)
    scene.engine = engine
    record = scene.submitted(service)
    engine.step()
    with pytest.raises(JobStateError, match="is COMPLETED"):
        service.cancel(record.id)
    ended = service.record(record.id)
    assert (ended.status, ended.cancel_requested_at) == (JobStatus.COMPLETED, None)


def test_a_completion_after_the_cancellation_is_a_cancellation(scene: Scene, service: Service) -> None:
    scene.engine.slow = True
    record = scene.submitted(service)
    scene.engine.step()
    assert service.cancel(record.id).status is JobStatus.CANCELLING
    scene.engine.step()
    ended = service.record(record.id)
    assert (ended.status, ended.exit_codes) == (JobStatus.CANCELLED, (0,))
    assert [event.type for event in ended.events][-1] == "CANCELLED"
    assert "COMPLETED" not in [event.type for event in ended.events]


def test_a_cancelled_job_that_vanishes_is_cancelled(scene: Scene, service: Service) -> None:
    scene.engine.slow = True
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    service.cancel(record.id)
    assert record.ref is not None
    scene.engine.vanish(record.ref)
    assert service.record(record.id).status is JobStatus.CANCELLED


def test_a_cancellation_that_the_engine_cannot_hear_now_is_not_forgotten(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    service.record(record.id)
    scene.engine.away = True
    with pytest.warns(RuntimeWarning, match="no news"), pytest.raises(EngineUnavailable):
        service.cancel(record.id)
    with pytest.warns(RuntimeWarning, match="no news"):
        assert service.record(record.id).status is JobStatus.CANCELLING
    scene.engine.away = False
    service.record(record.id)
    assert service.record(record.id).status is JobStatus.CANCELLED


def test_a_job_that_no_engine_has_yet_can_be_cancelled(scene: Scene, service: Service) -> None:
    scene.engine.away = True
    with pytest.raises(EngineUnavailable):
        service.submit(scene.submission("sleep"))
    [job_id] = os.listdir(scene.jobs)
    with pytest.warns(RuntimeWarning, match="not handed over yet"):
        assert service.cancel(job_id).status is JobStatus.CANCELLING
    scene.engine.away = False
    assert service.wait(job_id, SOON_S, interval_s=0.02).status is JobStatus.CANCELLED
    assert service.folder(job_id).instances() == []


def test_a_cancellation_that_cannot_be_written_is_an_error(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    shutil.rmtree(service.folder(record.id).path)
    with pytest.raises(FolderError, match=r"The cancellation cannot be written to .*cancel\.json"):
        service.cancel(record.id)


# Removing


@pytest.mark.parametrize("state", ["QUEUED", "RUNNING", "CANCELLING"])
def test_a_job_that_has_not_ended_is_not_removed(scene: Scene, service: Service, state: str) -> None:
    scene.engine.slow = True
    record = scene.submitted(service, "sleep")
    if state != "QUEUED":
        scene.engine.step()
    if state == "CANCELLING":
        service.cancel(record.id)
    with pytest.raises(JobStateError, match=f"is {state}: cancel it first"):
        service.delete(record.id)
    assert service.folder(record.id).read_record().status == state


def test_a_job_that_is_removed_is_gone(scene: Scene, service: Service) -> None:
    record, other = ended(scene, service, name="vqe"), ended(scene, service)
    service.delete(record.id)
    assert os.listdir(scene.jobs) == [other.id]
    assert [job.id for job in service.find(Query())] == [other.id]
    for use in (service.delete, service.cancel, service.wait, service.result, service.log, service.metrics):
        with pytest.raises(JobNotFound, match="was removed"):
            use(record.id)
    with pytest.raises(JobNotFound):
        service.resolve("vqe")


@pytest.mark.parametrize("killed", ["before the row went", "after the row went"])
def test_a_removal_that_was_cut_short_is_finished(scene: Scene, service: Service, killed: str) -> None:
    record = ended(scene, service)
    (scene.jobs / record.id).rename(scene.jobs / f".{record.id}.deleted")
    if killed == "before the row went":
        service.delete(record.id)
    else:
        scene.stores[0].delete(record.id)
        service.reindex()
    assert nothing_is_left(scene, service)


# The index, built anew


def test_a_new_index_has_all_that_the_folders_tell(scene: Scene, service: Service) -> None:
    done = ended(scene, service, name="done", tags={"sweep": "h2"})
    running, queued = scene.submitted(service, "sleep"), scene.submitted(service)
    scene.engine.step()
    before = service.find(Query())
    for part in scene.jobs.parent.glob("index.db*"):
        part.unlink()
    with pytest.raises(StoreMissing):
        service.find(Query())
    report = service.reindex()
    assert (report.jobs, report.problems) == (3, ())
    assert service.find(Query()) == before
    assert [job.id for job in scene.service().find(Query(tags={"sweep": "h2"}))] == [done.id]
    assert [service.record(each.id).ref for each in (running, queued)] == [running.ref, queued.ref]


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}"])
@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_lost_record_is_made_anew_from_what_else_is_there(
    scene: Scene, service: Service, content: bytes | None, steps: int
) -> None:
    record = scene.submitted(service, tags={"sweep": "h2"})
    for _ in range(steps):
        scene.engine.step()
    folder = service.folder(record.id)
    if content is None:
        folder.record.unlink()
    else:
        folder.record.write_bytes(content)
    report = service.reindex()
    assert (report.jobs, report.problems) == (1, ())
    again = service.record(record.id)
    again = service.record(record.id)
    assert again.status is [JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.COMPLETED][steps]
    assert (again.spec, folder.read_record()) == (record.spec, again)
    assert scene.engine.calls.count("submit") <= 2
    for _ in range(2 - steps):
        scene.engine.step()
    assert service.record(record.id).status is JobStatus.COMPLETED
    assert folder.log(0).read_text() == "hello\n"


def test_what_is_no_job_is_named_and_left_alone(scene: Scene, service: Service) -> None:
    record, copied, lost = ended(scene, service), ended(scene, service), ended(scene, service)
    (scene.jobs / "notes.txt").write_text("mine")
    (scene.jobs / "empty").mkdir()
    (scene.jobs / ".hidden").mkdir()
    shutil.copytree(scene.jobs / copied.id, scene.jobs / f"{copied.id}-backup")
    shutil.copytree(scene.jobs / copied.id, scene.jobs / ("0" * 15))
    for name in ("record.json", "spec.json"):
        (scene.jobs / lost.id / name).unlink()
    before = sorted(os.listdir(scene.jobs))
    report = service.reindex()
    assert report.jobs == 2
    assert sorted(os.listdir(scene.jobs)) == before
    assert {job.id for job in service.find(Query())} == {record.id, copied.id}
    words = ["notes.txt", "empty", "-backup", f"{'0' * 15} holds job {copied.id}", f"{lost.id}/spec.json is missing"]
    assert len(report.problems) == len(words)
    for word in words:
        assert any(word in problem for problem in report.problems), word


def test_a_damaged_index_is_set_aside(scene: Scene, service: Service) -> None:
    record = ended(scene, service)
    scene.close()
    for part in scene.jobs.parent.glob("index.db-*"):
        part.unlink()
    scene.index.write_bytes(b"damaged")
    assert service.reindex().jobs == 1
    assert service.record(record.id) == record
    assert scene.index.with_name("index.db.set-aside-1").read_bytes() == b"damaged"


def test_reindexing_may_be_repeated_and_changes_nothing(scene: Scene, service: Service) -> None:
    for do in ("finish", "fail"):
        ended(scene, service, do)
    scene.submitted(service)
    before = service.find(Query())
    for _ in range(2):
        service.reindex()
        assert service.find(Query()) == before
