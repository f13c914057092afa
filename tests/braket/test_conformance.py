"""The submitting side and the published one, side by side: the same names, and the same from the same.

Where ours differs on purpose, both are written down with the reason, so that a change in either is noticed.
Parts of the published side that ask AWS are replaced, which is why there is patching here.
"""

from __future__ import annotations

import functools
import inspect
import linecache
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import qjob.braket
from qjob.braket.default_names import name_for_image, name_of_function
from qjob.braket.hyperparameters import recorded, shown
from qjob.braket.image_uris import Framework, retrieve_image
from qjob.folder import JobFolder

published: Any = pytest.importorskip("braket.jobs")
published_local: Any = pytest.importorskip("braket.jobs.local")
published_aws: Any = pytest.importorskip("braket.aws")
published_creation: Any = pytest.importorskip("braket.jobs.quantum_job_creation")
published_images: Any = pytest.importorskip("braket.jobs.image_uris")
published_decorator: Any = sys.modules["braket.jobs.hybrid_job"]  # the name stands for the function

NOW = "1700000000000"


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


# Names


def test_everything_that_braket_hands_out_is_there() -> None:
    names = {name for name, value in vars(published).items() if name[0] != "_" and not isinstance(value, ModuleType)}
    assert names <= set(qjob.braket.__all__)


def test_the_decorator_takes_what_brakets_takes() -> None:
    ours, theirs = parameters(qjob.braket.hybrid_job), parameters(published.hybrid_job)
    assert theirs.keys() - ours.keys() == set()
    assert ours.keys() - theirs.keys() == {"bare", "engine", "options", "python"}
    differing = {name for name in theirs if ours[name].default != theirs[name].default}
    # device may be left out; a logger is looked up when one is needed; the format is the same by its value.
    assert differing == {"device", "logger"}


def test_create_takes_what_brakets_local_create_takes_in_the_same_order() -> None:
    ours, theirs = parameters(qjob.braket.LocalQuantumJob.create), parameters(published_local.LocalQuantumJob.create)
    assert list(ours)[: len(theirs)] == list(theirs)
    for name in theirs:
        assert (ours[name].kind, ours[name].default) == (theirs[name].kind, theirs[name].default)


def test_create_takes_what_the_cloud_takes_by_name() -> None:
    ours, theirs = parameters(qjob.braket.LocalQuantumJob.create), parameters(published_aws.AwsQuantumJob.create)
    assert theirs.keys() - ours.keys() == set()


@pytest.mark.parametrize("framework", list(Framework))
@pytest.mark.parametrize("region", ["us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1"])
def test_containers_have_the_published_uris(framework: Framework, region: str) -> None:
    assert retrieve_image(framework, region) == published_images.retrieve_image(framework.value, region)


# Default names


def published_name(**asked: Any) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are cut
        return str(published_creation._generate_default_job_name(timestamp=NOW, **asked))


def named(name: str) -> Callable[[], None]:
    def function() -> None: ...

    function.__name__ = name
    return function


@pytest.mark.parametrize("name", ["train", "train_model", "a__b_", "f" * 36, "f" * 38, "f" * 60, "Train2"])
def test_a_function_names_its_job_as_published(name: str) -> None:
    assert name_of_function(name, int(NOW))[0] == published_name(func=named(name))


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("f" * 37, "f" * 37, "f" * 36),  # 51 characters, which Braket itself then refuses
        ("_private", "-private", "private"),  # refused: a hyphen first
        ("größe", "größe", "gr-e"),  # refused: no letters of ASCII
        ("<lambda>", "<lambda>", "lambda"),  # refused
    ],
)
def test_where_braket_refuses_its_own_default_name_ours_is_valid(name: str, theirs: str, ours: str) -> None:
    assert published_name(func=named(name)) == f"{theirs}-{NOW}"
    with pytest.raises(ValueError, match="Invalid quantum job name"):
        published_creation._validate_quantum_job_name(published_name(func=named(name)))
    assert name_of_function(name, int(NOW))[0] == f"{ours}-{NOW}"


@pytest.mark.parametrize(
    "image",
    [None, "", "r/amazon-braket-pytorch-jobs:latest", "r/amazon-braket-mine:1", "other:1", "r/amazon-braket-a/b:1"],
)
def test_an_image_names_its_job_as_published(image: str | None) -> None:
    assert name_for_image(image, int(NOW)) == published_name(image_uri=image)


# Hyperparameters


@given(st.text(min_size=1, max_size=6000))
def test_values_are_shown_as_published(text: str) -> None:
    assert shown(text) == published_decorator._sanitize(text)


def test_an_empty_value_is_shown_as_one_that_the_service_takes() -> None:
    assert (published_decorator._sanitize(""), shown("")) == ("", "''")


def all_kinds(a: int, b: str = "b", *, c: float = 0.5, **more: Any) -> None: ...


def of_places(a: int, /, b: int, *args: int) -> None: ...


CALLS: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = [
    (all_kinds, (1,), {}),
    (all_kinds, (1, 2), {"c": None, "d": [1, 2], "e": {"x": (1,)}}),
    (of_places, (1, 2, 3), {}),
    (functools.partial(all_kinds, 1), (), {"b": "x"}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), CALLS)
def test_arguments_are_recorded_as_published(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of positional arguments: the text of ours is another
        theirs = published_decorator._log_hyperparameters(function, args, kwargs)
    assert recorded(function, args, kwargs).hyperparameters == theirs


# The generated job


@pytest.fixture
def published_job(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Call a function by Braket's decorator, and then what it generated, as its container would; give the results."""
    job = tmp_path / "published"
    monkeypatch.setattr(published_decorator, "_validate_python_version", lambda *_: None)

    def create(arguments: dict[str, Any], local: bool) -> None:
        shutil.copytree(arguments["source_module"], job / arguments["entry_point"].partition(".")[0])
        (job / "entry_point").write_text(arguments["entry_point"])
        for channel, path in (arguments.get("input_data") or {}).items():
            shutil.copytree(path, job / "input" / channel)

    monkeypatch.setattr(published_decorator, "_create_job", create)

    def run(function: Callable[..., Any], *args: Any, **options: Any) -> Path:
        published.hybrid_job(device=None, **options)(function)(*args)
        (job / "results").mkdir()
        monkeypatch.setenv("AMZN_BRAKET_JOB_RESULTS_DIR", str(job / "results"))
        monkeypatch.setenv("AMZN_BRAKET_INPUT_DIR", str(job / "input"))
        monkeypatch.syspath_prepend(str(job))
        module, _, name = (job / "entry_point").read_text().partition(":")
        __import__(module)
        getattr(sys.modules[module], name)()
        os.chdir(here)
        return job / "results"

    yield run
    linecache.clearcache()


def test_a_job_leaves_what_brakets_leaves(
    here: Path, published_job: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """But for a lambda or a comprehension inside: for those Braket's job needs a path in its own container."""

    def plain(steps: int) -> dict[str, Any]:
        Path("note.txt").write_text("mine")
        return {"steps": steps, "files": sorted(os.listdir("data/set"))}

    (here / "data" / "set").mkdir(parents=True)
    (here / "data" / "set" / "a.csv").write_text("1")
    ours = qjob.braket.hybrid_job(device=None, input_data={"c": "data/set"})(plain)(3)
    ours.wait()
    theirs = published_job(plain, 3, input_data={"c": "data/set"})
    folder = JobFolder(Path(ours.metadata()["qjob"]["folder"]))
    assert sorted(os.listdir(folder.results)) == sorted(os.listdir(theirs)) == ["note.txt", "results.json"]
    for name in os.listdir(theirs):
        assert (folder.results / name).read_bytes() == (theirs / name).read_bytes()
    said = capfd.readouterr().out.replace(str(theirs.parent), str(folder.path))
    assert said == ours.run_log


def test_a_second_call_is_a_defect_of_brakets_alone(here: Path, published_job: Callable[..., Path]) -> None:
    """Defect 1: the function's code is rewritten for good by the first call."""

    def function() -> int:
        return sum(n for n in range(3))

    decorated = published.hybrid_job(device=None)(function)
    decorated()
    with pytest.raises(KeyError):
        decorated()

    def fresh() -> int:
        return sum(n for n in range(3))

    jobs = [qjob.braket.hybrid_job(device=None)(fresh)() for _ in range(2)]
    assert [job.result()["result"] for job in jobs] == [3, 3]


def test_code_without_a_source_is_a_defect_of_brakets_alone(here: Path, published_job: Callable[..., Path]) -> None:
    """Defect 2."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("def function():\n    return sum(n for n in range(3))\n", namespace)
    with pytest.raises(OSError, match="could not get source code"):
        published.hybrid_job(device=None)(namespace["function"])()
    assert qjob.braket.hybrid_job(device=None)(namespace["function"])().result() == {"result": 3}
