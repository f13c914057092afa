"""Sweeps as a whole: all of their jobs are there or none is, whoever was killed, and each runs once."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from qjob.engine import Observation, Presence
from qjob.errors import (
    EngineUnavailable,
    FolderError,
    InvalidInput,
    JobNotFound,
    JobStateError,
    ResultTimeout,
    StoreError,
    SubmitError,
)
from qjob.folder import JobFolder
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec, SweepPoint
from qjob.model.status import JobStatus
from qjob.model.sweep import Counts, SweepRecord
from qjob.register import Register
from qjob.service import Service
from qjob.staging import Checkpoints, Payload, Staging
from qjob.store.store import Query, Store
from qjob.sweep_staging import Point, SweepSubmission
from qjob.sweeps import Sweeps
from qjob.testing import ScriptSource, make_spec
from scene import MoodyEngine, NoInputs, Scene

QUEUED, RUNNING, COMPLETED = JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.COMPLETED
CANCELLED, FAILED = JobStatus.CANCELLED, JobStatus.FAILED


@pytest.fixture
def service(scene: Scene) -> Service:
    return scene.service()


def asked(points: int = 3, do: str = "finish", source: Payload | None = None, **fields: Any) -> SweepSubmission:
    """Return a sweep of the contract's jobs, each of which says its number."""
    spec = make_spec(do, engine="fake", **{"name": "h2", **fields})
    return SweepSubmission(
        spec=spec,
        points=[Point(number=n, hyperparameters={"do": do, "say": str(n)}) for n in range(points)],
        varied=("say",),
        concurrency=2,
        source=source or ScriptSource(),
        inputs=NoInputs(),
        environment={"SECRET": "1"},
    )


def play(scene: Scene, service: Service, sweep_id: str, steps: int | None = None) -> Counts:
    """Help the engine on until all jobs have ended, or by so many steps."""
    for _ in range(2 * len(service.sweeps.job_ids(sweep_id)) if steps is None else steps):
        scene.engine.step()
    return service.sweeps.counts(sweep_id)


def all_files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if "index.db" not in path.name)


def logs_of(service: Service, sweep_id: str) -> list[str]:
    return [service.folder(job_id).log(0).read_text() for job_id in service.sweeps.job_ids(sweep_id)]


# Submitting


def test_a_sweep_is_one_record_and_a_job_for_each_point(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(11))
    assert (sweep.name, sweep.points, sweep.varied, sweep.concurrency) == ("h2", 11, ("say",), 2)
    assert service.sweeps.record(sweep.id) == service.sweeps.folder(sweep.id).read() == sweep
    records = service.sweeps.job_records(sweep.id)
    assert [record.spec.name for record in records] == [f"h2-{n:02}" for n in range(11)]
    assert [record.spec.hyperparameters["say"] for record in records] == [str(n) for n in range(11)]
    assert [r.spec.sweep_point for r in records] == [
        SweepPoint(sweep=sweep.id, number=n, concurrency=2) for n in range(11)
    ]
    ids = [sweep.id, *(record.id for record in records)]
    assert ids == sorted(set(ids))
    assert scene.engine.calls.count("submit") == 1
    assert service.sweeps.counts(sweep.id) == {QUEUED: 11}


def test_the_jobs_share_one_source_and_each_folder_is_whole(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(2))
    shared = service.sweeps.folder(sweep.id)
    assert all_files(shared.path) == ["ended", "source", "source/job.py", "sweep.json"]
    assert sorted(os.listdir(scene.jobs)) == service.sweeps.job_ids(sweep.id)
    for record in service.sweeps.job_records(sweep.id):
        folder = service.folder(record.id)
        assert all_files(folder.path) == ["environment.json", "record.json", "spec.json"]
        assert folder.read_spec() == record.spec
        assert folder.read_environment() == {"SECRET": "1"}
        assert folder.environment.stat().st_mode & 0o777 == 0o600
        assert folder.path.stat().st_mode & 0o777 == shared.path.stat().st_mode & 0o777 == 0o700


def test_every_job_runs_once_and_its_secrets_go_with_its_end(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(3))
    assert play(scene, service, sweep.id, 2) == {COMPLETED: 1, QUEUED: 2}
    first, *others = (service.folder(each) for each in service.sweeps.job_ids(sweep.id))
    assert not first.environment.exists()
    assert all(each.environment.exists() for each in others)
    assert play(scene, service, sweep.id) == {COMPLETED: 3}
    assert logs_of(service, sweep.id) == ["0\n", "1\n", "2\n"]
    assert service.find(Query(statuses=frozenset({QUEUED, RUNNING}))) == []


def test_one_point_is_a_sweep_as_well(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(1, name="x" * 48))
    [record] = service.sweeps.job_records(sweep.id)
    assert record.spec.name == "x" * 48 + "-0"
    assert play(scene, service, sweep.id) == {COMPLETED: 1}


def test_five_thousand_points_are_submitted_and_counted(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(5000))
    ids = service.sweeps.job_ids(sweep.id)
    assert len(ids) == len(set(ids)) == 5000
    assert ids == sorted(ids)
    assert ids[0] > sweep.id
    records = scene.stores[-1].get(ids)
    assert [int(records[each].spec.name.removeprefix("h2-")) for each in ids] == list(range(5000))
    assert all(record.ref == f"fake-{record.id}" for record in records.values())
    assert sorted(os.listdir(scene.jobs)) == ids
    assert service.sweeps.counts(sweep.id) == {QUEUED: 5000}


def test_what_the_engine_does_not_take_is_refused_before_anything_is_written(scene: Scene, service: Service) -> None:
    with pytest.raises(InvalidInput, match="option 'no-such'"):
        service.sweeps.submit(asked(options={"no-such": 1}))
    assert os.listdir(scene.jobs) == []
    assert not scene.jobs.with_name("sweeps").exists()


def test_a_refused_sweep_leaves_nothing(scene: Scene, service: Service) -> None:
    scene.engine.refuses = True
    with pytest.raises(SubmitError, match="No machine for such a job"):
        service.sweeps.submit(asked())
    assert nothing_is_left(scene, service)


def nothing_is_left(scene: Scene, service: Service) -> bool:
    sweeps = scene.jobs.with_name("sweeps")
    left = os.listdir(scene.jobs) + (os.listdir(sweeps) if sweeps.exists() else [])
    return not left and service.find(Query()) == [] and service.overview(Query()) == []


@dataclass(frozen=True)
class Fails:
    """A source that cannot be copied."""

    error: BaseException

    def write_to(self, directory: Path) -> None:
        (directory / "half").write_text("half")
        raise self.error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(OSError(28, "No space left on device"), FolderError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_source_that_cannot_be_copied_leaves_nothing(
    scene: Scene, service: Service, error: BaseException, raised: type[BaseException]
) -> None:
    with pytest.raises(raised):
        service.sweeps.submit(asked(source=Fails(error)))
    assert nothing_is_left(scene, service)


def test_a_job_whose_folder_cannot_be_written_leaves_none_of_the_others(scene: Scene, service: Service) -> None:
    gone = Checkpoints(job_id="j", job_name="j", directory=scene.jobs / "gone")
    submission = asked()
    points = [*submission.points[:2], replace(submission.points[2], checkpoints=gone)]
    with pytest.raises(InvalidInput, match="has left no checkpoints"):
        service.sweeps.submit(replace(submission, points=points))
    assert nothing_is_left(scene, service)


class Full(Store):
    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        raise StoreError("The disk is full.")


class TakenOnce(Store):
    taken: str | None = None

    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        if self.taken is None:
            self.taken = sweep.id
            return False
        return super().insert_many(records, sweep)


def service_with(scene: Scene, store: type[Store], engine: MoodyEngine | None = None) -> Service:
    taker = engine or scene.engine
    scene.stores.append(store(scene.index, scene.jobs))
    return Service(store=scene.stores[-1], engine_of=lambda name: taker, jobs=scene.jobs, now=scene.clock)


def test_an_index_that_takes_nothing_leaves_nothing(scene: Scene, service: Service) -> None:
    with pytest.raises(StoreError, match="full"):
        service_with(scene, Full).sweeps.submit(asked())
    assert nothing_is_left(scene, service)


def test_ids_that_are_taken_are_given_up(scene: Scene) -> None:
    service = service_with(scene, TakenOnce)
    sweep = service.sweeps.submit(asked())
    assert isinstance(scene.stores[-1], TakenOnce)
    assert sweep.id != scene.stores[-1].taken
    assert os.listdir(scene.jobs.with_name("sweeps")) == [sweep.id]
    assert sorted(os.listdir(scene.jobs)) == service.sweeps.job_ids(sweep.id)
    assert play(scene, service, sweep.id) == {COMPLETED: 3}


def test_many_may_submit_at_the_same_moment(scene: Scene) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    found: list[SweepRecord] = []

    def submit() -> None:
        store = Store(scene.index, scene.jobs)
        service = Service(store=store, engine_of=scene.engine_of, jobs=scene.jobs, now=lambda: now)
        found.append(service.sweeps.submit(asked(20)))
        store.close()

    threads = [threading.Thread(target=submit) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service = scene.service()
    ids = [service.sweeps.job_ids(sweep.id) for sweep in found]
    assert [len(each) for each in ids] == [20] * 4
    assert len({job_id for each in ids for job_id in each}) == 80
    for sweep in found:
        assert [record.spec.name for record in service.sweeps.job_records(sweep.id)] == [
            f"h2-{n:02}" for n in range(20)
        ]


# An engine that is away, and one that is interrupted


def submit_while_away(scene: Scene, service: Service, points: int = 3) -> str:
    """Return a sweep that is on record and that no engine has."""
    scene.engine.away = True
    with pytest.raises(EngineUnavailable, match=r"Sweep \S+ is on record and will be handed over"):
        service.sweeps.submit(asked(points))
    scene.engine.away = False
    [sweep_id] = os.listdir(scene.jobs.with_name("sweeps"))
    return sweep_id


def test_a_sweep_is_handed_over_with_one_call_when_its_engine_is_there(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    scene.engine.away = True
    with pytest.warns(RuntimeWarning, match=f"sweep {sweep_id} is not handed over yet: The engine is away"):
        assert service.sweeps.counts(sweep_id) == {QUEUED: 3}
    scene.engine.away = False
    scene.engine.calls.clear()
    assert service.sweeps.counts(sweep_id) == {QUEUED: 3}
    assert scene.engine.calls.count("submit") == 1
    assert play(scene, service, sweep_id) == {COMPLETED: 3}
    assert logs_of(service, sweep_id) == ["0\n", "1\n", "2\n"]


def test_a_look_at_one_job_hands_over_that_one_and_the_others_follow(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    ids = service.sweeps.job_ids(sweep_id)
    assert service.record(ids[1]).ref == f"fake-{ids[1]}"
    assert play(scene, service, sweep_id) == {QUEUED: 2, COMPLETED: 1}
    assert play(scene, service, sweep_id) == {COMPLETED: 3}


def test_a_sweep_that_is_refused_late_has_failed(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    scene.engine.refuses = True
    assert service.sweeps.counts(sweep_id) == {FAILED: 3}
    assert {r.failure_reason for r in service.sweeps.job_records(sweep_id)} == {"No machine for such a job."}


def test_jobs_whose_sweeps_folder_went_before_they_were_handed_over_have_failed(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    shutil.rmtree(service.sweeps.folder(sweep_id).path)
    assert service.sweeps.counts(sweep_id) == {FAILED: 3}
    assert "folder was removed" in (service.sweeps.job_records(sweep_id)[0].failure_reason or "")
    service.sweeps.delete(sweep_id)
    assert nothing_is_left(scene, service)


def settled(service: Service, sweep_id: str) -> Counts:
    """Return how the jobs stand that have their marks: a look hands them over, one tells the engine, one sees it."""
    for _ in range(2):
        service.sweeps.counts(sweep_id)
    return service.sweeps.counts(sweep_id)


class Interrupted(MoodyEngine):
    taken = 0

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        super().submit(jobs[: self.taken])
        raise KeyboardInterrupt


@pytest.mark.parametrize("taken", [0, 2, 3])
def test_a_submit_that_was_interrupted_runs_nothing(scene: Scene, taken: int) -> None:
    engine = Interrupted(scene.clock)
    engine.taken = taken
    with pytest.raises(KeyboardInterrupt):
        service_with(scene, Store, engine).sweeps.submit(asked())
    service = service_with(scene, Store, scene.engine)
    [sweep_id] = os.listdir(scene.jobs.with_name("sweeps"))
    assert settled(service, sweep_id) == {CANCELLED: 3}
    assert [r.failure_reason for r in service.sweeps.job_records(sweep_id)] == [
        "The job was cancelled: The submit was interrupted."
    ] * 3
    assert not any(service.folder(each).log(0).exists() for each in service.sweeps.job_ids(sweep_id))


class InterruptedOnce(Staging):
    """A staging during which somebody presses Ctrl-C, when the first folders have got their names."""

    left = 2

    def promote(self, job_id: str) -> bool:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return super().promote(job_id)


def test_an_interruption_before_the_engine_heard_of_it_runs_nothing_either(scene: Scene) -> None:
    shared: dict[str, Any] = {
        "store": Store(scene.index, scene.jobs),
        "engine_of": scene.engine_of,
        "jobs": scene.jobs,
        "staging": InterruptedOnce(scene.jobs),
        "now": scene.clock,
    }
    scene.stores.append(shared["store"])
    with pytest.raises(KeyboardInterrupt):
        Sweeps(**shared, register=Register(**shared)).submit(asked())
    service = scene.service()
    [sweep_id] = os.listdir(scene.jobs.with_name("sweeps"))
    assert settled(service, sweep_id) == {CANCELLED: 3}
    assert not any(service.folder(each).log(0).exists() for each in service.sweeps.job_ids(sweep_id))


# A submitter that was killed


@dataclass(frozen=True)
class Killer:
    """A source whose writer is killed."""

    def write_to(self, directory: Path) -> None:
        (directory / "half").write_text("half")
        os._exit(9)


class KillsBeforeRows(Store):
    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        os._exit(9)


class KillsAfterRows(Store):
    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        super().insert_many(records, sweep)
        os._exit(9)


class KillsInTheMiddleOfRows(Store):
    def insert_many(self, records: Sequence[JobRecord], sweep: SweepRecord) -> bool:
        def dying() -> Any:
            yield records[0]
            os._exit(9)

        return super().insert_many(Dying(records, dying), sweep)


class Dying(list[JobRecord]):
    """Records of which only the first can be read to its end."""

    def __init__(self, records: Sequence[JobRecord], read: Callable[[], Any]) -> None:
        super().__init__(records)
        self.read, self.reads = read, 0

    def __iter__(self) -> Any:
        self.reads += 1
        return super().__iter__() if self.reads == 1 else self.read()


class KillsBeforeRefs(Store):
    def change_many(self, changes: Any, write: Any) -> set[str]:
        os._exit(9)


class KillsAfterRefs(Store):
    def change_many(self, changes: Any, write: Any) -> set[str]:
        super().change_many(changes, write)
        os._exit(9)


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


@pytest.mark.parametrize("store", [KillsBeforeRows, KillsInTheMiddleOfRows])
def test_a_submitter_killed_before_the_rows_leaves_no_sweep(scene: Scene, store: type[Store]) -> None:
    in_a_killed_process(lambda: service_with(scene, Store).sweeps.submit(asked(source=Killer())))
    in_a_killed_process(lambda: service_with(scene, store).sweeps.submit(asked()))
    service = scene.service()
    assert service.find(Query()) == []
    assert service.overview(Query()) == []
    service.reindex()
    left = [path for part in ("jobs", "sweeps") for path in scene.jobs.with_name(part).iterdir()]
    assert len([path for path in left if path.name.endswith(".staging")]) == 4  # it may be at work still
    for path in left:
        os.utime(path, (0, 0))
    assert service.reindex().jobs == 0
    assert nothing_is_left(scene, service)


@pytest.mark.parametrize("look", ["counts", "find", "reindex", "wait"])
@pytest.mark.parametrize("store", [KillsAfterRows, KillsBeforeRefs, KillsAfterRefs])
def test_a_submitter_killed_after_the_rows_leaves_a_sweep_that_runs(
    scene: Scene, store: type[Store], look: str
) -> None:
    in_a_killed_process(lambda: service_with(scene, store).sweeps.submit(asked()))
    service = scene.service()
    [sweep_id] = os.listdir(scene.jobs.with_name("sweeps"))
    forget_the_child_took_them(scene, service, sweep_id)
    if look == "find":
        assert len(service.find(Query())) == 3
    elif look == "reindex":
        assert service.reindex().jobs == 3
        forget_the_child_took_them(scene, service, sweep_id)
    elif look == "wait":
        with pytest.raises(ResultTimeout):
            service.sweeps.wait(sweep_id, 0)
    assert service.sweeps.counts(sweep_id) == {QUEUED: 3}
    assert play(scene, service, sweep_id) == {COMPLETED: 3}
    assert logs_of(service, sweep_id) == ["0\n", "1\n", "2\n"]
    assert sorted(os.listdir(scene.jobs)) == service.sweeps.job_ids(sweep_id)


def forget_the_child_took_them(scene: Scene, service: Service, sweep_id: str) -> None:
    """Have this process' engine know what the child's had in its memory."""
    ids = service.sweeps.job_ids(sweep_id)
    known = scene.stores[-1].get(ids)
    with_ref = [record for record in known.values() if record.ref is not None]
    scene.engine.submit([(service.folder(record.id), record.spec) for record in with_ref])


def test_a_submitter_killed_before_the_engine_has_the_jobs_is_settled_too(scene: Scene) -> None:
    in_a_killed_process(lambda: service_with(scene, Store, KillsBeforeTaking(scene.clock)).sweeps.submit(asked()))
    service = scene.service()
    [sweep_id] = os.listdir(scene.jobs.with_name("sweeps"))
    assert service.sweeps.counts(sweep_id) == {QUEUED: 3}
    assert play(scene, service, sweep_id) == {COMPLETED: 3}


def test_jobs_that_the_engine_took_before_the_kill_are_not_taken_twice(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    folders = [service.folder(each) for each in service.sweeps.job_ids(sweep_id)]
    scene.engine.submit([(folder, folder.read_spec()) for folder in folders[:2]])
    scene.engine.step()
    scene.engine.step()
    assert service.sweeps.counts(sweep_id)[COMPLETED] == 1
    assert play(scene, service, sweep_id) == {COMPLETED: 3}
    assert logs_of(service, sweep_id) == ["0\n", "1\n", "2\n"]


def test_only_one_hands_a_sweep_over(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    scene.engine.calls.clear()
    with service.sweeps.folder(sweep_id).submitting() as mine:
        assert mine
        assert scene.service().sweeps.counts(sweep_id) == {QUEUED: 3}
    assert scene.engine.calls.count("submit") == 0
    assert service.sweeps.counts(sweep_id) == {QUEUED: 3}
    assert scene.engine.calls.count("submit") == 1


# Waiting


def test_wait_looks_once_when_there_is_no_time(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked())
    with pytest.raises(ResultTimeout, match="h2: after 0 seconds 3 of 3 jobs have not ended; they go on"):
        service.sweeps.wait(sweep.id, 0)
    play(scene, service, sweep.id)
    assert service.sweeps.wait(sweep.id, 0) == {COMPLETED: 3}
    assert service.sweeps.wait(sweep.id) == {COMPLETED: 3}


def test_wait_tells_how_the_sweep_stands_until_all_have_ended(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(4))
    told: list[Counts] = []

    def go_on(counts: Counts) -> None:
        told.append(counts)
        for _ in range(4):
            scene.engine.step()
        for job_id in service.sweeps.job_ids(sweep.id):
            if service.folder(job_id).outcome.exists():
                service.sweeps.folder(sweep.id).tell_ended(job_id)

    assert service.sweeps.wait(sweep.id, 20, go_on) == {COMPLETED: 4}
    assert told == [{QUEUED: 4}, {QUEUED: 2, COMPLETED: 2}, {COMPLETED: 4}]


def test_wait_sees_an_end_that_nobody_has_told(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(2, "sleep"))
    scene.engine.step()
    ids = service.sweeps.job_ids(sweep.id)

    def lose(counts: Counts) -> None:
        for job_id in ids:
            scene.engine.says[f"fake-{job_id}"] = Observation(presence=Presence.GONE, message="its machine is down")

    assert service.sweeps.wait(sweep.id, 20, lose) == {FAILED: 2}


def test_wait_goes_on_without_the_sweeps_folder(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(2))
    shutil.rmtree(service.sweeps.folder(sweep.id).path)

    def go_on(counts: Counts) -> None:
        scene.engine.step()

    assert service.sweeps.wait(sweep.id, 20, go_on) == {COMPLETED: 2}


def test_nobody_waits_for_a_sweep_that_was_removed(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(2))
    service.sweeps.cancel(sweep.id)
    service.sweeps.delete(sweep.id)
    for use in (service.sweeps.wait, service.sweeps.counts, service.sweeps.record, service.sweeps.delete):
        with pytest.raises(JobNotFound, match=f"sweep {sweep.id} was removed"):
            use(sweep.id)


# Ending


def test_cancel_ends_what_has_not_ended(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(4))
    play(scene, service, sweep.id, 3)
    assert service.sweeps.counts(sweep.id) == {COMPLETED: 1, RUNNING: 1, QUEUED: 2}
    assert service.sweeps.cancel(sweep.id, "enough") == {COMPLETED: 1, CANCELLED: 3}
    records = service.sweeps.job_records(sweep.id)
    assert [record.failure_reason for record in records] == [None, *["The job was cancelled: enough."] * 3]
    assert scene.engine.calls.count("cancel") == 1
    with pytest.raises(JobStateError, match=f"sweep h2 \\({sweep.id}\\): all of its jobs have ended"):
        service.sweeps.cancel(sweep.id)


def test_cancel_is_harmless_to_repeat_while_jobs_are_at_their_end(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(3, "sleep"))
    play(scene, service, sweep.id, 1)
    scene.engine.slow = True
    first = service.sweeps.cancel(sweep.id, "first")
    assert first == service.sweeps.cancel(sweep.id, "second")
    assert set(first) == {JobStatus.CANCELLING}
    scene.engine.slow = False
    service.sweeps.counts(sweep.id)
    assert service.sweeps.counts(sweep.id) == {CANCELLED: 3}
    assert {r.failure_reason for r in service.sweeps.job_records(sweep.id)} == {"The job was cancelled: first."}


def test_a_sweep_that_no_engine_has_yet_can_be_cancelled(scene: Scene, service: Service) -> None:
    sweep_id = submit_while_away(scene, service)
    service.sweeps.cancel(sweep_id)
    assert service.sweeps.counts(sweep_id) == {CANCELLED: 3}
    assert not any(service.folder(each).log(0).exists() for each in service.sweeps.job_ids(sweep_id))


def test_a_cancellation_reaches_an_engine_that_was_away(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked(3, "sleep"))
    play(scene, service, sweep.id, 1)
    scene.engine.away = True
    with pytest.raises(EngineUnavailable), pytest.warns(RuntimeWarning, match="has no news"):
        service.sweeps.cancel(sweep.id)
    scene.engine.away = False
    service.sweeps.counts(sweep.id)
    assert service.sweeps.counts(sweep.id) == {CANCELLED: 3}


def test_a_sweep_is_removed_when_all_of_it_has_ended(scene: Scene, service: Service) -> None:
    other = scene.submitted(service)
    sweep = service.sweeps.submit(asked())
    play(scene, service, sweep.id, 4)
    with pytest.raises(JobStateError, match="2 of its jobs have not ended; cancel it first"):
        service.sweeps.delete(sweep.id)
    assert len(service.sweeps.job_ids(sweep.id)) == 3
    play(scene, service, sweep.id)
    service.sweeps.delete(sweep.id)
    assert [record.id for record in service.find(Query())] == [other.id]
    assert os.listdir(scene.jobs) == [other.id]
    assert os.listdir(scene.jobs.with_name("sweeps")) == []


def test_a_removal_that_was_cut_short_can_be_repeated(scene: Scene, service: Service) -> None:
    class KillsBeforeDelete(Store):
        def delete_sweep(self, sweep_id: str) -> None:
            os._exit(9)

    sweep = service.sweeps.submit(asked())
    play(scene, service, sweep.id)
    in_a_killed_process(lambda: service_with(scene, KillsBeforeDelete).sweeps.delete(sweep.id))
    assert service.sweeps.counts(sweep.id) == {COMPLETED: 3}
    service.sweeps.delete(sweep.id)
    assert nothing_is_left(scene, service)


def test_a_sweep_goes_with_its_last_job(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked())
    play(scene, service, sweep.id)
    first, second, third = service.sweeps.job_ids(sweep.id)
    for each in (first, third):
        service.delete(each)
    assert service.sweeps.job_ids(sweep.id) == [second]
    assert service.sweeps.counts(sweep.id) == {COMPLETED: 1}
    service.sweeps.forget_empty(sweep.id)
    assert service.sweeps.record(sweep.id) == sweep
    service.delete(second)
    assert nothing_is_left(scene, service)
    service.sweeps.forget_empty(sweep.id)


# The index


def test_a_new_index_knows_the_sweeps(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked())
    play(scene, service, sweep.id, 3)
    before = service.sweeps.job_records(sweep.id), service.sweeps.record(sweep.id)
    for store in scene.stores:
        store.close()
    for path in scene.index.parent.glob("index.db*"):
        path.unlink()
    service = scene.service()
    assert service.reindex().problems == ()
    assert (service.sweeps.job_records(sweep.id), service.sweeps.record(sweep.id)) == before
    assert play(scene, service, sweep.id) == {COMPLETED: 3}


def test_what_a_damaged_sweep_shares_is_kept(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked())
    folder = service.sweeps.folder(sweep.id)
    folder.record.write_text("{")
    os.utime(folder.path, (0, 0))
    [problem] = service.reindex().problems
    assert "sweep.json" in problem
    assert folder.source.exists()
    assert replace(service.sweeps.record(sweep.id), created_at=sweep.created_at) == replace(sweep, varied=())
    assert play(scene, service, sweep.id) == {COMPLETED: 3}


def test_a_sweep_that_lives_is_not_taken_for_abandoned(scene: Scene, service: Service) -> None:
    sweep = service.sweeps.submit(asked())
    os.utime(service.sweeps.folder(sweep.id).path, (0, 0))
    service.sweeps.discard_abandoned()
    assert service.sweeps.folder(sweep.id).read() == sweep


# Selecting


def test_a_sweep_is_meant_by_its_id_its_name_or_the_beginning_of_its_id(scene: Scene, service: Service) -> None:
    old, new = service.sweeps.submit(asked()), service.sweeps.submit(asked())
    other = service.sweeps.submit(asked(name="other"))
    assert service.sweeps.resolve(old.id) == service.sweeps.means(old.id) == old.id
    assert service.sweeps.resolve("h2") == service.sweeps.means("h2") == new.id
    assert service.sweeps.resolve("other") == other.id
    assert service.sweeps.resolve(other.id[:13]) == service.sweeps.means(other.id[:13]) == other.id
    for selector in ("", "no-such", "h2-0", service.sweeps.job_ids(old.id)[0], old.id[0], "ü", "%", "\x7f"):
        with pytest.raises(JobNotFound):
            service.sweeps.resolve(selector)
        assert service.sweeps.means(selector) is None


def test_of_a_name_that_a_job_has_as_well_the_newer_is_meant(scene: Scene, service: Service) -> None:
    scene.submitted(service, name="x")
    sweep = service.sweeps.submit(asked(name="x"))
    assert service.sweeps.means("x") == sweep.id
    scene.submitted(service, name="x")
    assert service.sweeps.means("x") is None
    assert service.sweeps.resolve("x") == sweep.id


def test_a_name_that_looks_like_the_beginning_of_an_id_is_a_name(scene: Scene, service: Service) -> None:
    job = scene.submitted(service)
    sweep = service.sweeps.submit(asked(name=job.id[:5]))
    assert service.sweeps.means(job.id[:5]) == sweep.id
    assert service.sweeps.means(job.id) is None


def test_the_beginning_of_the_ids_of_a_sweep_and_a_job_means_neither(scene: Scene, service: Service) -> None:
    scene.submitted(service)
    sweep = service.sweeps.submit(asked())
    assert service.sweeps.means(sweep.id[:4]) is None


def test_a_sweep_is_no_job(service: Service) -> None:
    sweep = service.sweeps.submit(asked(2))
    for selector in (sweep.id, sweep.name):
        with pytest.raises(
            JobNotFound, match=f"'{selector}' is a sweep, and one job is wanted: 'qjob ls --sweep {selector}'"
        ):
            service.resolve(selector)
