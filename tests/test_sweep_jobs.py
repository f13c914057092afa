"""Sweeps of real processes on this machine: what a user sees of them."""

from __future__ import annotations

import dataclasses
import functools
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qjob
from living import end_all, wait_until
from qjob import InvalidInput, JobNotFound, JobStateError, RandomPoints
from qjob.braket import hybrid_job
from qjob.model.config import InstanceConfig
from qjob.service import Service
from qjob.store.store import Query
from qjob.sweep_handle import Sweep

pytestmark = pytest.mark.live

Make = Callable[..., Sweep]


@pytest.fixture(autouse=True)
def _home(home: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `qjob.sweep` work on the test's own state directory: the environment is where it looks for it."""
    for name, value in {"HOME": home, "SLOTS": 2, "GRACE_S": 1, "IDLE_S": 5}.items():
        monkeypatch.setenv(f"QJOB_{name}", str(value))
    for name in [name for name in os.environ if name.startswith("QJOB_SWEEP")]:
        monkeypatch.delenv(name)


@pytest.fixture
def sweep(tmp_path: Path) -> Make:
    """Submit a script, by its text, at the points of a grid."""

    def submit(text: str, grid: object, **asked: Any) -> Sweep:
        script = tmp_path / "script.py"
        script.write_text(text)
        return qjob.sweep(script, grid, **asked)  # type: ignore[arg-type]

    return submit


def ended(sweep: Sweep) -> dict[str, int]:
    return sweep.wait(60, progress=False)


def log_of(service: Service, job_id: str) -> str:
    path = service.folder(job_id).log(0)
    return path.read_text() if path.exists() else ""


def completed(sweep: Sweep, service: Service) -> None:
    """Wait, and tell what the jobs have printed when one of them has not completed."""
    counts = ended(sweep)
    assert counts == {"COMPLETED": len(sweep)}, [log_of(service, job.id)[-500:] for job in sweep]


# What comes out

TRAINING = """
import math
from qjob.runtime import get_hyperparameters, log_metric, save_job_result
given = get_hyperparameters()
x = float(given["x"])
for step in range(3):
    log_metric("loss", x + 2 - step, iteration_number=step)
save_job_result({"energy": math.nan if x == 0 else x * x, "kind": given["kind"], "many": [1, 2], "ok": x > 1})
if given["kind"] == "bad":
    raise ValueError("a bad kind")
"""


def test_the_table_has_hyperparameters_last_metrics_and_results(sweep: Make, service: Service) -> None:
    made = sweep(TRAINING, {"x": [0, -2.0, 2], "kind": ["a", "bad"]}, name="t", hyperparameters={"same": "yes"})
    assert ended(made) == {"COMPLETED": 3, "FAILED": 3}
    table = made.table()
    assert table.columns == ["number", "job", "state", "x", "kind", "loss", "energy", "result.kind", "ok"]
    assert [row["number"] for row in table] == list(range(6))
    assert [row["job"] for row in table] == [job.id for job in made]
    assert [row["state"] for row in table] == ["COMPLETED", "FAILED"] * 3
    assert [(row["x"], row["loss"], row["ok"]) for row in table[2:5]] == [
        (-2, -2, False),
        (-2, -2, False),
        (2, 2, True),
    ]
    assert [row["result.kind"] for row in table] == ["a", "bad"] * 3
    best = made.best("energy")
    assert (best.number, best.results["energy"], best.state) == (2, 4.0, "COMPLETED")
    assert made.best("energy", maximise=True).number == 2
    assert made.best("loss", maximise=True).number == 4
    assert "a bad kind" in (made.jobs()[1].failure_reason or "")
    with pytest.raises(InvalidInput, match=r"'no-such'.*there is energy, kind, loss, ok"):
        made.best("no-such")


def test_a_sweep_is_a_sequence_of_its_jobs_and_finds_itself_again(sweep: Make, service: Service) -> None:
    made = sweep("print('hello')", {"n": range(3)}, name="seq")
    assert len(made) == len(list(made)) == 3
    assert [job.id for job in made[1:]] == [made[1].id, made[-1].id]
    assert made[0] in made
    assert [made.index(job) for job in reversed(made)] == [2, 1, 0]
    with pytest.raises(IndexError):
        made[3]
    for selector in (made.id, made.id[:13], "seq"):
        assert qjob.get_sweep(selector) == made
    assert repr(made) == f"Sweep('{made.id}', name='seq', points=3)"
    assert hash(made) == hash(qjob.get_sweep("seq"))
    with pytest.raises(JobNotFound):
        qjob.get_sweep(made[0].id)
    completed(made, service)
    assert made[0].name == "seq-0"
    assert made._repr_html_() == f"<b>Sweep seq</b> ({made.id}), 3 points: 3 COMPLETED"


def test_wait_shows_how_far_it_is(sweep: Make, capsys: pytest.CaptureFixture[str]) -> None:
    made = sweep("import sys\nfrom qjob.runtime import *\nsys.exit(get_hyperparameters()['n'] == '0')", {"n": range(2)})
    assert made.wait(60, progress=True) == {"COMPLETED": 1, "FAILED": 1}
    assert capsys.readouterr().err.endswith(f"[{'#' * 30}] 2/2, 1 FAILED\n")
    made.wait(progress=None)
    assert capsys.readouterr().err == ""
    with pytest.raises(JobStateError):
        made.cancel()


NASTY = ["a,b", "two\nlines", "ü 日本 \U0001f600", "'quoted\" $HOME `x`", " blank ", "\t", "nan", "-1"]


def test_values_come_through_as_they_are(sweep: Make, service: Service) -> None:
    made = sweep(
        "import os\nfrom qjob.runtime import *\n"
        "save_job_result({'text': get_hyperparameters()['a b'], 'at': int(os.environ['QJOB_SWEEP_POINT'])})",
        {"a b": NASTY},
    )
    completed(made, service)
    assert [job.results for job in made.jobs()] == [{"text": text, "at": n} for n, text in enumerate(NASTY)]
    assert len(str(made.table()).splitlines()) == 1 + len(NASTY)


def test_numpy_values_are_numbers_to_a_script(sweep: Make, service: Service) -> None:
    made = sweep(
        "from qjob.runtime import *\nsave_job_result({'x': float(get_hyperparameters()['x'])})",
        {"x": np.linspace(0, 1, 3)},
    )
    completed(made, service)
    assert [job.results["x"] for job in made.jobs()] == [0.0, 0.5, 1.0]


def test_random_points_run(sweep: Make, service: Service) -> None:
    made = sweep("pass", RandomPoints({"x": (0.0, 1.0)}, samples=3, seed=1))
    completed(made, service)
    assert len({row["x"] for row in made.table()}) == 3


# Concurrency

TIMED = """
import time
from qjob.runtime import save_job_result
start = time.time()
time.sleep(0.2)
save_job_result({"start": start, "end": time.time()})
"""


def most_at_a_time(spans: Iterable[tuple[float, float]]) -> int:
    edges = sorted(edge for start, end in spans for edge in ((start, 1), (end, -1)))
    running = most = 0
    for _, change in edges:
        running += change
        most = max(most, running)
    return most


@pytest.mark.parametrize(("concurrency", "most"), [(1, 1), (None, 2)])
def test_concurrency_is_kept_by_the_word_of_the_jobs(
    sweep: Make, service: Service, concurrency: int | None, most: int
) -> None:
    made = sweep(TIMED, {"n": range(5)}, concurrency=concurrency)
    completed(made, service)
    assert most_at_a_time((job.results["start"], job.results["end"]) for job in made.jobs()) == most


def test_other_jobs_pass_a_sweep_that_has_all_it_may(sweep: Make, service: Service, submit: Any) -> None:
    made = sweep("import time\ntime.sleep(600)", {"n": range(3)}, concurrency=1)
    job = submit("print('passed')")
    job.wait()
    assert job.state() == "COMPLETED"
    assert made.counts() == {"RUNNING": 1, "QUEUED": 2}
    assert "its sweep runs at most 1 at a time" in str(made[2].queue_position().message)
    made.cancel()
    assert ended(made) == {"CANCELLED": 3}


# What the jobs share

ISOLATED = """
import os, pathlib
from qjob.runtime import *
os.chdir(pathlib.Path(__file__).parent)
beside = pathlib.Path("beside.txt")
before = beside.read_text()
beside.write_text("of " + get_hyperparameters()["n"])
pathlib.Path("folder/new").write_text("x")
pathlib.Path("script.py").unlink()
save_job_result({"before": before, "after": beside.read_text(), "files": ",".join(sorted(os.listdir("folder")))})
"""


def test_what_a_job_does_to_its_source_no_other_job_sees(tmp_path: Path, service: Service) -> None:
    source = tmp_path / "src"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "old").write_text("old")
    (source / "beside.txt").write_text("as it was")
    (source / "script.py").write_text(ISOLATED)
    made = qjob.sweep(source, {"n": range(4)}, entry_point="src.script", concurrency=1)
    (source / "beside.txt").write_text("changed after the submit")
    completed(made, service)
    results = [job.results for job in made.jobs()]
    assert [each["before"] for each in results] == ["as it was"] * 4
    assert [each["after"] for each in results] == [f"of {n}" for n in range(4)]
    assert {each["files"] for each in results} == {"new,old"}
    assert (service.sweeps.folder(made.id).source / "src" / "beside.txt").read_text() == "as it was"


READS_INPUT = """
import os, stat, pathlib
from qjob.runtime import *
data = pathlib.Path(get_input_data_dir("data"), "deep", "numbers")
save_job_result({"text": data.read_text(), "mode": stat.S_IMODE(data.stat().st_mode),
                 "inode": data.stat().st_ino, "fixed": open("/opt/braket/input/data/data/deep/numbers").read()
                 if get_hyperparameters()["n"] == "0" else ""})
"""


def test_input_data_is_one_for_all_and_read_only(tmp_path: Path, sweep: Make, service: Service) -> None:
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep" / "numbers").write_text("1 2 3")
    (data / "deep" / "numbers").chmod(0o640)
    (data / "tool").write_text("#!/bin/sh")
    (data / "tool").chmod(0o755)
    (tmp_path / "outside").write_text("outside")
    (data / "link").symlink_to(tmp_path / "outside")
    made = sweep(READS_INPUT, {"n": range(2)}, input_data={"data": data})
    completed(made, service)
    results = [job.results for job in made.jobs()]
    assert [each["text"] for each in results] == ["1 2 3"] * 2
    assert results[0]["fixed"] == "1 2 3"
    assert len({each["inode"] for each in results}) == 1
    assert {each["mode"] & 0o222 for each in results} == {0}
    kept = service.sweeps.folder(made.id).input / "data"
    assert stat.S_IMODE((kept / "tool").stat().st_mode) & 0o111
    assert stat.S_IMODE((data / "deep" / "numbers").stat().st_mode) == 0o640  # the user's own stay as they were
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) & 0o200
    made[0].wait()
    qjob.delete(made[0])
    assert (kept / "deep" / "numbers").read_text() == "1 2 3"
    service.sweeps.delete(made.id)
    assert not kept.exists()


def test_the_containers_paths_and_several_instances(sweep: Make, service: Service) -> None:
    made = sweep(
        "import os, json, pathlib\n"
        "rank = os.environ['RANK']\n"
        "given = json.load(open('/opt/braket/input/config/hyperparameters.json'))"
        " if os.path.exists('/opt/braket/input/config/hyperparameters.json') else None\n"
        "pathlib.Path('/opt/jobs/checkpoints', rank).write_text(os.environ['QJOB_SWEEP_POINT'])\n"
        "print(rank, os.environ['WORLD_SIZE'])\n",
        {"n": range(2)},
        instance_config=InstanceConfig(instanceCount=2),
    )
    completed(made, service)
    for number, job in enumerate(made):
        folder = service.folder(job.id)
        assert folder.instances() == [0, 1]
        assert {path.name: path.read_text() for path in folder.checkpoints.iterdir()} == {
            "0": str(number),
            "1": str(number),
        }


# Resuming

GOES_ON = """
import os
from qjob.runtime import *
point = os.environ["QJOB_SWEEP_POINT"]
try:
    step = load_job_checkpoint()["step"] + 1
except FileNotFoundError:
    step = 1
if point != "4":
    save_job_checkpoint({"step": step})
save_job_result({"step": step, "point": int(point), "n": get_hyperparameters()["n"]})
if step < int(get_hyperparameters()["until"]) and point in "134":
    raise ValueError("not yet")
"""


def test_resume_runs_what_did_not_complete_from_its_checkpoints(sweep: Make, service: Service) -> None:
    made = sweep(GOES_ON, {"n": list("abcdef")}, hyperparameters={"until": 3}, name="again", concurrency=2)
    assert ended(made) == {"COMPLETED": 3, "FAILED": 3}
    second = made.resume()
    assert ended(second) == {"FAILED": 3}
    assert [(j.number, j.results["step"], j.results["point"]) for j in second.jobs()] == [
        (1, 2, 1),
        (3, 2, 3),
        (4, 1, 4),
    ]
    assert [job.name for job in second] == ["again-1", "again-3", "again-4"]
    assert [job.hyperparameters for job in second.jobs()] == [{"n": "b"}, {"n": "d"}, {"n": "e"}]
    third = second.resume(name="third", hyperparameters={"until": 1})
    completed(third, service)
    assert [(j.number, j.name, j.results["step"]) for j in third.jobs()] == [
        (1, "third-1", 3),
        (3, "third-3", 3),
        (4, "third-4", 1),
    ]
    assert service.sweeps.record(third.id).resumed_from == second.id
    assert service.sweeps.record(third.id).concurrency == 2
    for done in (third, second.resume(hyperparameters={"until": 1})):
        completed(done, service)
        with pytest.raises(JobStateError, match="all of its jobs have completed"):
            done.resume()


def test_a_sweep_that_has_not_ended_is_not_resumed(sweep: Make) -> None:
    made = sweep("import time\ntime.sleep(600)", {"n": range(3)})
    with pytest.raises(JobStateError, match="of its jobs have not ended"):
        made.resume()
    made.cancel()
    ended(made)


def test_one_job_of_a_sweep_goes_on_with_the_sweep_alone(sweep: Make, service: Service) -> None:
    made = sweep(GOES_ON, {"n": list("ab")}, hyperparameters={"until": 2})
    assert ended(made) == {"COMPLETED": 1, "FAILED": 1}
    with pytest.raises(InvalidInput, match=f"is a point of sweep {made.id}: resume that"):
        made[1].resume()
    assert len(service.find(Query())) == len(made) == 2


# Functions


def energy(angle: float, scale: float = 2.0, *, shift: Any = None) -> dict[str, Any]:
    return {"energy": angle * scale + (0 if shift is None else float(np.sum(shift.values)))}


@dataclasses.dataclass
class Shift:
    values: Any


def test_a_function_gets_the_objects_themselves(service: Service) -> None:
    grid: dict[str, list[Any]] = {"angle": [1.0, 2.0], "shift": [Shift(np.ones(3)), Shift(np.zeros((2, 2)))]}
    made = qjob.sweep(energy, grid)
    completed(made, service)
    assert [job.results["energy"] for job in made.jobs()] == [5.0, 2.0, 7.0, 4.0]
    assert made.name.startswith("energy-")
    assert made.table().columns == ["number", "job", "state", "angle", "shift", "energy"]
    assert made.best("energy").hyperparameters["angle"] == 1.0


def test_a_function_gets_its_defaults_and_what_is_the_same_for_all(service: Service) -> None:
    made = qjob.sweep(energy, [{"angle": 1}, {"angle": 1, "shift": Shift(np.ones(1))}], hyperparameters={"scale": 3})
    completed(made, service)
    assert [job.results["energy"] for job in made.jobs()] == [3, 4]
    assert made[0].metadata()["hyperParameters"] == {"angle": "1", "scale": "3", "shift": "None"}


def test_a_lambda_and_a_method(service: Service) -> None:
    factor = 10

    class Model:
        def __init__(self, size: int) -> None:
            self.size = size

        def run(self, x: int) -> int:
            return self.size * x

    made = [qjob.sweep(lambda x: factor * x, {"x": [1, 2]}), qjob.sweep(Model(5).run, {"x": [2]})]
    for each in made:
        completed(each, service)
    assert [[job.result() for job in each] for each in made] == [[{"result": 10}, {"result": 20}], [{"result": 10}]]


class Scaled:
    def __call__(self, x: int) -> int:
        return 7 * x


def a_function_whose_name_is_longer_than_any_name_of_a_job_may_be(**named: int) -> int:
    return sum(named.values())


def test_whatever_can_be_called_by_names_is_a_function(service: Service) -> None:
    points: list[tuple[Callable[..., Any], dict[str, int], int]] = [
        (functools.partial(energy, scale=5.0), {"angle": 2}, 10),
        (Scaled(), {"x": 2}, 14),
        (pow, {"base": 2, "exp": 3}, 8),
        (a_function_whose_name_is_longer_than_any_name_of_a_job_may_be, {"function": 1, "points": 2}, 3),
    ]
    for function, point, wanted in points:
        made = qjob.sweep(function, [point])
        completed(made, service)
        [value] = made.jobs()[0].results.values() or [made[0].result()["energy"]]
        assert value == wanted, function


def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def twice(*args: Any, **kwargs: Any) -> Any:
        return 2 * function(*args, **kwargs)

    return twice


@doubled
def plain(x: int) -> int:
    return x


@hybrid_job(device="local:braket/braket.local.qubit", tags={"of": "the decorator"}, data_format="pickle")
@doubled
def decorated(x: int) -> int:
    return x


def test_a_decorator_of_ones_own_stays_and_hybrid_jobs_gives_its_options(service: Service) -> None:
    first = qjob.sweep(plain, {"x": [3]})
    second = qjob.sweep(decorated, {"x": [4]}, tags={"of": "the sweep"})
    for made in (first, second):
        completed(made, service)
    assert first[0].result() == {"result": 6}
    assert second[0].result(allow_pickle=True) == {"result": 8}
    record = service.record(second[0].id)
    assert record.spec.device == "local:braket/braket.local.qubit"
    assert record.spec.tags == {"of": "the sweep"}
    assert second.jobs()[0].results == {}  # pickled: a table reads nothing that may run code


def test_points_that_do_not_fit_the_function_are_refused_before_anything_is_written(home: Path) -> None:
    bad: list[tuple[Any, str]] = [
        ({"angel": [1, 2]}, "point 1: energy cannot be called with it: .*'ang"),
        ([{"angle": 1}, {}], "point 1: energy cannot be called .*missing a required argument: 'angle'"),
        ([{"angle": 1}, {"angle": 1, "x": 2}], "point 1: .*unexpected keyword argument 'x'"),
    ]
    for grid, words in bad:
        with pytest.raises(InvalidInput, match=words):
            qjob.sweep(energy, grid)
    with pytest.raises(InvalidInput, match="'angle' is varied by the grid and given for all jobs as well"):
        qjob.sweep(energy, {"angle": [1]}, hyperparameters={"angle": 2})
    with pytest.raises(InvalidInput, match="hyperparameters=3: a dict is expected"):
        qjob.sweep(energy, {"angle": [1]}, hyperparameters=3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="entry_point='x': a function is its own entry point"):
        qjob.sweep(energy, {"angle": [1]}, entry_point="x")
    with pytest.raises(InvalidInput, match="nothing is varied"):
        qjob.sweep(energy, {})
    assert not (home / "sweeps").exists() or os.listdir(home / "sweeps") == []


def fails_at_first(path: str, n: int) -> int:
    marker = Path(path, str(n))
    if n % 2 and not marker.exists():
        marker.touch()
        raise ValueError("at first")
    return n


def test_a_function_is_resumed_at_its_own_points(tmp_path: Path, service: Service) -> None:
    made = qjob.sweep(fails_at_first, {"n": range(4)}, hyperparameters={"path": str(tmp_path)})
    assert ended(made) == {"COMPLETED": 2, "FAILED": 2}
    again = made.resume()
    completed(again, service)
    assert [(job.number, job.results["result"]) for job in again.jobs()] == [(1, 1), (3, 3)]


# Damage


def test_wait_ends_although_runners_were_killed(sweep: Make, service: Service) -> None:
    made = sweep("import time\nprint('started', flush=True)\ntime.sleep(600)", {"n": range(2)})
    for job in made:
        wait_until(lambda job=job: "started" in log_of(service, job.id))  # type: ignore[misc]
        [pid] = [int(event.detail["pid"]) for event in service.folder(job.id).read_events() if "pid" in event.detail]
        os.kill(pid, signal.SIGKILL)
    assert ended(made) == {"FAILED": 2}


def test_a_job_that_was_removed_is_missing_from_the_table_and_nothing_else(sweep: Make, service: Service) -> None:
    made = sweep("from qjob.runtime import *\nsave_job_result({'n': int(get_hyperparameters()['n'])})", {"n": range(3)})
    completed(made, service)
    qjob.delete(made[0])
    assert [row["number"] for row in made.table()] == [1, 2]
    assert made.best("n").number == 1
    assert len(made) == 2
    assert [job.name[-2:] for job in reversed(made)] == ["-2", "-1"]
    assert ended(made) == {"COMPLETED": 2}
    subprocess.run(["rm", "-r", str(service.folder(made[0].id).path)], check=True)
    assert [(job.number, job.results) for job in made.jobs()] == [(1, {}), (2, {"n": 2})]
    service.sweeps.delete(made.id)
    assert len(made) == 0


def test_results_that_cannot_be_read_leave_their_cells_empty(sweep: Make, service: Service) -> None:
    made = sweep(
        "import os, pathlib\nfrom qjob.runtime import *\nn = get_hyperparameters()['n']\n"
        "path = pathlib.Path(get_results_dir(), 'results.json')\n"
        "{'0': lambda: path.write_text('{'), '1': lambda: path.write_text('[1]'), '2': lambda: path.mkdir(),"
        " '3': lambda: save_job_result({'ok': 10**400}), '4': lambda: None}[n]()",
        {"n": range(5)},
    )
    completed(made, service)
    assert [job.results for job in made.jobs()] == [{}, {}, {}, {"ok": 10**400}, {}]
    assert made.best("ok").number == 3


# Jobs that submit sweeps

PARENT = """
import os, qjob
def child(x):
    return x * 10
made = qjob.sweep(child, {"x": [1, 2, 3]}, name="inner")
print(made.wait(60), [job.results["result"] for job in made.jobs()])
assert "QJOB_SWEEP_POINT" not in os.environ or os.environ["QJOB_SWEEP_POINT"] == "0"
"""


@pytest.mark.parametrize("slots", ["1", "2"])
def test_a_job_waits_for_the_sweep_that_it_submits(
    sweep: Make, service: Service, monkeypatch: pytest.MonkeyPatch, slots: str
) -> None:
    monkeypatch.setenv("QJOB_SLOTS", slots)
    made = sweep(PARENT, [{"only": 1}])
    completed(made, service)
    assert log_of(service, made[0].id) == "{'COMPLETED': 3} [10, 20, 30]\n"
    inner = qjob.get_sweep("inner")
    assert inner.best("result").number == 0


# Places and permissions


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o277])
def test_whatever_the_umask_is_a_sweep_is_private_and_runs(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "a\n'b\" $c ü"
    script = tmp_path / "script.py"
    script.write_text("print('hello')")
    program = (
        "import os, qjob\n"
        f"os.umask({umask})\n"
        f"s = qjob.sweep({str(script)!r}, {{'n': range(2)}})\n"
        "print(s.wait(60), s.id)"
    )
    environment = os.environ | {"QJOB_HOME": str(home), "QJOB_IDLE_S": "1", "QJOB_SLOTS": "2"}
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True
        )
    finally:
        end_all(home)
    assert done.stdout.startswith("{'COMPLETED': 2} ")
    shared = home / "sweeps" / done.stdout.split()[-1]
    for path in (home, shared, *(home / "jobs").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    for path in (shared / "sweep.json", shared / "source", *(home / "jobs").glob("*/spec.json")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o400, path


def test_processes_that_submit_at_the_same_moment(tmp_path: Path, home: Path, service: Service) -> None:
    script = tmp_path / "script.py"
    script.write_text("pass")
    program = f"import qjob\nprint(qjob.sweep({str(script)!r}, {{'n': range(10)}}, name='twin').id)"
    started = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    ids = [process.communicate()[0].strip() for process in started]
    assert len(set(ids)) == 2
    for each in ids:
        made = qjob.get_sweep(each)
        completed(made, service)
        assert [job.name for job in made] == [f"twin-{n}" for n in range(10)]
    assert qjob.get_sweep("twin").id == max(ids)


def test_arguments_of_a_function_do_not_change_when_it_is_resumed() -> None:
    def fails(x: int) -> None:
        raise ValueError(x)

    sweep = qjob.sweep(fails, {"x": [1, 2]})
    assert sweep.wait(60) == {"FAILED": 2}
    with pytest.raises(InvalidInput, match="x cannot change, as what runs is a function"):
        sweep.resume(hyperparameters={"x": 7})


def test_a_job_of_a_function_imports_nothing_that_only_a_submit_needs() -> None:
    def imported(x: int) -> dict[str, Any]:
        return {"names": ",".join(name for name in sys.modules if name in ("qjob.service", "qjob.braket.decorator"))}

    sweep = qjob.sweep(imported, {"x": [1]})
    assert ended(sweep) == {"COMPLETED": 1}
    assert sweep[0].result()["names"] == ""
