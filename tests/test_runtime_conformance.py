"""The same calls made on `qjob.runtime` and on the published ``braket.jobs``: same bytes, same answers.

What JSON has itself is compared byte for byte. Where values are more than that, and where Braket can write them at all,
the bytes are the same but for one more key at the end, ``"qjob"``, which says what the values were.

Where the two differ on purpose, both behaviours are written down here, so that a change in either is noticed.
Both learn where their directories are from environment variables, hence the patching of those.
"""

from __future__ import annotations

import inspect
import ipaddress
import json
import os
import re
import uuid
from collections import Counter, OrderedDict, deque, namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qjob import runtime
from qjob.errors import ResultError

published: Any = pytest.importorskip("braket.jobs")
published_metrics: Any = pytest.importorskip("braket.jobs.metrics")
published_environment: Any = pytest.importorskip("braket.jobs.environment_variables")
published_data: Any = pytest.importorskip("braket.jobs_data")
np: Any = pytest.importorskip("numpy")

_FORMATS = ("PLAINTEXT", "PICKLED_V4")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two, and a directory for what it writes."""

    api: Any
    format: Any
    directory: Path

    @contextmanager
    def job(self) -> Iterator[None]:
        """Be in a job called ``vqe`` whose results and checkpoints go to the directory."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AMZN_BRAKET_JOB_NAME", "vqe")
            patch.setenv("AMZN_BRAKET_JOB_RESULTS_DIR", str(self.directory))
            patch.setenv("AMZN_BRAKET_CHECKPOINT_DIR", str(self.directory))
            yield

    def files(self) -> dict[str, bytes]:
        """Return what has been written, by name."""
        return {file.name: file.read_bytes() for file in self.directory.iterdir()}

    def files_but_for_types(self) -> dict[str, bytes]:
        """Return what has been written, without what we say of the types of the values."""
        return {name: _without_types(data) for name, data in self.files().items()}

    def clear(self) -> None:
        """Remove what has been written."""
        for file in self.directory.iterdir():
            file.unlink()


def _without_types(data: bytes) -> bytes:
    document = json.loads(data)
    if "qjob" not in document:
        return data
    end = ", " + json.dumps({"qjob": document["qjob"]})[1:]
    assert data.endswith(end.encode())
    return data.removesuffix(end.encode()) + b"}"


@pytest.fixture
def ours(tmp_path: Path) -> Side:
    """Return qjob's side."""
    (tmp_path / "ours").mkdir()
    return Side(api=runtime, format=runtime.PersistedJobDataFormat, directory=tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path: Path) -> Side:
    """Return Braket's side."""
    (tmp_path / "theirs").mkdir()
    return Side(api=published, format=published_data.PersistedJobDataFormat, directory=tmp_path / "theirs")


def _files_after(side: Side, saves: list[tuple[Any, str | None]]) -> dict[str, bytes]:
    _save_all(side, saves)
    return side.files()


def _save_all(side: Side, saves: list[tuple[Any, str | None]]) -> None:
    with side.job():
        for data, name in saves:
            side.api.save_job_result(data, None if name is None else side.format[name])


# --- signatures, names, values

_FUNCTIONS: list[tuple[Callable[..., Any], Any]] = [
    (runtime.log_metric, published_metrics.log_metric),
    (runtime.save_job_result, published.save_job_result),
    (runtime.load_job_result, published.load_job_result),
    (runtime.save_job_checkpoint, published.save_job_checkpoint),
    (runtime.load_job_checkpoint, published.load_job_checkpoint),
    (runtime.get_hyperparameters, published.get_hyperparameters),
    (runtime.get_job_name, published.get_job_name),
    (runtime.get_job_device_arn, published.get_job_device_arn),
    (runtime.get_input_data_dir, published.get_input_data_dir),
    (runtime.get_results_dir, published.get_results_dir),
    (runtime.get_checkpoint_dir, published.get_checkpoint_dir),
]


@pytest.mark.parametrize(("our_function", "their_function"), _FUNCTIONS, ids=lambda value: value.__name__)
def test_parameters_and_defaults_are_the_published_ones(our_function: Callable[..., Any], their_function: Any) -> None:
    assert _parameters(our_function) == _parameters(their_function)


def _parameters(function: Callable[..., Any]) -> list[tuple[str, object, object]]:
    parameters = inspect.signature(function).parameters.values()
    return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]


def test_the_formats_are_the_published_ones() -> None:
    names = {member.name: member.value for member in runtime.PersistedJobDataFormat}
    assert names == {member.name: member.value for member in published_data.PersistedJobDataFormat}
    assert str(runtime.PersistedJobDataFormat.PLAINTEXT) == str(published_data.PersistedJobDataFormat.PLAINTEXT)


@pytest.mark.parametrize("inside", [True, False])
def test_the_environment_is_read_alike(inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hp.json").write_text('{"p": "3", "ü": ""}', encoding="utf-8")
    for name in ("JOB_NAME", "DEVICE_ARN", "JOB_RESULTS_DIR", "CHECKPOINT_DIR", "INPUT_DIR"):
        monkeypatch.delenv(f"AMZN_BRAKET_{name}", raising=False)
        if inside:
            monkeypatch.setenv(f"AMZN_BRAKET_{name}", f"/some/{name}")
    monkeypatch.delenv("AMZN_BRAKET_HP_FILE", raising=False)
    if inside:
        monkeypatch.setenv("AMZN_BRAKET_HP_FILE", str(tmp_path / "hp.json"))
    for name in (
        "get_hyperparameters",
        "get_job_name",
        "get_job_device_arn",
        "get_input_data_dir",
        "get_results_dir",
        "get_checkpoint_dir",
    ):
        assert getattr(runtime, name)() == getattr(published_environment, name)()
    assert runtime.get_input_data_dir("x") == published_environment.get_input_data_dir("x")


@pytest.mark.parametrize(
    "arguments",
    [
        {"metric_name": "energy", "value": -1.5, "timestamp": 1700000000.25},
        {"metric_name": "energy", "value": 1, "timestamp": 1, "iteration_number": 0},
        {"metric_name": "train.loss", "value": float("nan"), "timestamp": 1.0, "iteration_number": 12},
        {"metric_name": "x", "value": np.float64(0.1), "timestamp": 1.0},
        {"metric_name": "x", "value": True, "timestamp": 1.0},
        {"metric_name": "x", "value": None, "timestamp": 1.0},
    ],
)
def test_a_metric_prints_the_same_line(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    published_metrics.log_metric(**arguments)
    line = capsys.readouterr().out
    runtime.log_metric(**arguments)
    assert capsys.readouterr().out == line


# --- what is written


class Word(Enum):
    """An enum."""

    A = "a"


class TextWord(str, Enum):  # noqa: UP042  the kind whose str() is not its value
    """An enum of texts."""

    A = "a"


class Number(IntEnum):
    """An enum of numbers."""

    ONE = 1


@dataclass
class Inner:
    """A dataclass in a dataclass."""

    when: datetime
    words: set[str] = field(default_factory=lambda: {"a"})


@dataclass
class Outer:
    """A dataclass with one in it."""

    inner: Inner
    more: list[Inner]
    point: tuple[int, ...] = (1, 2)


Point = namedtuple("Point", "x y")
_MOMENT = datetime(2024, 2, 29, 12, 30, 15, 250, tzinfo=UTC)
_COLLIDING = {0, 1, 2, 5, 37, 7, 8, 9}  # in CPython its order changes when it is built anew

JSON_VALUES: dict[str, Any] = {
    "none": None,
    "numbers": [0, -1, 2**70, 1.0, 1e300, 1e-7, -0.0, True, False],
    "not numbers": [float("nan"), float("inf"), float("-inf")],
    "text": ["", "ü→\u2028", "\ud800", 'quote " \\ \n', "\x00"],
    "empty": [{}, []],
    "nested": {"b": {"a": [{"z": [1, [2, [3]]]}]}, "a": 0},
    "addresses": [ipaddress.ip_address("::1"), ipaddress.ip_network("10.0.0.0/8")],
    "patterns": [re.compile("a+"), re.compile(b"a+"), ipaddress.ip_interface("10.0.0.1/8")],
    "header of braket": published_data.PersistedJobData(dataDictionary={"a": 1}, dataFormat="x"),
}
TYPED_VALUES: dict[str, Any] = {
    "empty containers": [(), set(), {}],
    "keys": {0: 1, 1.5: 2, True: 3, None: 4, "x": 5, TextWord.A: 6},
    "tuples": [(1, 2), Point(1, (2,)), ((),)],
    "sets": [{3}, frozenset({"x"}), {(1, 2)}, {frozenset({1})}, _COLLIDING, frozenset(_COLLIDING)],
    "times": [
        _MOMENT,
        _MOMENT.replace(tzinfo=None),
        date(2024, 2, 29),
        time_of_day(1, 2),
        timedelta(days=1, milliseconds=1),
    ],
    "decimals": [Decimal("1.50"), Decimal("1"), Decimal("1E+3"), Decimal("-0.1"), Decimal("1E-9")],
    "paths": [Path("a/b"), Path("/ü")],
    "bytes": [b"", b"abc", "ü".encode()],
    "enums": [Word.A, TextWord.A, Number.ONE],
    "dataclass": Outer(Inner(_MOMENT), [Inner(_MOMENT, {"b"})]),
    "floats of numpy": [np.float64(0.1), np.float64("nan"), np.str_("x"), {np.float64(1): 1}],
    "collections": [OrderedDict(b=1, a=2), Counter("aab"), deque([1, 2], maxlen=2)],
    "ids": [uuid.UUID(int=7)],
}


@pytest.mark.parametrize("value", JSON_VALUES.values(), ids=JSON_VALUES.keys())
def test_plain_results_and_checkpoints_are_the_same_bytes(value: Any, ours: Side, theirs: Side) -> None:
    _save_everywhere(value, ours, theirs)
    assert ours.files() == theirs.files()
    assert sorted(ours.files()) == ["results.json", "vqe.json", "vqe_best.json"]


@pytest.mark.parametrize("value", TYPED_VALUES.values(), ids=TYPED_VALUES.keys())
def test_typed_results_and_checkpoints_have_the_same_bytes_and_their_types(
    value: Any, ours: Side, theirs: Side
) -> None:
    _save_everywhere(value, ours, theirs)
    assert ours.files_but_for_types() == theirs.files()
    assert all(b', "qjob": {"version": 1, ' in data for data in ours.files().values())
    with theirs.job():
        assert str(published.load_job_result(ours.directory / "results.json")) == str(published.load_job_result())


def _save_everywhere(value: Any, *sides: Side) -> None:
    for side in sides:
        with side.job():
            side.api.save_job_result({"value": value})
            side.api.save_job_checkpoint({"first": 1, "value": value})
            side.api.save_job_checkpoint({"value": value}, "best")


PICKLED_VALUES: dict[str, Any] = (
    JSON_VALUES
    | TYPED_VALUES
    | {
        "arrays": [np.arange(100.0), np.eye(3, order="F"), np.array(["a"]), np.int64(3), np.zeros(2, complex)],
        "complex": 1j,
        "long": "x" * 1000,
        "a function": os.path.join,
    }
)


@pytest.mark.parametrize("value", PICKLED_VALUES.values(), ids=PICKLED_VALUES.keys())
def test_pickled_results_and_checkpoints_are_the_same_bytes(value: Any, ours: Side, theirs: Side) -> None:
    for side in (ours, theirs):
        with side.job():
            side.api.save_job_result({"first": 1, "value": value}, side.format.PICKLED_V4)
            side.api.save_job_checkpoint({"value": value}, data_format=side.format.PICKLED_V4)
    assert ours.files() == theirs.files()


@pytest.mark.parametrize(
    "data",
    [
        {0: "a", 2.5: "b", True: "c", np.float64(0.5): "d"},
        {"1": "a", 1: "b"},
        {TextWord.A: 1, Number.ONE: 2},
    ],
)
@pytest.mark.parametrize("format_name", _FORMATS)
def test_the_outermost_keys_become_the_same_text(
    data: dict[Any, Any], format_name: str, ours: Side, theirs: Side
) -> None:
    assert _files_after(ours, [(data, format_name)]) == _files_after(theirs, [(data, format_name)])


@pytest.mark.parametrize(
    "saves",
    [
        [({}, None)],
        [(None, None)],
        [(3, None), ([4], None)],
        [({"a": 1, "b": 1}, None), ({"b": 2, "c": 2}, None), ({"a": 3}, "PLAINTEXT")],
        [({"1": "a", "x": 0}, None), ({1: "b"}, None)],
        [({"a": 1, "b": [{"c": 1}, {"c": 2}]}, None), ({"d": 1j}, "PICKLED_V4")],
        [({"a": 1j}, "PICKLED_V4"), ({"b": np.arange(3)}, None), (4, "PICKLED_V4"), ({"a": 2}, None)],
        [({"a": np.eye(3, order="F"), "d": Outer(Inner(_MOMENT), [])}, "PICKLED_V4"), ({"b": 1}, None)],
        [({"a": 1j}, "PICKLED_V4"), ({}, None)],
        [({}, "PICKLED_V4"), ({"a": 1}, None)],
    ],
)
def test_saving_several_times_leaves_the_same_bytes(
    saves: list[tuple[Any, str | None]], ours: Side, theirs: Side
) -> None:
    assert _files_after(ours, saves) == _files_after(theirs, saves)


def test_a_mapping_can_be_a_checkpoint(ours: Side, theirs: Side) -> None:
    for side in (ours, theirs):
        with side.job():
            side.api.save_job_checkpoint(MappingProxyType({"a": 1}))
    assert ours.files() == theirs.files()


_words = st.text(max_size=5)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _words | st.decimals(-9, 9, places=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(_words | st.integers() | st.floats() | st.booleans() | st.none(), inner, max_size=3)
        | st.sets(st.integers() | st.dates())
        | st.frozensets(st.integers(0, 99), min_size=4)
    ),
    max_leaves=8,
)


_dicts = st.dictionaries(_words | st.integers(), _json_values, max_size=3)


# The directories are the same for every example, and emptied before each.
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(first=_dicts, second=_dicts)
def test_any_plain_data_leave_the_same_bytes(
    first: dict[Any, Any], second: dict[Any, Any], ours: Side, theirs: Side
) -> None:
    ours.clear()
    theirs.clear()
    for side in (ours, theirs):
        _save_all(side, [(first, None), (second, None)])
    assert ours.files_but_for_types() == theirs.files()


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=_dicts)
def test_any_pickled_data_leave_the_same_bytes(data: dict[Any, Any], ours: Side, theirs: Side) -> None:
    ours.clear()
    theirs.clear()
    assert _files_after(ours, [(data, "PICKLED_V4")]) == _files_after(theirs, [(data, "PICKLED_V4")])


# --- what is read


@pytest.mark.parametrize("format_name", _FORMATS)
def test_each_reads_what_the_other_wrote(format_name: str, ours: Side, theirs: Side) -> None:
    data = {"a": [1, {"b": None}], "c": "ü"}
    for writer, reader in ((ours, theirs), (theirs, ours)):
        with writer.job():
            writer.api.save_job_result(data, writer.format[format_name])
            writer.api.save_job_checkpoint(data, "best", writer.format[format_name])
            assert reader.api.load_job_result(allow_pickle=True) == data
            assert reader.api.load_job_checkpoint(None, "best", True) == data


def test_each_takes_the_others_format(ours: Side, theirs: Side) -> None:
    for side, other in ((ours, theirs), (theirs, ours)):
        with side.job():
            side.api.save_job_result({"a": [1]}, other.format.PICKLED_V4)
            side.api.save_job_checkpoint({"a": [1]}, data_format=other.format.PICKLED_V4)
    assert ours.files() == theirs.files()


@pytest.mark.parametrize(
    "document",
    [
        {"dataDictionary": {"a": 1}, "dataFormat": "plaintext"},
        {"dataDictionary": {"a": 1}, "dataFormat": "plaintext", "more": 1},
        {"dataDictionary": {"a": [1]}, "dataFormat": "pickle"},
        {"dataDictionary": {"a": float("nan")}, "dataFormat": ""},
        {"dataDictionary": {"flag": "gASILg==\n"}, "dataFormat": "pickled_v4"},
        {"dataDictionary": {"flag": "gASI\nLg=="}, "dataFormat": "pickled_v4"},
        {"dataDictionary": {}, "dataFormat": "pickled_v4"},
    ],
    ids=json.dumps,
)
def test_unusual_files_are_read_alike(document: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "some.json"
    file.write_text(json.dumps(document))
    assert str(runtime.load_job_result(file, True)) == str(published.load_job_result(file, True))


_MISTAKES: dict[str, tuple[type[Exception], Callable[[Side], Any]]] = {
    "no checkpoint": (FileNotFoundError, lambda side: side.api.load_job_checkpoint()),
    "empty checkpoint": (ValueError, lambda side: side.api.save_job_checkpoint({})),
    "checkpoint of nothing": (ValueError, lambda side: side.api.save_job_checkpoint(None)),
    "an array of objects": (TypeError, lambda side: side.api.save_job_result(np.array([object()]))),
    "a type": (TypeError, lambda side: side.api.save_job_result(int)),
    "a dataclass type": (TypeError, lambda side: side.api.save_job_result(Inner)),
    "a generator": (TypeError, lambda side: side.api.save_job_result(i for i in [1])),
    "an object in a dataclass": (
        TypeError,
        lambda side: side.api.save_job_result(Outer(object(), [])),  # type: ignore[arg-type]
    ),
}


@pytest.mark.parametrize(("error", "mistake"), _MISTAKES.values(), ids=_MISTAKES.keys())
def test_mistakes_raise_the_same_errors(
    error: type[Exception], mistake: Callable[[Side], Any], ours: Side, theirs: Side
) -> None:
    for side in (theirs, ours):
        with side.job(), pytest.raises(error):
            mistake(side)
    assert ours.files() == {}


def test_pickled_data_are_refused_with_the_same_error(ours: Side, theirs: Side) -> None:
    for side in (ours, theirs):
        with side.job():
            side.api.save_job_result({"a": 1}, side.format.PICKLED_V4)
            side.api.save_job_checkpoint({"a": 1}, data_format=side.format.PICKLED_V4)
            with pytest.raises(RuntimeError, match="allow_pickle=True"):
                side.api.load_job_result()
            with pytest.raises(RuntimeError, match="allow_pickle=True"):
                side.api.load_job_checkpoint()
            with pytest.raises(TypeError, match="pickled_v4"):
                side.api.save_job_result({"b": 1}, side.format.PLAINTEXT)


# --- where we differ, on purpose


def test_difference_a_failed_save_keeps_the_earlier_results(ours: Side, theirs: Side) -> None:
    for side in (ours, theirs):
        with side.job():
            side.api.save_job_result({"days": 3})
            with pytest.raises(TypeError):
                side.api.save_job_result(object())
    assert theirs.files() == {"results.json": b""}
    assert json.loads(ours.files()["results.json"])["dataDictionary"] == {"days": 3}


def test_difference_a_format_given_as_a_word_is_that_format(ours: Side, theirs: Side) -> None:
    for side in (ours, theirs):
        with side.job():
            side.api.save_job_checkpoint({"a": 1}, data_format="pickle")
    their_document = json.loads(theirs.files()["vqe.json"])
    our_document = json.loads(ours.files()["vqe.json"])
    assert (their_document["dataFormat"], their_document["dataDictionary"]) == ("pickle", {"a": 1})
    assert (our_document["dataFormat"], our_document["dataDictionary"]) == ("pickled_v4", {"a": "gARLAS4=\n"})


class Counted:
    """An object that knows how often it was pickled."""

    times = 0

    def __getstate__(self) -> dict[str, int]:
        return {"times": self.times + 1}


def test_difference_pickled_values_are_carried_over_unopened(ours: Side, theirs: Side) -> None:
    for side, times in ((ours, 1), (theirs, 2)):
        with side.job():
            side.api.save_job_result({"counted": Counted()}, side.format.PICKLED_V4)
            side.api.save_job_result({"more": 1})
            assert side.api.load_job_result(allow_pickle=True)["counted"].times == times


@pytest.mark.parametrize(
    ("value", "saved"),
    [
        (np.arange(3), "[0, 1, 2]"),
        (1 + 2j, "[1.0, 2.0]"),
        (np.complex128(1j), "[0.0, 1.0]"),
        (np.timedelta64(3, "ns"), '"3 nanoseconds"'),
        (bytearray(b"a"), '"a"'),
        (b"\xff", '"/w=="'),
        ({(1, 2): 3}, '{"(1, 2)": 3}'),
        (Fraction(1, 3), '"1/3"'),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.float32(0.5), "0.5"),
        (np.array(1.5), "1.5"),
        ([np.uint8(255)], "[255]"),
        (Decimal("NaN"), "NaN"),
    ],
)
def test_difference_more_than_json_is_saved(value: Any, saved: str, ours: Side, theirs: Side) -> None:
    with theirs.job(), pytest.raises((TypeError, UnicodeDecodeError)):
        theirs.api.save_job_result({"a": value})
    assert f'"dataDictionary": {{"a": {saved}}}'.encode() in _files_after(ours, [({"a": value}, None)])["results.json"]


def test_difference_the_time_zero_is_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    published_metrics.log_metric("energy", 1, timestamp=0)
    assert "timestamp=0;" not in capsys.readouterr().out
    runtime.log_metric("energy", 1, timestamp=0)
    assert "timestamp=0;" in capsys.readouterr().out


def test_difference_damaged_files_raise_our_own_error(ours: Side, theirs: Side) -> None:
    for side, error in ((theirs, ValueError), (ours, ResultError)):
        (side.directory / "results.json").write_bytes(b"")
        with side.job(), pytest.raises(error):
            side.api.load_job_result()
