"""For people who add an engine: the contract that every engine keeps, and an engine without a machine.

Subclass `EngineContract` in a test module, say how the engine is made, and pytest runs the contract. Nothing
here needs pytest itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from qjob.engine import Engine, Fact, Observation, Presence
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.event import JobEvent
from qjob.model.naming import job_id
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec, SweepPoint
from qjob.model.status import EventType, JobStatus
from qjob.model.sweep import SweepRecord
from qjob.sweep_folder import sweep_folder

SCRIPT = """\
import json, os, sys, time

order = json.load(open(os.environ["AMZN_BRAKET_HP_FILE"]))
print(order["say"], flush=True)
if order["do"] == "fail":
    sys.exit("told to fail")
if order["do"] == "sleep":
    time.sleep(600)
with open(os.path.join(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], "done"), "w") as file:
    file.write("done")
"""
"""The job of the contract: it does what its hyperparameter ``do`` says: ``finish``, ``fail`` or ``sleep``."""


class FakeEngine:
    """An engine that plays the contract's jobs in memory: no process, no clock, one job at a time.

    A job waits until `step` starts it, and runs until `step` ends it as its hyperparameter ``do`` says. For
    tests of everything above the seam; a test may also put words into its mouth through `says`.
    """

    name = "fake"

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._jobs: dict[str, _Played] = {}
        self.says: dict[str, Observation] = {}
        self.calls: list[str] = []

    def check(self, spec: JobSpec) -> list[str]:
        """Refuse every option: this engine has no words of its own."""
        return [f"option {name!r}: the fake engine knows none; leave it out." for name in spec.options]

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Put the jobs behind the others; once, however often it is called."""
        self.calls.append("submit")
        for folder, spec in jobs:
            self._jobs.setdefault(f"fake-{folder.id}", _Played(folder=folder, spec=spec))
        return [f"fake-{folder.id}" for folder, _ in jobs]

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is, or what the test said that this engine shall say."""
        self.calls.append("observe")
        waiting = (ref for ref, job in self._jobs.items() if job.presence is Presence.WAITING)
        places = {ref: place for place, ref in enumerate(waiting, start=1)}
        return {ref: self.says.get(ref) or self._observation(ref, places.get(ref)) for ref in refs}

    def cancel(self, refs: Sequence[str]) -> None:
        """End the jobs at once."""
        self.calls.append("cancel")
        for job in filter(None, map(self._jobs.get, refs)):
            if job.presence is not Presence.GONE:
                started = job.presence is Presence.RUNNING
                self._end(job, JobStatus.CANCELLED, "", -15 if started else None)

    def describe(self) -> list[Fact]:
        """Say that there is one machine."""
        return [Fact("machine", "one, which runs one job at a time")]

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Do nothing: the folder is where the job writes."""

    def step(self) -> None:
        """Let the first job that has not ended take its next step: start, or do what it was told."""
        for job in self._jobs.values():
            if job.presence is Presence.WAITING:
                self._start(job)
                return
            if job.presence is Presence.RUNNING:
                self._play(job)
                return

    def vanish(self, ref: str) -> None:
        """Let the job disappear without an outcome, as when its machine is lost."""
        self._jobs[ref].presence = Presence.GONE

    def _observation(self, ref: str, position: int | None) -> Observation:
        if ref not in self._jobs:
            return Observation(presence=Presence.GONE, message="it was never submitted")
        message = "its turn" if position else ""
        return Observation(presence=self._jobs[ref].presence, position=position, message=message)

    def _start(self, job: _Played) -> None:
        job.presence = Presence.RUNNING
        job.folder.logs.mkdir(exist_ok=True)
        for kind in (EventType.STARTING_INSTANCE, EventType.RUNNING):
            job.folder.append_event(JobEvent(type=kind, time=self._now()))
        for instance in range(job.spec.instance_count):
            job.folder.log(instance).write_text(job.spec.hyperparameters["say"] + "\n")

    def _play(self, job: _Played) -> None:
        order = job.spec.hyperparameters["do"]
        if order == "fail":
            self._end(job, JobStatus.FAILED, "AlgorithmError: SystemExit: told to fail, exit code: 1", 1)
        elif order == "finish":
            job.folder.results.mkdir(exist_ok=True)
            (job.folder.results / "done").write_text("done")
            self._end(job, JobStatus.COMPLETED, "", 0)

    def _end(self, job: _Played, status: JobStatus, reason: str, exit_code: int | None) -> None:
        codes = (exit_code,) * job.spec.instance_count
        job.folder.write_outcome(Outcome(status=status, ended_at=self._now(), reason=reason or None, exit_codes=codes))
        job.presence = Presence.GONE  # after the outcome: gone without one is a job that vanished


@dataclass(kw_only=True)
class _Played:
    folder: JobFolder
    spec: JobSpec
    presence: Presence = Presence.WAITING


class _Payload(Protocol):
    def write_to(self, directory: Path) -> None: ...


@dataclass(frozen=True)
class ScriptSource:
    """A source that is one script, from its text."""

    text: str = SCRIPT
    name: str = "job.py"

    def write_to(self, directory: Path) -> None:
        """Write the script."""
        (directory / self.name).write_text(self.text)


def make_spec(do: str = "finish", *, say: str = "hello", engine: str = "local", **fields: Any) -> JobSpec:
    """Return the spec of a job of the contract; ``fields`` are those of `JobSpec`."""
    spec = JobSpec(
        name=f"contract-{do}",
        entry_point="job",
        source_name="job.py",
        source_uri="file:///job.py",
        engine=engine,
        hyperparameters={"do": do, "say": say},
        python=sys.executable,
        grace_s=1.0,
    )
    return replace(spec, **fields)


def make_folder(jobs: Path, spec: JobSpec, source: _Payload | None = None) -> JobFolder:
    """Return a job's folder as the service leaves it for an engine, with the environment of a plain shell."""
    now = datetime.now(UTC)
    folder = JobFolder(jobs / _new_id())
    for directory in (folder.source, folder.logs, folder.results, folder.checkpoints):
        directory.mkdir(parents=True)
    (source or ScriptSource()).write_to(folder.source)
    folder.write_hyperparameters(spec.hyperparameters)
    folder.write_environment({"PATH": "/usr/bin:/bin"})
    folder.write_spec(spec)
    folder.write_record(JobRecord(id=folder.id, spec=spec, created_at=now))
    return folder


def make_sweep_folders(jobs: Path, spec: JobSpec, points: int, concurrency: int | None = None) -> list[JobFolder]:
    """Return the folders of the jobs of a sweep as the service leaves them for an engine: the source is the sweep's."""
    sweep = SweepRecord(
        id=_new_id(), name=spec.name, created_at=datetime.now(UTC), points=points, concurrency=concurrency
    )
    shared = sweep_folder(jobs, sweep.id)
    for directory in (shared.source, shared.ended):
        directory.mkdir(parents=True)
    ScriptSource().write_to(shared.source)
    shared.write(sweep)
    return [_make_point_folder(jobs, spec, sweep, number) for number in range(points)]


def _make_point_folder(jobs: Path, spec: JobSpec, sweep: SweepRecord, number: int) -> JobFolder:
    point = SweepPoint(sweep=sweep.id, number=number, concurrency=sweep.concurrency)
    own = replace(spec, name=f"{spec.name}-{number}", sweep_point=point)
    folder = JobFolder(jobs / _new_id())
    folder.path.mkdir(parents=True)
    folder.write_environment({"PATH": "/usr/bin:/bin"})
    folder.write_new(JobRecord(id=folder.id, spec=own, created_at=sweep.created_at), folder.path)
    return folder


def _new_id() -> str:
    return job_id(time.time_ns() // 1000, time.monotonic_ns())


class EngineContract:
    """What every engine keeps. A subclass defines `make_engine` and, where time must be helped on, `help_on`."""

    deadline_s = 60.0

    def make_engine(self, directory: Path) -> Engine:
        """Return a new engine that keeps its state below ``directory``; the jobs are in ``directory/jobs``."""
        raise NotImplementedError

    def help_on(self, engine: Engine) -> None:
        """Called over and over while a test waits; an engine with a life of its own needs none."""
        time.sleep(0.01)

    def test_it_has_a_name(self, tmp_path: Path) -> None:
        name = self.make_engine(tmp_path).name
        assert name.isidentifier()
        assert name == name.lower()

    def test_it_takes_a_plain_job_and_refuses_unknown_options(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        assert engine.check(make_spec(engine=engine.name)) == []
        problems = engine.check(make_spec(engine=engine.name, options={"no-such": 1, "nor-such": 2}))
        assert len(problems) == 2
        assert "no-such" in problems[0]

    def test_a_job_runs_to_its_end(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "finish", say="hello")
        outcome = self._outcome(engine, folder, ref)
        assert (outcome.status, outcome.exit_codes) == (JobStatus.COMPLETED, (0,))
        assert folder.log(0).read_text() == "hello\n"
        assert (folder.results / "done").read_text() == "done"
        kinds = [event.type for event in folder.read_events()]
        assert kinds == [EventType.STARTING_INSTANCE, EventType.RUNNING]

    def test_a_failure_is_told(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "fail")
        outcome = self._outcome(engine, folder, ref)
        assert (outcome.status, outcome.exit_codes) == (JobStatus.FAILED, (1,))
        assert outcome.reason is not None
        assert "told to fail" in outcome.reason

    def test_several_instances_each_have_a_log(self, tmp_path: Path) -> None:
        spec_fields = {"instance_config": InstanceConfig(instanceCount=2)}
        engine, folder, ref = self._submitted(tmp_path, "finish", **spec_fields)
        assert self._outcome(engine, folder, ref).exit_codes == (0, 0)
        assert folder.instances() == [0, 1]

    def test_submit_is_harmless_to_repeat(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "finish", say="once")
        assert engine.submit([(folder, folder.read_spec())]) == [ref]
        self._outcome(engine, folder, ref)
        assert folder.log(0).read_text() == "once\n"

    def test_observe_answers_for_many_at_once(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        refs = [self._submit(engine, tmp_path, "sleep")[1] for _ in range(3)]
        seen = engine.observe(refs)
        assert list(seen) == refs
        assert {observation.presence for observation in seen.values()} <= {Presence.WAITING, Presence.RUNNING}
        assert engine.observe([]) == {}
        engine.cancel(refs)

    def test_a_job_that_runs_is_seen_to_run_and_then_gone(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "sleep")
        self._until(engine, lambda: folder.log(0).exists() and folder.log(0).read_bytes())
        assert engine.observe([ref])[ref].presence is Presence.RUNNING
        self._cancel(engine, folder, ref)
        self._until(engine, lambda: engine.observe([ref])[ref].presence is Presence.GONE)

    def test_cancel_ends_a_job_and_is_harmless_to_repeat(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "sleep")
        self._until(engine, lambda: folder.log(0).exists() and folder.log(0).read_bytes())
        self._cancel(engine, folder, ref)
        engine.cancel([ref])
        assert self._outcome(engine, folder, ref).status is JobStatus.CANCELLED
        engine.cancel([ref])
        assert not (folder.results / "done").exists()

    def test_a_cancelled_job_never_starts(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        spec = make_spec("finish", engine=engine.name)
        folder = make_folder(tmp_path / "jobs", spec)
        folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
        (ref,) = engine.submit([(folder, spec)])
        engine.cancel([ref])
        self._until(engine, lambda: engine.observe([ref])[ref].presence is Presence.GONE)
        assert not (folder.results / "done").exists()

    def test_a_ref_that_it_never_gave_is_gone(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "finish")
        stranger = ref.replace(folder.id, "0" * len(folder.id))
        assert engine.observe([stranger])[stranger].presence is Presence.GONE
        engine.cancel([stranger])
        self._outcome(engine, folder, ref)

    def test_the_jobs_of_a_sweep_are_taken_with_one_call_that_is_harmless_to_repeat(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine=engine.name, say="once"), points=5)
        jobs = [(folder, folder.read_spec()) for folder in folders]
        first = engine.submit(jobs[:2])  # by a submitter that was killed half-way
        refs = engine.submit(jobs)
        assert refs[:2] == first
        assert len(set(refs)) == len(jobs)
        assert engine.submit(jobs) == refs
        for folder, ref in zip(folders, refs, strict=True):
            assert self._outcome(engine, folder, ref).status is JobStatus.COMPLETED
        assert engine.submit(jobs) == refs
        self._until(engine, lambda: {each.presence for each in engine.observe(refs).values()} == {Presence.GONE})
        assert [folder.log(0).read_text() for folder in folders] == ["once\n"] * len(jobs)

    def test_no_more_jobs_of_a_sweep_run_at_a_time_than_it_allows(self, tmp_path: Path) -> None:
        engine = self.make_engine(tmp_path)
        folders = make_sweep_folders(tmp_path / "jobs", make_spec(engine=engine.name), points=4, concurrency=1)
        refs = engine.submit([(folder, folder.read_spec()) for folder in folders])
        ends = [self._outcome(engine, folder, ref).ended_at for folder, ref in zip(folders, refs, strict=True)]
        starts = [folder.read_events()[0].time for folder in folders]
        spans = sorted(zip(starts, ends, strict=True))
        assert all(end <= start for (_, end), (start, _) in pairwise(spans)), spans

    def test_it_says_what_it_offers(self, tmp_path: Path) -> None:
        facts = self.make_engine(tmp_path).describe()
        assert facts
        assert all(fact.what and fact.text and fact.well for fact in facts)

    def test_sync_makes_the_folder_true(self, tmp_path: Path) -> None:
        engine, folder, ref = self._submitted(tmp_path, "finish", say="synced")
        self._outcome(engine, folder, ref)
        engine.sync(ref, folder)
        engine.sync(ref, folder)
        assert folder.log(0).read_text() == "synced\n"

    def _submitted(self, directory: Path, do: str, **fields: Any) -> tuple[Engine, JobFolder, str]:
        engine = self.make_engine(directory)
        return (engine, *self._submit(engine, directory, do, **fields))

    def _submit(self, engine: Engine, directory: Path, do: str, **fields: Any) -> tuple[JobFolder, str]:
        spec = make_spec(do, engine=engine.name, **fields)
        folder = make_folder(directory / "jobs", spec)
        return folder, engine.submit([(folder, spec)])[0]

    def _cancel(self, engine: Engine, folder: JobFolder, ref: str) -> None:
        folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
        engine.cancel([ref])

    def _outcome(self, engine: Engine, folder: JobFolder, ref: str) -> Outcome:
        def look() -> Outcome | None:
            engine.sync(ref, folder)
            return folder.read_outcome()

        found = self._until(engine, look)
        assert isinstance(found, Outcome)
        return found

    def _until(self, engine: Engine, look: Callable[[], object]) -> object:
        deadline = time.monotonic() + self.deadline_s
        while not (found := look()):
            assert time.monotonic() < deadline, "the engine took too long"
            self.help_on(engine)
        return found
