"""The records stay true: whoever was killed, whatever is damaged, however many look at once."""

from __future__ import annotations

import json
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from qjob.engine import Observation, Presence
from qjob.errors import JobStateError, QjobError, StoreError
from qjob.folder import CancelMark, JobFolder
from qjob.model.record import JobRecord, iso_times
from qjob.model.spec import JobSpec
from qjob.model.status import JobStatus
from qjob.service import Service
from qjob.store.store import Query, Store
from scene import MoodyEngine, Scene


@pytest.fixture
def service(scene: Scene) -> Service:
    return scene.service()


def end_of(scene: Scene, job_id: str) -> JobRecord:
    """Help the engine on until a job has ended; return its record, which is the folder's too."""
    service = scene.service()
    for _ in range(5):
        record = service.record(job_id)
        if record.status.ended:
            assert service.folder(job_id).read_record() == record
            return record
        scene.engine.step()
    raise AssertionError(f"it is still {record.status}")


# A submitter that was killed


@dataclass(frozen=True)
class Killer:
    """A source whose writer is killed."""

    def write_to(self, directory: Path) -> None:
        (directory / "half").write_text("half")
        os._exit(9)


class KillsBeforeRow(Store):
    def insert(self, record: JobRecord) -> bool:
        os._exit(9)


class KillsAfterRow(Store):
    def insert(self, record: JobRecord) -> bool:
        super().insert(record)
        os._exit(9)


class KillsBeforeRef(Store):
    def change(self, record: JobRecord, was: int, write: Callable[[JobRecord], None]) -> bool:
        os._exit(9)


class KillsBetweenFolderAndRow(Store):
    def change(self, record: JobRecord, was: int, write: Callable[[JobRecord], None]) -> bool:
        def write_and_die(new: JobRecord) -> None:
            write(new)
            os._exit(9)

        return super().change(record, was, write_and_die)


class KillsBeforeTaking(MoodyEngine):
    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        os._exit(9)


def in_a_killed_process(work: Callable[[], object]) -> None:
    """Do it in a child that is gone in the middle of it, without a chance to clean up."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 9 << 8, "nobody killed it"


def submit_with(scene: Scene, store: type[Store] = Store, engine: MoodyEngine | None = None) -> None:
    taker = engine or scene.engine
    service = Service(
        store=store(scene.index, scene.jobs), engine_of=lambda name: taker, jobs=scene.jobs, now=scene.clock
    )
    service.submit(scene.submission())


def test_a_submitter_killed_before_the_row_leaves_no_job(scene: Scene) -> None:
    in_a_killed_process(lambda: scene.service().submit(scene.submission(source=Killer())))
    in_a_killed_process(lambda: submit_with(scene, KillsBeforeRow))
    service = scene.service()
    assert service.find(Query()) == []
    assert len(os.listdir(scene.jobs)) == 2
    assert all(name.endswith(".staging") for name in os.listdir(scene.jobs))
    assert service.reindex().jobs == 0
    for name in os.listdir(scene.jobs):
        os.utime(scene.jobs / name, (0, 0))
    service.reindex()
    assert os.listdir(scene.jobs) == []


@pytest.mark.parametrize("store", [KillsAfterRow, KillsBeforeRef, KillsBetweenFolderAndRow])
def test_a_submitter_killed_after_the_row_leaves_a_job_that_the_next_look_hands_over(
    scene: Scene, store: type[Store]
) -> None:
    in_a_killed_process(lambda: submit_with(scene, store))
    service = scene.service()
    [record] = service.find(Query())
    assert (record.status, record.ref) == (JobStatus.QUEUED, f"fake-{record.id}")
    assert os.listdir(scene.jobs) == [record.id]
    assert end_of(scene, record.id).status is JobStatus.COMPLETED


def test_a_submitter_killed_before_the_engine_has_the_job_is_settled_too(scene: Scene) -> None:
    in_a_killed_process(lambda: submit_with(scene, engine=KillsBeforeTaking(scene.clock)))
    [record] = scene.service().find(Query())
    assert record.ref is not None
    assert end_of(scene, record.id).status is JobStatus.COMPLETED


def test_a_job_that_the_engine_took_before_the_kill_is_not_taken_twice(scene: Scene) -> None:
    service = scene.service()
    record = submit_without_ref(scene, service)
    scene.engine.submit([(service.folder(record.id), record.spec)])
    scene.engine.step()
    assert service.record(record.id).ref == f"fake-{record.id}"
    assert service.record(record.id).status is JobStatus.RUNNING
    scene.engine.step()
    scene.engine.step()
    log = service.folder(record.id).log(0).read_text()
    assert (service.record(record.id).status, log) == (JobStatus.COMPLETED, "hello\n")


def test_a_reindex_adopts_what_a_killed_submitter_left(scene: Scene) -> None:
    in_a_killed_process(lambda: submit_with(scene, KillsAfterRow))
    service = scene.service()
    assert service.reindex().jobs == 1
    [record] = service.find(Query())
    assert end_of(scene, record.id).status is JobStatus.COMPLETED


def submit_without_ref(scene: Scene, service: Service) -> JobRecord:
    """Return a job that is on record with its folder, and that no engine has."""
    scene.engine.away = True
    with pytest.raises(QjobError, match="is on record and will be handed over"):
        service.submit(scene.submission())
    scene.engine.away = False
    [record] = scene.stores[0].find(Query())
    assert record.ref is None
    return record


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_job_whose_folder_went_before_it_was_handed_over_has_ended(scene: Scene, cancelled: bool) -> None:
    service = scene.service()
    record = submit_without_ref(scene, service)
    if cancelled:
        scene.engine.away = True
        with pytest.warns(RuntimeWarning, match="not handed over yet"):
            assert service.cancel(record.id).status is JobStatus.CANCELLING
        scene.engine.away = False
    shutil.rmtree(service.folder(record.id).path)
    ended = service.record(record.id)
    if cancelled:
        assert (ended.status, ended.failure_reason) == (JobStatus.CANCELLED, "The job was cancelled.")
    else:
        assert ended.status is JobStatus.FAILED
        assert ended.failure_reason == "The submit was cut short and the job's folder is gone; submit it again."
    service.delete(record.id)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_job_that_is_refused_when_it_is_handed_over_late_has_ended(scene: Scene, cancelled: bool) -> None:
    service = scene.service()
    record = submit_without_ref(scene, service)
    if cancelled:
        service.folder(record.id).write_cancel_mark(CancelMark(time=scene.clock(), reason="too dear"))
    scene.engine.refuses = True
    ended = service.record(record.id)
    if cancelled:
        assert (ended.status, ended.failure_reason) == (JobStatus.CANCELLED, "The job was cancelled: too dear.")
    else:
        assert (ended.status, ended.failure_reason) == (JobStatus.FAILED, "No machine for such a job.")


# Engines that are away, or have lost a job


def test_a_job_is_handed_over_as_soon_as_its_engine_is_there(scene: Scene, service: Service) -> None:
    record = submit_without_ref(scene, service)
    scene.engine.away = True
    with pytest.warns(RuntimeWarning, match=f"job {record.id} is not handed over yet: The engine is away"):
        assert service.record(record.id).status is JobStatus.QUEUED
    scene.engine.away = False
    assert service.record(record.id).ref is not None
    assert end_of(scene, record.id).status is JobStatus.COMPLETED


def test_no_news_is_not_bad_news(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    scene.engine.step()
    assert service.record(record.id).status is JobStatus.RUNNING
    scene.engine.away = True
    with pytest.warns(RuntimeWarning, match="engine 'fake' has no news: The engine is away"):
        assert service.record(record.id).status is JobStatus.RUNNING
    scene.engine.away = False
    assert record.ref is not None
    scene.engine.says[record.ref] = Observation(presence=Presence.UNKNOWN, message="the scheduler hangs")
    assert service.record(record.id).status is JobStatus.RUNNING


def test_a_job_whose_end_came_while_the_engine_was_away_has_ended(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    scene.engine.step()
    scene.engine.step()
    scene.engine.away = True
    assert service.record(record.id).status is JobStatus.COMPLETED


def test_a_vanished_job_has_failed_with_the_reason(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    assert record.ref is not None
    scene.engine.vanish(record.ref)
    scene.engine.says[record.ref] = Observation(presence=Presence.GONE, message="node7 is down")
    ended = service.record(record.id)
    assert ended.status is JobStatus.FAILED
    assert ended.failure_reason == "The job ended without leaving an outcome: node7 is down."
    assert service.folder(record.id).read_record() == ended
    assert not service.folder(record.id).environment.exists()


def test_a_doubted_end_is_believed_when_it_was_seen_long_enough(
    scene: Scene, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The time for a shared disk to show an outcome is 15 s, longer than a test may take.
    monkeypatch.setattr("qjob.register._UNCERTAIN_GONE_S", 0.05)
    record = scene.submitted(service, "sleep")
    assert record.ref is not None
    scene.engine.says[record.ref] = Observation(presence=Presence.GONE, certain=False)
    assert service.record(record.id).status is JobStatus.QUEUED
    scene.engine.says[record.ref] = Observation(presence=Presence.RUNNING)
    assert service.record(record.id).status is JobStatus.QUEUED
    scene.engine.says[record.ref] = Observation(presence=Presence.GONE, certain=False)
    assert service.record(record.id).status is JobStatus.QUEUED
    assert service.wait(record.id, timeout_s=20, interval_s=0.02).status is JobStatus.FAILED


def test_a_doubted_end_with_an_outcome_is_the_outcomes(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    assert record.ref is not None
    scene.engine.says[record.ref] = Observation(presence=Presence.GONE, certain=False)
    assert service.record(record.id).status is JobStatus.QUEUED
    scene.engine.step()
    scene.engine.step()
    assert service.record(record.id).status is JobStatus.COMPLETED


def test_many_jobs_are_one_question(scene: Scene, service: Service) -> None:
    for _ in range(5):
        scene.submitted(service)
    scene.engine.calls.clear()
    assert len(service.find(Query())) == 5
    assert scene.engine.calls == ["observe"]


def test_jobs_that_have_ended_are_asked_for_no_more(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    end_of(scene, record.id)
    scene.engine.calls.clear()
    service.find(Query())
    service.metadata(record.id)
    assert scene.engine.calls == []


def test_an_engine_that_this_version_does_not_know_hides_no_other_job(scene: Scene, service: Service) -> None:
    known, stranger = scene.submitted(service), scene.submitted(service)
    later = replace(stranger, spec=replace(stranger.spec, engine="later"), version=stranger.version + 1)
    assert scene.stores[0].change(later, stranger.version, lambda record: None)
    scene.engine.step()
    with pytest.warns(RuntimeWarning, match="engine 'later'"):
        found = {record.id: record.status for record in service.find(Query())}
    assert found == {stranger.id: JobStatus.QUEUED, known.id: JobStatus.RUNNING}


# Damage


@pytest.mark.parametrize("name", ["events.jsonl", "outcome.json", "cancel.json"])
def test_a_damaged_folder_hides_no_other_job_and_is_judged_when_the_file_is_away(
    scene: Scene, service: Service, name: str
) -> None:
    damaged, well = scene.submitted(service), scene.submitted(service)
    for _ in range(4):
        scene.engine.step()
    path = service.folder(damaged.id).path / name
    path.write_bytes(b"{}\n")
    with pytest.warns(RuntimeWarning, match=f"job {damaged.id}: .*{name} is damaged"):
        found = {record.id: record.status for record in service.find(Query())}
    assert found == {damaged.id: JobStatus.QUEUED, well.id: JobStatus.COMPLETED}
    with pytest.warns(RuntimeWarning, match="is damaged"), pytest.raises(QjobError, match=f"{name} is damaged"):
        service.wait(damaged.id, timeout_s=20)
    path.unlink()
    expected = JobStatus.FAILED if name == "outcome.json" else JobStatus.COMPLETED
    assert service.record(damaged.id).status is expected


def test_a_folder_removed_by_hand_is_a_job_that_failed_when_it_is_gone(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    assert service.record(record.id).status is JobStatus.RUNNING
    shutil.rmtree(service.folder(record.id).path)
    assert service.record(record.id).status is JobStatus.RUNNING
    assert record.ref is not None
    scene.engine.vanish(record.ref)
    assert service.record(record.id).status is JobStatus.FAILED
    assert not service.folder(record.id).path.exists()


def test_a_cancelled_job_whose_folder_was_removed_by_hand_ends_cancelled(scene: Scene, service: Service) -> None:
    record = scene.submitted(service, "sleep")
    scene.engine.step()
    scene.engine.slow = True
    assert service.cancel(record.id).status is JobStatus.CANCELLING
    shutil.rmtree(service.folder(record.id).path)
    assert record.ref is not None
    scene.engine.vanish(record.ref)
    assert service.record(record.id).status is JobStatus.CANCELLED


# A disk that is full


def test_what_cannot_be_put_on_record_is_told_and_put_there_later(scene: Scene, service: Service) -> None:
    record = scene.submitted(service)
    scene.engine.step()
    scene.engine.step()
    copy = service.folder(record.id).record
    copy.unlink()
    copy.mkdir()  # so that it cannot be replaced, as on a full disk
    for _ in range(2):
        with pytest.warns(RuntimeWarning, match=f"job {record.id} is COMPLETED, which cannot be put on record"):
            assert service.record(record.id).status is JobStatus.COMPLETED
        assert scene.stores[0].get([record.id])[record.id].status is JobStatus.QUEUED
    copy.rmdir()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert service.record(record.id).status is JobStatus.COMPLETED
    assert service.folder(record.id).read_record() == scene.stores[0].get([record.id])[record.id]


class FullStore(Store):
    """An index on a disk that is full."""

    full = False

    def change(self, record: JobRecord, was: int, write: Callable[[JobRecord], None]) -> bool:
        if self.full:
            write(record)
            raise StoreError("database or disk is full")
        return super().change(record, was, write)


def test_an_index_that_is_full_does_not_hide_the_end(scene: Scene) -> None:
    store = FullStore(scene.index, scene.jobs)
    scene.stores.append(store)
    service = Service(store=store, engine_of=scene.engine_of, jobs=scene.jobs, now=scene.clock)
    record = scene.submitted(service)
    scene.engine.step()
    scene.engine.step()
    store.full = True
    with pytest.warns(RuntimeWarning, match="cannot be put on record: database or disk is full"):
        assert service.wait(record.id, timeout_s=20).status is JobStatus.COMPLETED
    store.full = False
    assert service.record(record.id) == service.folder(record.id).read_record()


# Many that are looked at


class CountingStore(Store):
    """An index that counts the transactions in which jobs are changed, and the records that are read.

    Attributes:
        batches: how many jobs were changed in each transaction.
        read: the ids of the jobs whose records were read by id.
        late: called before the next transaction of several jobs.
    """

    def __init__(self, index: Path, jobs: Path) -> None:
        super().__init__(index, jobs)
        self.batches: list[int] = []
        self.read: list[str] = []
        self.late: Callable[[], object] = bool

    def get(self, ids: Sequence[str]) -> dict[str, JobRecord]:
        self.read.extend(ids)
        return super().get(ids)

    def change_many(self, changes: Sequence[tuple[JobRecord, int]], write: Callable[[JobRecord], None]) -> set[str]:
        if len(changes) > 1:
            late, self.late = self.late, bool
            late()
        done = super().change_many(changes, write)
        self.batches.append(len(done))
        return done


@dataclass(frozen=True)
class Counted:
    """A service over an index that counts."""

    store: CountingStore
    service: Service


@pytest.fixture
def counted(scene: Scene) -> Counted:
    store = CountingStore(scene.index, scene.jobs)
    scene.stores.append(store)
    service = Service(store=store, engine_of=scene.engine_of, jobs=scene.jobs, now=scene.clock)
    return Counted(store, service)


def test_jobs_that_just_wait_are_not_even_read(scene: Scene, counted: Counted) -> None:
    records = [scene.submitted(scene.service()) for _ in range(5)]
    scene.engine.calls.clear()
    assert counted.service.find(Query(limit=2)) == [records[4], records[3]]
    assert (counted.store.read, scene.engine.calls) == ([], ["observe"])


def test_of_many_that_wait_the_one_with_a_cancel_mark_is_ended(scene: Scene, counted: Counted) -> None:
    records = [scene.submitted(scene.service()) for _ in range(4)]
    counted.service.folder(records[2].id).write_cancel_mark(CancelMark(time=scene.clock()))
    counted.service.find(Query())
    assert counted.store.read == [records[2].id]
    assert end_of(scene, records[2].id).status is JobStatus.CANCELLED


def end_all(scene: Scene) -> None:
    """Let the engine run all jobs to their ends, which nobody has looked at yet."""
    while any(not (scene.jobs / name / "outcome.json").exists() for name in os.listdir(scene.jobs)):
        scene.engine.step()


def test_many_that_ended_are_put_on_record_together(scene: Scene, counted: Counted) -> None:
    records = [scene.submitted(scene.service()) for _ in range(5)]
    end_all(scene)
    found = counted.service.find(Query())
    assert [record.status for record in found] == [JobStatus.COMPLETED] * 5
    assert counted.store.batches == [5]
    for record in records:
        folder = counted.service.folder(record.id)
        assert folder.read_record() == counted.store.get([record.id])[record.id]
        assert not folder.environment.exists()


def test_of_many_the_one_that_somebody_else_has_changed_meanwhile_is_not_lost(scene: Scene, counted: Counted) -> None:
    records = [scene.submitted(scene.service()) for _ in range(3)]
    end_all(scene)
    other = scene.service()
    counted.store.late = lambda: other.record(records[1].id)
    found = counted.service.find(Query())
    assert [record.status for record in found] == [JobStatus.COMPLETED] * 3
    assert counted.store.batches == [2, 0]  # the third by itself, and it was there already
    versions = {record.id: record.version for record in found}
    assert versions[records[1].id] == other.record(records[1].id).version
    for record in found:
        assert counted.service.folder(record.id).read_record() == record


def test_of_many_the_one_that_cannot_be_written_holds_up_no_other(scene: Scene, counted: Counted) -> None:
    records = [scene.submitted(scene.service()) for _ in range(3)]
    end_all(scene)
    copy = counted.service.folder(records[1].id).record
    copy.unlink()
    copy.mkdir()  # so that it cannot be replaced
    with pytest.warns(RuntimeWarning, match=f"job {records[1].id} is COMPLETED, which cannot be put on record"):
        found = counted.service.look([record.id for record in records])
    assert {record.status for record in found.values()} == {JobStatus.COMPLETED}
    on_record = {job_id: record.status for job_id, record in counted.store.get(list(found)).items()}
    assert on_record == {
        records[0].id: JobStatus.COMPLETED,
        records[1].id: JobStatus.QUEUED,
        records[2].id: JobStatus.COMPLETED,
    }


class KillsBetweenFoldersAndRows(Store):
    def change_many(self, changes: Sequence[tuple[JobRecord, int]], write: Callable[[JobRecord], None]) -> set[str]:
        if len(changes) == 1:
            return super().change_many(changes, write)

        def write_and_die_with_the_last(record: JobRecord) -> None:
            write(record)
            if record.id == changes[-1][0].id:
                os._exit(9)

        return super().change_many(changes, write_and_die_with_the_last)


def test_who_is_killed_between_the_folders_and_the_rows_leaves_rows_that_lag(scene: Scene) -> None:
    records = [scene.submitted(scene.service()) for _ in range(3)]
    end_all(scene)

    def look_and_die() -> None:
        store = KillsBetweenFoldersAndRows(scene.index, scene.jobs)
        Service(store=store, engine_of=scene.engine_of, jobs=scene.jobs, now=scene.clock).find(Query())

    in_a_killed_process(look_and_die)
    service = scene.service()
    lagging = scene.stores[-1].get([record.id for record in records])
    assert {record.status for record in lagging.values()} == {JobStatus.QUEUED}
    for record in records:
        assert service.folder(record.id).read_record().status is JobStatus.COMPLETED
    found = service.find(Query())
    assert [service.folder(record.id).read_record() for record in found] == found
    assert {record.status for record in found} == {JobStatus.COMPLETED}


# Several at once


def in_threads(works: list[Callable[[], object]]) -> list[object]:
    """Do all at once, and return what each returned or raised."""
    barrier, results = threading.Barrier(len(works)), dict[int, object]()

    def work(number: int) -> None:
        barrier.wait()
        try:
            results[number] = works[number]()
        except QjobError as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [results[number] for number in range(len(works))]


def test_many_who_look_at_once_draw_one_conclusion(scene: Scene) -> None:
    services = [scene.service() for _ in range(4)]
    for _ in range(5):
        record = scene.submitted(services[0])
        scene.engine.step()
        scene.engine.step()
        looks: list[Callable[[], object]] = [partial(each.record, record.id) for each in services]
        seen = in_threads(looks)
        assert seen == [seen[0]] * 4
        assert seen[0] == services[0].folder(record.id).read_record()
        ended = services[0].record(record.id)
        kinds = [event.type for event in ended.events]
        assert kinds == ["QUEUED_FOR_EXECUTION", "STARTING_INSTANCE", "RUNNING", "COMPLETED"]


def test_two_who_cancel_at_once_both_see_it_cancelled(scene: Scene) -> None:
    one, other = scene.service(), scene.service()
    for _ in range(8):
        record = scene.submitted(one, "sleep")
        scene.engine.step()
        results = in_threads([partial(one.cancel, record.id), partial(other.cancel, record.id)])
        for result in results:
            if isinstance(result, JobRecord):
                assert result.status in (JobStatus.CANCELLING, JobStatus.CANCELLED)
            else:
                assert isinstance(result, JobStateError)
                assert "CANCELLED" in str(result)
        assert any(isinstance(result, JobRecord) for result in results)
        assert end_of(scene, record.id).status is JobStatus.CANCELLED


def test_a_cancellation_and_an_end_at_once_have_one_winner(scene: Scene) -> None:
    one, other = scene.service(), scene.service()
    for _ in range(15):
        record = scene.submitted(one)
        scene.engine.step()
        one.record(record.id)
        works: list[Callable[[], object]] = [
            scene.engine.step,
            partial(one.cancel, record.id),
            partial(other.record, record.id),
        ]
        _, cancelled, seen = in_threads(works)
        ended = end_of(scene, record.id)
        assert other.record(record.id) == ended
        if isinstance(cancelled, JobRecord):
            assert ended.status is JobStatus.CANCELLED
        else:
            assert isinstance(cancelled, JobStateError)
            assert ended.status is JobStatus.COMPLETED
        assert isinstance(seen, JobRecord)
        assert seen.status is ended.status or not seen.status.ended


def test_a_job_is_handed_over_once_however_many_try(scene: Scene) -> None:
    services = [scene.service() for _ in range(4)]
    record = submit_without_ref(scene, services[0])
    scene.engine.calls.clear()
    looks: list[Callable[[], object]] = [partial(each.record, record.id) for each in services]
    in_threads(looks)
    assert services[0].record(record.id).ref == f"fake-{record.id}"
    assert scene.engine.calls.count("submit") == 1


def test_a_job_that_is_deleted_while_somebody_looks_does_no_harm(scene: Scene) -> None:
    one, other = scene.service(), scene.service()
    for _ in range(5):
        record = scene.submitted(one)
        scene.engine.step()
        scene.engine.step()
        one.record(record.id)
        results = in_threads([partial(one.delete, record.id), partial(other.look, [record.id])])
        assert not any(isinstance(result, BaseException) for result in results)
        assert not one.folder(record.id).path.exists()
        assert other.look([record.id]) == {}


# One dict


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_metadata_is_record_json(scene: Scene, service: Service, steps: int) -> None:
    record = scene.submitted(service, tags={"a": "ü"})
    for _ in range(steps):
        scene.engine.step()
    data = service.metadata(record.id)
    stored = json.loads(service.folder(record.id).record.read_bytes())
    if steps == 0:
        assert data["queueInfo"] == {"queue": "JOBS_QUEUE", "position": "1", "message": "its turn"}
        data["queueInfo"] = stored["queueInfo"]
    assert iso_times(data) == stored
    assert json.loads(json.dumps(stored)) == stored


def test_an_engine_is_told_of_many_cancellations_with_one_call(scene: Scene) -> None:
    service = scene.service()
    records = [scene.submitted(service, "sleep") for _ in range(5)]
    for record in records:
        service.folder(record.id).write_cancel_mark(CancelMark(time=scene.clock()))
    scene.engine.slow = True
    scene.engine.calls.clear()
    service.look([record.id for record in records])
    assert scene.engine.calls.count("cancel") == 1
