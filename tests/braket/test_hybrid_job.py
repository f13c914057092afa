"""Decorated functions, as jobs of the local engine."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum, auto
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from qjob.braket import (
    CheckpointConfig,
    InstanceConfig,
    LocalQuantumJob,
    StoppingCondition,
    get_hyperparameters,
    get_job_device_arn,
    get_results_dir,
    hybrid_job,
    save_job_checkpoint,
    save_job_result,
)
from qjob.errors import CannotBePickled, InvalidInput, JobFailed
from qjob.folder import JobFolder

pytestmark = pytest.mark.live
SOON_S = 30.0
FACTOR = 3


@dataclass(frozen=True)
class Point:
    """A class of the test's own module, which no job can import."""

    x: float


def tripled(value: int) -> int:
    """Use a global of this module."""
    return FACTOR * value


@hybrid_job(device=None)
def train(steps: int, point: Point = Point(1.0), *, rate: float = 0.1) -> dict[str, Any]:
    """Train."""
    squares = [step**2 for step in range(steps)]  # a code object of its own until Python 3.12

    class Model:
        name = "model"

    def inner() -> int:
        return sum(square for square in squares) + (lambda: 1)()

    return {"sum": tripled(inner()), "model": Model.name, "x": point.x, "same": isinstance(point, Point)}


@hybrid_job(device=None)
def source_texts() -> dict[str, str]:
    def inner() -> int:
        return 1

    class Model:
        def method(self) -> None: ...

    short = lambda: "a lambda"  # noqa: E731
    return {
        "own": inspect.getsource(source_texts.__wrapped__),  # type: ignore[attr-defined]
        "inner": inspect.getsource(inner),
        "lambda": inspect.getsource(short),
        "method": inspect.getsource(Model.method),
        "class": inspect.getsource(Point),
        "helper": inspect.getsource(tripled),
    }


def result_of(job: LocalQuantumJob, *, allow_pickle: bool = False) -> dict[str, Any]:
    return job.result(poll_timeout_seconds=SOON_S, allow_pickle=allow_pickle)


def returned(job: LocalQuantumJob, *, allow_pickle: bool = False) -> Any:
    return result_of(job, allow_pickle=allow_pickle)["result"]


def folder_of(job: LocalQuantumJob) -> JobFolder:
    return JobFolder(Path(job.metadata()["qjob"]["folder"]))


def generated(job: LocalQuantumJob) -> Path:
    """Return the folder of code that was generated for a job."""
    (folder,) = folder_of(job).source.iterdir()
    return folder


def reason_of(job: LocalQuantumJob) -> str:
    with pytest.raises(JobFailed):
        result_of(job)
    return str(job.metadata()["failureReason"])


# Decorating


def test_a_decorated_function_keeps_what_it_is_called() -> None:
    assert (train.__name__, train.__doc__) == ("train", "Train.")
    assert list(inspect.signature(train).parameters) == ["steps", "point", "rate"]
    assert train.__wrapped__(2)["sum"] == 6  # type: ignore[attr-defined]


def test_decorating_touches_nothing(tmp_path: Path) -> None:
    """Braket's asks AWS for the region and the container's tag, at the import of the user's module."""
    program = (
        "import sys\n"
        "events = []\n"
        "from qjob.braket import hybrid_job\n"
        "watched = ('open', 'os.', 'socket.', 'subprocess.', 'sqlite3.', 'import', 'exec')\n"
        "sys.addaudithook(lambda name, args: events.append(name) if name.startswith(watched) else None)\n"
        "@hybrid_job(device='arn:aws:braket:::device/qpu/x/y', local=True, dependencies='no/such/file',\n"
        "            include_modules='no_such_module', input_data='no/such/data')\n"
        "def train(): ...\n"
        "print(events)\n"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"QJOB_HOME": str(home)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
    assert not home.exists()


def test_a_decorator_without_its_parentheses_is_a_clear_error() -> None:
    with pytest.raises(TypeError, match=r"write @hybrid_job\(device=None\) above the function"):

        @hybrid_job
        def function() -> None: ...


async def coroutine() -> None: ...


def generator() -> Any:
    yield 1


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (coroutine, "'coroutine' is a coroutine function, which does nothing when it is called"),
        (generator, "'generator' is a generator function"),
        (7, "7 is none"),
    ],
)
def test_what_does_nothing_when_called_is_refused(function: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        hybrid_job(device=None)(function)


# Calling


def test_a_function_is_called_twice_and_stays_as_it_is(here: Path) -> None:
    """Defect 1: Braket rewrites ``__code__`` for good, and the second call raises KeyError. And nothing is written."""
    code = train.__wrapped__.__code__  # type: ignore[attr-defined]
    jobs = [train(3), train(steps=4, point=Point(2.5), rate=1.0)]
    assert train.__wrapped__.__code__ is code  # type: ignore[attr-defined]
    assert [type(job) for job in jobs] == [LocalQuantumJob] * 2
    assert result_of(jobs[0]) == {"sum": 18, "model": "model", "x": 1.0, "same": True}
    assert result_of(jobs[1]) == {"sum": 45, "model": "model", "x": 2.5, "same": True}
    assert os.listdir(here) == []


def test_a_call_from_many_threads(here: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(train, range(6)))
    assert len({job.id for job in jobs}) == 6
    assert [result_of(job)["sum"] for job in jobs] == [FACTOR * (sum(k * k for k in range(n)) + 1) for n in range(6)]


def test_code_can_read_its_own_source(here: Path) -> None:
    texts = result_of(source_texts())
    assert texts["own"] == inspect.getsource(source_texts.__wrapped__)  # type: ignore[attr-defined]
    assert texts["inner"] == "    def inner() -> int:\n        return 1\n"
    assert texts["lambda"].strip().startswith("short = lambda")
    assert texts["method"] == "        def method(self) -> None: ...\n"
    assert texts["class"] == inspect.getsource(Point)
    assert texts["helper"] == inspect.getsource(tripled)


def test_a_closure_over_a_large_array(here: Path) -> None:
    """Braket writes the pickle's repr into a Python file, four bytes for one."""
    array = np.arange(2_000_000, dtype=np.float64)

    @hybrid_job(device=None)
    def total() -> float:
        return float(array.sum())

    job = total()
    assert returned(job) == float(array.sum())
    assert (generated(job) / "entry_point.py").stat().st_size < 2000


def test_methods_lambdas_partials_and_static_methods(here: Path) -> None:
    class Study:
        def __init__(self, base: int) -> None:
            self.base = base

        @hybrid_job(device=None)
        def run(self, more: int) -> int:
            return self.base + more

        @hybrid_job(device=None)
        @staticmethod
        def still(value: int) -> int:
            return value

        def plain(self) -> int:
            return self.base

    study = Study(40)
    jobs = [
        study.run(2),
        Study.still(43),
        hybrid_job(device=None)(study.plain)(),
        hybrid_job(device=None)(lambda: 44)(),
        hybrid_job(device=None)(functools.partial(pow, 3))(2),
    ]
    assert [returned(job) for job in jobs] == [42, 43, 40, 44, 9]
    assert [job.name.rpartition("-")[0] for job in jobs] == ["run", "still", "plain", "lambda", "job"]


@hybrid_job(device=None)
def countdown(left: int) -> dict[str, Any]:
    """Call itself: each step is a job of its own."""
    below = countdown(left - 1).id if left else None
    return {"left": left, "below": below}


def test_a_job_submits_jobs_of_its_own(here: Path) -> None:
    job, left = countdown(2), 2
    while True:
        found = result_of(job)
        assert found["left"] == left
        if found["below"] is None:
            break
        job, left = LocalQuantumJob(found["below"]), left - 1
    assert left == 0


def test_a_job_calls_another_decorated_function(here: Path) -> None:
    @hybrid_job(device=None, logger=logging.getLogger("x"), tags={"level": "2"}, aws_session=threading.Lock())
    def outer() -> LocalQuantumJob | str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the session
            job = train(1, Point(6.0))
        return job.id

    with pytest.warns(UserWarning, match="aws_session"):
        job = outer()
    assert result_of(LocalQuantumJob(returned(job)))["x"] == 6.0


def test_a_handle_goes_along_into_a_job(here: Path) -> None:
    first = train(2)

    @hybrid_job(device=None)
    def after(job: LocalQuantumJob) -> float:
        return float(job.result()["sum"])

    assert returned(after(first)) == 6
    assert pickle.loads(pickle.dumps(first)) == first


@functools.cache
def fibonacci(n: int) -> int:
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def test_helpers_with_a_cache_go_along(here: Path) -> None:
    """cloudpickle by itself looks for them in the module, which the job has not."""

    @hybrid_job(device=None)
    def use() -> list[int]:
        return [fibonacci(80), fibonacci.cache_info().misses]

    assert returned(use()) == [23416728348467685, 81]


@dataclass
class Settings:
    steps: int = 1
    names: list[str] = field(default_factory=list)

    @functools.cached_property
    def twice(self) -> int:
        return 2 * self.steps


class Colour(Enum):
    RED = auto()


class Pair(NamedTuple):
    first: int
    second: str = "two"


@functools.singledispatch
def kind(value: object) -> str:
    return "object"


@kind.register
def _(value: int) -> str:
    return "int"


def what_classes_do(given: Settings) -> list[str]:
    @dataclass
    class More(Settings):
        rate: float = 0.5

    values = [
        More(steps=2),
        asdict(given),
        replace(given, steps=5),
        [each.name for each in fields(Settings)],
        given == Settings(7),
        given.twice,
        Colour["RED"] is Colour.RED,
        Pair(1)._replace(first=2),
        kind(1) + kind("x"),
    ]
    return [repr(value) for value in values]


def test_classes_do_in_a_job_what_they_do_here(here: Path) -> None:
    """With cloudpickle alone a dataclass has no fields any more, and the other half cannot be pickled."""
    job = hybrid_job(device=None)(what_classes_do)(Settings(7))
    assert returned(job) == what_classes_do(Settings(7))


def test_objects_of_own_classes_come_back_from_plain_results(here: Path) -> None:
    found = returned(hybrid_job(device=None)(lambda: [Settings(3, ["a"]), Colour.RED])())
    assert found == [Settings(3, ["a"]), Colour.RED]


# What arrives, and what comes back


def test_arguments_arrive_as_the_objects_they_were(here: Path) -> None:
    given = {"array": np.eye(2), "point": Point(1.5), "set": {1, 2}, "path": Path("a/b"), "f": lambda x: x + 1}

    @hybrid_job(device=None)
    def look(*args: Any, **kwargs: Any) -> list[str]:
        assert kwargs["f"](1) == 2
        assert isinstance(kwargs["point"], Point)
        return [type(value).__name__ for value in (*args, *kwargs.values())]

    with pytest.warns(UserWarning, match="Not recorded as hyperparameters: args"):
        job = look(1j, None, **given)
    assert returned(job) == ["complex", "NoneType", "ndarray", "Point", "set", "PosixPath", "function"]


def test_a_return_value_of_an_own_class_comes_back_from_a_pickle(here: Path) -> None:
    """Braket's job cannot pickle it: there is no such module in the container."""

    @hybrid_job(device=None, data_format="pickle")
    def make() -> Any:
        save_job_result({"earlier": 1})
        return {"point": Point(2.0), "array": np.arange(3)}

    found = result_of(make(), allow_pickle=True)
    assert found["point"] == Point(2.0)
    assert type(found["point"]) is Point
    assert found["array"].tolist() == [0, 1, 2]
    assert found["earlier"] == 1


def test_no_return_value_saves_nothing(here: Path) -> None:
    @hybrid_job(device=None)
    def silent() -> None: ...

    assert result_of(silent()) == {}


def test_a_plain_return_value_joins_what_the_job_has_pickled(here: Path) -> None:
    @hybrid_job(device=None)
    def mixed() -> Any:
        save_job_result({"a": 1}, data_format="pickle")
        return {"b": 2}

    assert result_of(mixed(), allow_pickle=True) == {"a": 1, "b": 2}


@pytest.mark.parametrize("data_format", ["json", 4, None])
def test_an_unknown_format_is_refused(here: Path, data_format: Any) -> None:
    with pytest.raises(InvalidInput, match="use 'plaintext' or 'pickle'"):
        hybrid_job(device=None, data_format=data_format)(tripled)(1)


# Hyperparameters


def test_hyperparameters_are_recorded_and_kept_whole_beside(here: Path) -> None:
    @hybrid_job(device=None)
    def record(text: str, *, rate: float = 0.5, **more: Any) -> dict[str, str]:
        return get_hyperparameters()

    long = "x" * 3000 + "$end"
    job = record(long, more="(a)\n&`b`", empty="")
    shown = {
        "text": "x" * 2477 + "..." + "x" * 16 + "?end",
        "rate": "0.5",
        "more": "{a} +'b'",
        "empty": "''",
    }
    assert result_of(job) == shown
    assert job.metadata()["hyperParameters"] == shown
    whole = json.loads((generated(job) / "hyperparameters.json").read_text())
    assert whole == {"text": long, "rate": "0.5", "more": "(a)\n&`b`", "empty": ""}


def test_arguments_that_do_not_fit_start_nothing(here: Path, home: Path) -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'steps'"):
        train()
    assert not home.exists()


# Options


def test_all_options_reach_the_job(here: Path) -> None:
    def look() -> dict[str, Any]:
        save_job_checkpoint({"step": 1})
        return {"device": get_job_device_arn(), "cwd": os.getcwd(), "results": get_results_dir()}

    first = hybrid_job(device="local:braket/default", job_name="first")(look)()
    assert result_of(first)["device"] == "local:braket/default"
    options: dict[str, Any] = {
        "job_name": "second",
        "tags": {"a": "b"},
        "instance_config": InstanceConfig(instanceCount=2),
        "stopping_condition": StoppingCondition(maxRuntimeInSeconds=60),
        "checkpoint_config": CheckpointConfig(localPath="/opt/x"),
        "copy_checkpoints_from_job": first,
        "distribution": "data_parallel",
    }
    second = hybrid_job(device=None, **options)(look)()
    data = second.metadata()
    assert (second.name, data["tags"], data["instanceConfig"]["instanceCount"]) == ("second", {"a": "b"}, 2)
    assert data["stoppingCondition"] == {"maxRuntimeInSeconds": 60}
    assert data["checkpointConfig"]["localPath"] == "/opt/x"
    assert data["qjob"]["copiedFrom"] == first.id
    found = result_of(second)
    assert found["device"] == "local:none/none"
    assert found["cwd"] == found["results"] == str(folder_of(second).results)


def test_waiting_prints_the_log_and_tells_the_reason(
    here: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    @hybrid_job(device=None, wait_until_complete=True, quiet=True, logger=logging.getLogger("mine"))
    def fail() -> None:
        print("so far")
        raise ValueError("no luck")

    job = fail()
    said = capfd.readouterr().out
    assert said.startswith(f"Initializing Braket Job: {job.arn}\nso far\nTraceback")
    assert job.state(use_cached_value=False) == "FAILED"
    (message,) = caplog.records
    assert (message.name, message.levelname) == ("mine", "ERROR")
    assert "AlgorithmError: ValueError: no luck, exit code: 1" in message.getMessage()


# Modules


@pytest.fixture
def beside(here: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a module where only the submitter finds it; patched, as ``sys.path`` is what makes the difference."""
    monkeypatch.syspath_prepend(str(here))

    def write(name: str, text: str) -> None:
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


@pytest.fixture(autouse=True)
def _modules_as_before() -> Any:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_modules_beside_the_script_go_along_as_they_are_now(here: Path, beside: Callable[[str, str], None]) -> None:
    beside("lib_a.py", "STATE = 1\nclass A:\n    pass\ndef f():\n    return STATE, A\n")
    import lib_a  # type: ignore[import-not-found]

    lib_a.STATE = 2

    @hybrid_job(device=None)
    def use() -> list[Any]:
        state, cls = lib_a.f()
        import lib_a as again

        again.STATE = 3
        return [state, again.f()[0], again.A is cls, inspect.getsource(cls), inspect.getsource(again.f)]

    text = (here / "lib_a.py").read_text()
    job = use()
    (here / "lib_a.py").write_text("raise SystemExit('changed since')\n")
    assert returned(job) == [2, 3, True, "class A:\n    pass\n", "def f():\n    return STATE, A\n"]
    assert "class A" in text


def test_a_missing_local_module_names_the_remedy(beside: Callable[[str, str], None]) -> None:
    beside("lib_b.py", "def f():\n    return 7\n")

    def use() -> int:
        import lib_b  # type: ignore[import-not-found]

        return int(lib_b.f())

    reason = reason_of(hybrid_job(device=None)(use)())
    assert "No module named 'lib_b'; it lies beside your code" in reason
    assert "give include_modules='lib_b' to hybrid_job" in reason
    assert returned(hybrid_job(device=None, include_modules="lib_b")(use)()) == 7


def test_modules_that_are_none_are_refused_at_once() -> None:
    with pytest.raises(TypeError, match="include_modules=3: modules or their names are expected"):
        hybrid_job(include_modules=3)  # type: ignore[arg-type]


def test_a_package_is_included_with_its_submodules(beside: Callable[[str, str], None]) -> None:
    beside("pack/__init__.py", "from pack.one import one\n")
    beside("pack/one.py", "class One:\n    pass\ndef one():\n    return One()\n")
    beside("pack/sub/__init__.py", "")
    beside("pack/sub/two.py", "from ..one import One\nTWO = 2\ndef is_one(x):\n    return isinstance(x, One)\n")
    import pack  # type: ignore[import-not-found]

    @hybrid_job(device=None, include_modules=[pack])
    def use() -> list[Any]:
        made = pack.one()
        from pack.sub import two  # type: ignore[import-not-found]

        return [two.TWO, two.is_one(made), inspect.getsource(two.is_one)]

    assert returned(use()) == [2, True, "def is_one(x):\n    return isinstance(x, One)\n"]


def test_a_part_of_a_module_that_did_not_come_along_names_the_remedy(beside: Callable[[str, str], None]) -> None:
    beside("lib_c.py", "def f():\n    return 1\ndef g():\n    return 2\n")
    from lib_c import f  # type: ignore[import-not-found]

    @hybrid_job(device=None)
    def use() -> int:
        f()
        import lib_c

        return int(lib_c.g())

    assert "has no attribute 'g' in the job" in (reason := reason_of(use()))
    assert "include_modules='lib_c'" in reason


def test_a_module_that_there_is_not_is_refused(here: Path) -> None:
    with pytest.raises(InvalidInput) as refusal:
        hybrid_job(device=None, include_modules=["no_such", "nor_this"])(tripled)(1)
    assert [problem.split("'")[1] for problem in refusal.value.problems] == ["no_such", "nor_this"]


def test_what_cannot_be_pickled_is_named_and_nothing_is_started(here: Path, home: Path) -> None:
    session = {"connection": [threading.Lock()]}

    @hybrid_job(device=None)
    def use() -> None:
        print(session)

    with pytest.raises(RuntimeError) as refusal:
        use()
    assert isinstance(refusal.value, CannotBePickled)
    assert str(refusal.value).startswith(
        "'use' cannot become a job: session (used by use())['connection'][0] is _thread.lock, which cannot be "
        "pickled (cannot pickle '_thread.lock' object). Create it inside the function"
    )
    assert not home.exists()


# Failures


def test_a_failure_shows_the_users_frames_only(here: Path) -> None:
    @hybrid_job(device=None)
    def fail() -> float:
        return 1 / 0

    job = fail()
    assert reason_of(job) == "AlgorithmError: ZeroDivisionError: division by zero, exit code: 1"
    trace = job.run_log
    assert "return 1 / 0" in trace
    assert trace.count("File ") == 1
    assert "qjob/braket" not in trace


def test_what_cannot_be_saved_fails_the_job(here: Path) -> None:
    @hybrid_job(device=None)
    def odd() -> Any:
        save_job_result({"kept": 1})
        return {"odd": threading.Lock()}

    assert "odd" in reason_of(odd())


# Input data


def test_input_data_lies_where_it_lay(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "data" / "inner").mkdir(parents=True)
    (here / "data" / "inner" / "a.csv").write_text("1,2")
    (here / "one.txt").write_text("one")
    (here / "one.txt.backup").write_text("not this")
    given = {"data": "data/inner", "one": Path("one.txt"), "abs": str(here / "one.txt")}
    before = dict(given)

    @hybrid_job(device=None, input_data=given)
    def read() -> dict[str, Any]:
        Path("mine.txt").write_text("kept")
        Path("data/also.txt").write_text("kept")
        return {
            "csv": Path("data/inner/a.csv").read_text(),
            "one": Path("one.txt").read_text(),
            "backup": Path("one.txt.backup").exists(),
        }

    job = read()
    assert result_of(job) == {"csv": "1,2", "one": "one", "backup": False}
    assert given == before
    folder = folder_of(job)
    assert job.run_log.splitlines() == [
        f"data/inner -> {folder.input}/data",
        f"one.txt -> {folder.input}/one/one.txt",
    ]
    left = sorted(str(path.relative_to(folder.results)) for path in folder.results.rglob("*"))
    assert left == ["data", "data/also.txt", "mine.txt", "results.json"]
