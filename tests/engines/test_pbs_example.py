"""examples/pbs_engine: an engine that a package brings keeps the contract too, against a PBS in miniature."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fake_pbs import FakePbs
from living import processes_naming, wait_until
from qjob.app import EngineCatalogue
from qjob.config import Settings
from qjob.engine import Engine, Observation, Presence
from qjob.errors import EngineUnavailable, SubmitError
from qjob.folder import CancelMark, JobFolder
from qjob.model.config import InstanceConfig
from qjob.model.spec import JobSpec
from qjob.model.status import JobStatus
from qjob.testing import EngineContract, make_folder, make_spec, make_sweep_folders

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pbs_engine"
MODULE = EXAMPLE / "qjob_pbs.py"
CODE_LINES = 110


def _loaded() -> Any:
    spec = importlib.util.spec_from_file_location("qjob_pbs_of_the_example", MODULE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


qjob_pbs = _loaded()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a nasty name."""
    path = tmp_path / 'a\'; echo "foo" ü'
    path.mkdir()
    return path


@pytest.fixture
def pbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePbs]:
    """A PBS of this test's own, first on the PATH; its jobs end with the test."""
    made = FakePbs(tmp_path)
    made.install()
    monkeypatch.setenv("PATH", f"{made.bin}{os.pathsep}{os.environ['PATH']}")
    yield made
    wait_until(lambda: not _killed(str(tmp_path)))


def _killed(text: str) -> list[int]:
    """Kill what names a text, and return it: a process that waited for one of these may start another."""
    found = [pid for pid in processes_naming(text) if pid != os.getpid()]
    for pid in found:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            continue
    return found


def make_engine(place: Path, **options: Any) -> Any:
    return qjob_pbs.PbsEngine(place / "pbs-state", place / "jobs", place / "runners", options)


@pytest.mark.live
@pytest.mark.usefixtures("pbs")
class TestPbsEngine(EngineContract):
    @pytest.fixture
    def tmp_path(self, place: Path) -> Path:
        return place

    def make_engine(self, directory: Path) -> Engine:
        engine: Engine = make_engine(directory)
        return engine


# ---------------------------------------------------------------- the text functions


def test_the_batch_script_survives_a_nasty_path(place: Path) -> None:
    script = qjob_pbs.batch_script(JobFolder(place / "jobs" / "id"), place / "runners" / "0123")
    assert [shlex.split(line, comments=True) for line in script.splitlines()] == [
        [],
        ["exec", f">>{place}/jobs/id/runner.log", "2>&1"],
        ["export", f"PYTHONPATH={place}/runners/0123"],
        ["exec", sys.executable, "-P", "-m", "qjob.runner", f"{place}/jobs/id"],
    ]
    assert script.startswith("#!/bin/sh\n")
    subprocess.run(["/bin/sh", "-n"], input=script.encode(), check=True)


@pytest.mark.parametrize(
    ("options", "own", "after", "words"),
    [
        ({}, {}, None, ["-lselect=1:ncpus=2"]),
        ({}, {}, "12.pbs", ["-W", "depend=afterany:12.pbs", "-lselect=1:ncpus=2"]),
        ({"queue": "long"}, {"walltime": "1:00:00"}, None, ["-lselect=1:ncpus=2", "-qlong", "-lwalltime=1:00:00"]),
        ({"queue": "long"}, {"queue": "short"}, None, ["-lselect=1:ncpus=2", "-qshort"]),
        ({}, {"select": "1:ncpus=8:mem=4gb", "account": "chem"}, None, ["-lselect=1:ncpus=8:mem=4gb", "-Achem"]),
        ({}, {"walltime": 3600}, None, ["-lselect=1:ncpus=2", "-lwalltime=3600"]),
    ],
)
def test_a_job_s_options_go_before_the_settings(
    options: dict[str, Any], own: dict[str, Any], after: str | None, words: list[str]
) -> None:
    spec = make_spec(engine="pbs", options=own, instance_config=InstanceConfig(instanceCount=2))
    command = qjob_pbs.qsub_command("1k0w965g5r0sc7b", spec, options, after)
    assert command[:3] == ["qsub", "-N", "1k0w965g5r0sc7b"]
    assert command[11:] == words


TOLD = """\
Job Id: 74163.mycluster
    Job_Name = 1k0w965g5r0sc7b
    Job_Owner = me@mycluster.cluster
    resources_used.walltime = 10:45:13
    job_state = R
    depend = beforeany:74164.mycluster@mycluster.cluster
    Variable_List = PBS_O_HOME=/home/me,
\tPBS_O_PATH=/bin,A=    job_state = F
    Submit_arguments = job.sh

Job Id: 74164.mycluster
    Job_Name = 1k0w965g5r0sc7c
    job_state = H
    depend = afterany:74163.mycluster@mycluster.cluster,
\tbeforeany:74165.mycluster@mycluster.cluster

"""
"""As PBS Pro prints it: attributes after four blanks, long lines folded with a tab."""


def test_what_qstat_prints_is_read() -> None:
    first, second = qjob_pbs.parse(TOLD)
    assert (first["number"], first["Job_Name"], first["job_state"]) == ("74163.mycluster", "1k0w965g5r0sc7b", "R")
    assert first["resources_used.walltime"] == "10:45:13"
    assert first["Variable_List"] == "PBS_O_HOME=/home/me,PBS_O_PATH=/bin,A=    job_state = F"
    assert second["depend"].startswith("afterany:74163.mycluster@mycluster.cluster,beforeany:")
    assert qjob_pbs.parse("") == []


def told(*jobs: str) -> str:
    """Return what qstat prints of jobs like ``12 a R`` or ``13 b H 12``: number, name, state, whom it waits for."""
    return "".join(_told_job(*job.split()) for job in jobs)


def _told_job(number: str, name: str, state: str, after: str = "") -> str:
    depend = f"    depend = afterany:{after}.pbs@pbs\n" if after else ""
    return f"Job Id: {number}.pbs\n    Job_Name = {name}\n    job_state = {state}\n{depend}\n"


@pytest.mark.parametrize(
    ("jobs", "number"),
    [
        (["1 a F", "2 a F"], "2.pbs"),
        (["1 a F", "2 a R"], "2.pbs"),
        (["1 a R", "2 a F"], "1.pbs"),
        (["1 a R", "2 b R"], "1.pbs"),
    ],
)
def test_of_two_jobs_with_one_name_the_one_that_has_not_ended_counts(jobs: list[str], number: str) -> None:
    assert qjob_pbs.by_name(told(*jobs))["a"]["number"] == number


CHAIN = ["1 a R", "2 b H 1", "3 c H 2", "4 d H 3"]


@pytest.mark.parametrize(
    ("jobs", "names", "numbers"),
    [
        (CHAIN, "a", [1]),
        (CHAIN, "d", [4]),
        (CHAIN, "cd", [4, 3]),
        (CHAIN, "abcd", [4, 3, 2, 1]),
        (CHAIN, "b", []),
        (CHAIN, "bd", [4]),
        (CHAIN, "abd", [4, 1]),
        (["1 a Q", "2 b H 1"], "a", []),
        (["1 a Q", "2 b H 1"], "ab", [2, 1]),
        (["1 a R", "2 b Q"], "ab", [2, 1]),
        (["1 a Q", "2 b R"], "ab", [1, 2]),
        (["1 a F", "2 b E", "3 c F"], "abc", [2]),
        (["1 a R", "2 other H 1"], "a", [1]),
        (["1 a Q", "2 other H 1"], "a", []),
        (["1 a M"], "a", []),
        ([], "a", []),
    ],
)
def test_only_what_nobody_waits_for_is_deleted_and_what_waits_first(
    jobs: list[str], names: str, numbers: list[int]
) -> None:
    assert qjob_pbs.deletable(told(*jobs), names) == [f"{number}.pbs" for number in numbers]


@pytest.mark.parametrize(
    ("job", "seen"),
    [
        ({"job_state": "Q"}, Observation(presence=Presence.WAITING, message="its turn (PBS: Q)")),
        (
            {"job_state": "Q", "comment": "Not Running: Insufficient amount of resource: ncpus"},
            Observation(
                presence=Presence.WAITING,
                message="its turn (PBS: Not Running: Insufficient amount of resource: ncpus)",
            ),
        ),
        (
            {"job_state": "H"},
            Observation(presence=Presence.WAITING, message="another job of its sweep to end (PBS: H)"),
        ),
        ({"job_state": "R"}, Observation(presence=Presence.RUNNING)),
        ({"job_state": "E"}, Observation(presence=Presence.RUNNING)),
        ({"job_state": "S"}, Observation(presence=Presence.RUNNING)),
        (
            {"job_state": "F", "Exit_status": "271"},
            Observation(presence=Presence.GONE, message="PBS ended it with exit status 271", certain=False),
        ),
        (
            {"job_state": "F"},
            Observation(presence=Presence.GONE, message="PBS ended it with exit status unknown", certain=False),
        ),
        ({"job_state": "M"}, Observation(presence=Presence.UNKNOWN)),
        (None, Observation(presence=Presence.GONE, message="PBS does not know it", certain=False)),
    ],
)
def test_every_state_is_an_observation(job: dict[str, str] | None, seen: Observation) -> None:
    assert qjob_pbs.observation_of(job) == seen


# ---------------------------------------------------------------- what it takes


def test_it_refuses_what_it_cannot_keep(place: Path) -> None:
    spec = make_spec(engine="pbs", device="arn:aws:braket:us-east-1::device/qpu/ionq/Aria-1", priority=3)
    problems = make_engine(place, colour="red").check(replace(spec, options={"queue": "long", "nodes": 3}))
    assert [problem.split(":")[0] for problem in problems] == [
        "option 'colour'",
        "option 'nodes'",
        "priority=3",
        "device 'arn",
    ]


def test_it_says_whether_pbs_keeps_its_history(place: Path, pbs: FakePbs) -> None:
    assert [fact.well for fact in make_engine(place).describe()] == [True, True]
    pbs.set_forgetful(True)
    history = make_engine(place).describe()[-1]
    assert not history.well
    assert "job_history_enable" in history.text


def test_without_pbs_it_is_away(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place))  # what is tested is that nothing is on it
    with pytest.raises(EngineUnavailable, match="login node"):
        make_engine(place).describe()


# ---------------------------------------------------------------- submitting, against a PBS in miniature


def _job(place: Path, do: str = "finish", **fields: Any) -> tuple[JobFolder, JobSpec]:
    folder = make_folder(place / "jobs", make_spec(do, engine="pbs", **fields))
    return folder, folder.read_spec()


def _sweep(place: Path, points: int, do: str = "finish") -> list[tuple[JobFolder, JobSpec]]:
    """Return the jobs of a sweep of which one may run at a time."""
    folders = make_sweep_folders(place / "jobs", make_spec(do, engine="pbs"), points, concurrency=1)
    return [(folder, folder.read_spec()) for folder in folders]


def _until_all_ended(jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[JobStatus]:
    wait_until(lambda: all(folder.outcome.exists() for folder, _ in jobs))
    outcomes = [folder.read_outcome() for folder, _ in jobs]
    return [outcome.status for outcome in outcomes if outcome is not None]


@pytest.mark.live
def test_a_submitter_that_was_killed_is_settled_by_the_name(place: Path, pbs: FakePbs) -> None:
    job = _job(place, "sleep")
    (ref,) = make_engine(place).submit([job])
    assert make_engine(place).submit([job]) == [ref]
    assert len(pbs.calls("qsub")) == 1
    assert list(pbs.states()) == [job[0].id]


@pytest.mark.live
def test_what_pbs_refuses_was_never_started(place: Path, pbs: FakePbs) -> None:
    with pytest.raises(SubmitError, match="Unknown queue"):
        make_engine(place).submit([_job(place, options={"queue": "nowhere"})])
    assert pbs.states() == {}


@pytest.mark.live
def test_a_pbs_that_is_away_is_asked_again_later(place: Path, pbs: FakePbs) -> None:
    job = _job(place)
    pbs.set_away(True)
    with pytest.raises(EngineUnavailable, match="cannot connect"):
        make_engine(place).submit([job])
    pbs.set_away(False)
    engine = make_engine(place)
    wait_until(lambda: _is_taken(engine, job))  # after a question that failed, nobody asks for a second or two
    assert _until_all_ended([job]) == [JobStatus.COMPLETED]


def _is_taken(engine: Any, job: tuple[JobFolder, JobSpec]) -> bool:
    try:
        return bool(engine.submit([job]))
    except EngineUnavailable:
        return False


@pytest.mark.live
def test_a_sweep_that_pbs_takes_a_part_of_is_completed_later(place: Path, pbs: FakePbs) -> None:
    jobs = _sweep(place, points=3)
    pbs.set_full(2)
    with pytest.raises(EngineUnavailable, match="2 of 3 jobs were submitted"):
        make_engine(place).submit(jobs)
    pbs.set_full(None)
    make_engine(place).submit(jobs)
    assert _until_all_ended(jobs) == [JobStatus.COMPLETED] * 3
    assert [len(states) for states in pbs.states().values()] == [1, 1, 1]


# ---------------------------------------------------------------- looking and cancelling


@pytest.mark.live
def test_one_question_serves_all_processes(place: Path, pbs: FakePbs) -> None:
    refs = make_engine(place).submit([_job(place, "sleep")])
    asked = len(pbs.calls("qstat"))
    for _ in range(3):
        make_engine(place).observe(refs)  # as another process would
    assert len(pbs.calls("qstat")) == asked


@pytest.mark.live
def test_what_was_submitted_is_in_every_answer_from_then_on(place: Path, pbs: FakePbs) -> None:
    (ref,) = make_engine(place).submit([_job(place, "sleep")])
    assert ref in (place / "pbs-state" / "queue" / "answer").read_text()


@pytest.mark.live
def test_the_folder_of_a_job_that_has_begun_knows_it_first(place: Path, pbs: FakePbs) -> None:
    jobs = _sweep(place, points=2, do="sleep")
    engine = make_engine(place)
    _, ref = engine.submit(jobs)
    assert engine.observe([ref])[ref].presence is Presence.WAITING
    jobs[1][0].events.touch()
    assert engine.observe([ref])[ref].presence is Presence.RUNNING


@pytest.mark.live
def test_after_a_cancellation_pbs_is_asked_soon(place: Path, pbs: FakePbs) -> None:
    engine = make_engine(place)
    refs = engine.submit([_job(place, "sleep")])
    acted = place / "pbs-state" / "queue" / "acted"
    acted.unlink()
    engine.cancel(refs)
    assert acted.exists()


@pytest.mark.live
def test_a_sweep_is_cancelled_as_a_whole(place: Path, pbs: FakePbs) -> None:
    jobs = _sweep(place, points=4, do="sleep")
    engine = make_engine(place)
    refs = engine.submit(jobs)
    wait_until(jobs[0][0].log(0).exists)
    _cancel(engine, [folder for folder, _ in jobs])
    wait_until(lambda: {seen.presence for seen in engine.observe(refs).values()} == {Presence.GONE})
    assert set(map(tuple, pbs.states().values())) == {("F",)}
    assert [folder.events.exists() for folder, _ in jobs] == [True, False, False, False]


@pytest.mark.live
def test_those_that_wait_for_a_cancelled_job_of_a_sweep_still_run(place: Path, pbs: FakePbs) -> None:
    first, *others = _sweep(place, points=4)
    first = _sleeping(first)
    engine = make_engine(place)
    engine.submit([first, *others])
    wait_until(first[0].log(0).exists)
    _cancel(engine, [others[0][0]])
    assert pbs.calls("qdel") == []
    _cancel(engine, [first[0]])
    assert len(pbs.calls("qdel")) == 1
    assert _until_all_ended([first, *others]) == [
        JobStatus.CANCELLED,
        JobStatus.CANCELLED,
        JobStatus.COMPLETED,
        JobStatus.COMPLETED,
    ]
    assert not others[0][0].log(0).exists()


def _sleeping(job: tuple[JobFolder, JobSpec]) -> tuple[JobFolder, JobSpec]:
    folder, spec = job
    folder.write_spec(replace(spec, hyperparameters={**spec.hyperparameters, "do": "sleep"}))
    return folder, folder.read_spec()


def _cancel(engine: Any, folders: Sequence[JobFolder]) -> None:
    for folder in folders:
        folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
    engine.cancel([folder.id for folder in folders])


@pytest.mark.live
def test_a_cancellation_is_told_once_for_each_answer(place: Path, pbs: FakePbs) -> None:
    job = _job(place, "sleep")
    engine = make_engine(place)
    engine.submit([job])
    for _ in range(3):
        engine.cancel([job[0].id])
    assert len(pbs.calls("qdel")) == 1


# ---------------------------------------------------------------- as a package


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that has the package as pip would install it."""
    directory = tmp_path_factory.mktemp("site")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(directory)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=EXAMPLE, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(directory / done.stdout.split()[-1]) as wheel:
        wheel.extractall(directory)
    return directory


def test_an_installed_package_brings_its_engine(site: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(site)
    monkeypatch.setitem(sys.modules, "qjob_pbs", None)  # and forget, after the test, what it imports
    del sys.modules["qjob_pbs"]
    engines = EngineCatalogue(Settings(home=home, index=home, engines={"pbs": {"queue": "long"}}))
    assert engines.names() == sorted({*EngineCatalogue(Settings(home=home, index=home)).names(), "pbs"})
    engine = engines("pbs")
    assert engine.name == "pbs"
    assert engine.check(make_spec(engine="pbs")) == []
    assert Path(sys.modules["qjob_pbs"].__file__ or "").parent == site


@pytest.mark.live
def test_a_job_runs_to_its_end_by_the_installed_engine(
    site: Path, pbs: FakePbs, environment: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "job.py"
    script.write_text("from qjob.runtime import save_job_result\nprint('at work')\nsave_job_result({'energy': -1.1})\n")
    environment = environment | {"PYTHONPATH": str(site), "PATH": os.environ["PATH"]}

    def run(*arguments: str) -> str:
        command = [sys.executable, "-m", "qjob.cli", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    job = run("submit", "--engine", "pbs", "--option", "walltime=1:00:00", str(script)).strip()
    run("wait", job)
    assert json.loads(run("result", job, "-o", "json")) == {"energy": -1.1}
    assert run("logs", job) == "at work\n"
    assert "COMPLETED" in run("ls")
    assert list(pbs.states()) == [job]


# ---------------------------------------------------------------- what is said of it


def test_it_is_one_file_of_about_a_hundred_lines() -> None:
    """Lines of code: without imports, docstrings, comments and blank lines."""
    text = MODULE.read_text()
    left_out = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom | ast.Expr)]
    said = [node for node in left_out if not isinstance(node, ast.Expr) or isinstance(node.value, ast.Constant)]
    numbers = {number for node in said for number in range(node.lineno, (node.end_lineno or 0) + 1)}
    lines = [line.strip() for number, line in enumerate(text.splitlines(), start=1) if number not in numbers]
    assert len([line for line in lines if line and not line.startswith("#")]) <= CODE_LINES


def test_its_options_are_named() -> None:
    readme = (EXAMPLE / "README.md").read_text()
    assert [name for name in qjob_pbs.OPTIONS if f"`{name}`" not in readme] == []
