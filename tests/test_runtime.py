"""What job code calls: the files it leaves, the lines it prints, and what it says when it cannot.

`qjob.runtime` learns where the job's directories are from environment variables, so these tests set them:
there is nothing that could be passed instead.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import random
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qjob
from qjob import runtime
from qjob.atomic import TEMPORARY_SUFFIX
from qjob.errors import ResultError
from qjob.runtime import PersistedJobDataFormat

PLAINTEXT = PersistedJobDataFormat.PLAINTEXT
PICKLED_V4 = PersistedJobDataFormat.PICKLED_V4

_VARIABLES = (
    "AMZN_BRAKET_JOB_NAME",
    "AMZN_BRAKET_DEVICE_ARN",
    "AMZN_BRAKET_JOB_RESULTS_DIR",
    "AMZN_BRAKET_CHECKPOINT_DIR",
    "AMZN_BRAKET_INPUT_DIR",
    "AMZN_BRAKET_HP_FILE",
)


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be outside a job, in an empty directory with an awkward name."""
    here = tmp_path / "a'; echo ü"
    here.mkdir()
    for variable in _VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def job(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be inside a job called ``vqe``; its directories are in the one returned."""
    for name in ("results", "checkpoints", "input"):
        (outside / name).mkdir()
    (outside / "hp.json").write_text('{"p": "3"}')
    monkeypatch.setenv("AMZN_BRAKET_JOB_NAME", "vqe")
    monkeypatch.setenv("AMZN_BRAKET_DEVICE_ARN", "local:braket/default")
    monkeypatch.setenv("AMZN_BRAKET_JOB_RESULTS_DIR", str(outside / "results"))
    monkeypatch.setenv("AMZN_BRAKET_CHECKPOINT_DIR", str(outside / "checkpoints"))
    monkeypatch.setenv("AMZN_BRAKET_INPUT_DIR", str(outside / "input"))
    monkeypatch.setenv("AMZN_BRAKET_HP_FILE", str(outside / "hp.json"))
    return outside


class Array:
    """What an array of any library looks like, as far as saving is concerned."""

    def __init__(self, items: list[Any]) -> None:
        self._items = items

    def tolist(self) -> list[Any]:
        return self._items


class Scalar:
    """What a single value of an array library looks like, as far as saving is concerned."""

    ndim = 0

    def __init__(self, value: object) -> None:
        self._value = value

    def item(self) -> object:
        return self._value


# --- where things are


def test_in_a_job_the_environment_says_where_things_are(job: Path) -> None:
    assert runtime.get_job_name() == "vqe"
    assert runtime.get_job_device_arn() == "local:braket/default"
    assert runtime.get_results_dir() == str(job / "results")
    assert runtime.get_checkpoint_dir() == str(job / "checkpoints")
    assert runtime.get_input_data_dir() == f"{job}/input/input"
    assert runtime.get_input_data_dir("graphs") == f"{job}/input/graphs"
    assert runtime.get_hyperparameters() == {"p": "3"}


@pytest.mark.usefixtures("outside")
def test_outside_a_job_everything_is_here() -> None:
    assert runtime.get_job_name() == ""
    assert runtime.get_job_device_arn() == "local:none/none"
    assert runtime.get_results_dir() == "."
    assert runtime.get_checkpoint_dir() == "."
    assert runtime.get_input_data_dir("graphs") == "."
    assert runtime.get_hyperparameters() == {}


def test_importing_it_loads_little() -> None:
    # -S: what a site's .pth files import is not our doing.
    source = str(Path(qjob.__file__).parent.parent)
    code = "import sys, qjob.runtime; print(*sys.modules)"
    command = [sys.executable, "-S", "-c", code]
    output = subprocess.run(command, env={"PYTHONPATH": source}, capture_output=True, check=True, text=True)
    loaded = set(output.stdout.split())
    costly = {"dataclasses", "inspect", "pathlib", "pickle", "base64", "datetime", "decimal", "logging"}
    assert "qjob.runtime" in loaded
    assert not loaded & costly
    assert {name.split(".")[0] for name in loaded} <= sys.stdlib_module_names | {"__main__", "qjob"}


# --- metrics


class CountingStream:
    """A stdout that notes what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def write(self, text: str) -> int:
        self.calls.append(text)
        return len(text)

    def flush(self) -> None:
        self.calls.append("(flush)")


def test_a_metric_is_one_write_and_goes_out_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = CountingStream()
    monkeypatch.setattr(sys, "stdout", stream)  # capsys joins the writes; their number is the point
    runtime.log_metric("energy", -1.5, timestamp=12.5, iteration_number=0)
    assert stream.calls == ["Metrics - timestamp=12.5; energy=-1.5; iteration_number=0;\n", "(flush)"]


def test_the_time_zero_is_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    runtime.log_metric("energy", 1, timestamp=0)
    assert capsys.readouterr().out == "Metrics - timestamp=0; energy=1;\n"


def test_a_metric_without_a_timestamp_happened_now(capsys: pytest.CaptureFixture[str]) -> None:
    before = time.time()
    runtime.log_metric("energy", 1)
    stamp = capsys.readouterr().out.split("timestamp=")[1].split(";")[0]
    assert before <= float(stamp) <= time.time()


# --- results


def test_results_are_one_json_line_in_the_published_form(job: Path) -> None:
    runtime.save_job_result({"b": [1, 2.5], "a": None})
    assert (job / "results/results.json").read_bytes() == (
        b'{"braketSchemaHeader": {"name": "braket.jobs_data.persisted_job_data", "version": "1"}, '
        b'"dataDictionary": {"b": [1, 2.5], "a": null}, "dataFormat": "plaintext"}'
    )


def test_a_pickled_value_is_base64_in_lines_of_76(job: Path) -> None:
    runtime.save_job_result({"flag": True, "long": "x" * 100}, PICKLED_V4)
    document = json.loads((job / "results/results.json").read_text())
    assert document["dataFormat"] == "pickled_v4"
    assert document["dataDictionary"]["flag"] == "gASILg==\n"
    lines = document["dataDictionary"]["long"].split("\n")
    assert len(lines[0]) == 76
    assert lines[-1] == ""


@pytest.mark.parametrize("value", [3, None, [], "text", (1, 2)])
@pytest.mark.usefixtures("job")
def test_what_is_no_dict_is_saved_as_result(value: object) -> None:
    runtime.save_job_result(value)
    assert runtime.load_job_result() == {"result": value}


@pytest.mark.usefixtures("job")
def test_without_a_file_the_results_are_empty() -> None:
    assert runtime.load_job_result() == {}


def test_results_can_be_loaded_from_another_file(outside: Path) -> None:
    runtime.save_job_result({"x": 1})
    (outside / "results.json").rename(outside / "kept.json")
    assert runtime.load_job_result("kept.json") == {"x": 1}
    assert runtime.load_job_result(outside / "kept.json") == {"x": 1}
    assert runtime.load_job_result() == {}


@pytest.mark.usefixtures("job")
def test_results_add_up_and_the_later_value_wins() -> None:
    runtime.save_job_result({"a": 1, "b": 1})
    runtime.save_job_result({"b": 2, "c": 2})
    assert list(runtime.load_job_result().items()) == [("a", 1), ("b", 2), ("c", 2)]


@pytest.mark.usefixtures("job")
def test_a_number_as_a_key_replaces_its_text() -> None:
    runtime.save_job_result({"1": "old", "x": 0})
    runtime.save_job_result({1: "new"})
    assert runtime.load_job_result() == {"1": "new", "x": 0}


@pytest.mark.usefixtures("job")
def test_asking_for_pickle_pickles_what_was_plain() -> None:
    runtime.save_job_result({"a": [1]})
    runtime.save_job_result({"b": 1j}, PICKLED_V4)
    assert runtime.load_job_result(allow_pickle=True) == {"a": [1], "b": 1j}


@pytest.mark.usefixtures("job")
def test_pickled_results_stay_pickled() -> None:
    runtime.save_job_result({"a": 1j}, PICKLED_V4)
    runtime.save_job_result({"b": 2j})
    assert runtime.load_job_result(allow_pickle=True) == {"a": 1j, "b": 2j}


def test_plain_text_on_top_of_pickled_results_is_refused(job: Path) -> None:
    runtime.save_job_result({"a": 1j}, PICKLED_V4)
    before = (job / "results/results.json").read_bytes()
    with pytest.raises(TypeError, match="leave data_format out"):
        runtime.save_job_result({"b": 2}, PLAINTEXT)
    assert (job / "results/results.json").read_bytes() == before


class Bomb:
    """An object that tells when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, int]]:
        return os.mkdir, (str(self.mark), 0o700)


def test_saving_runs_none_of_the_code_in_pickled_results(job: Path) -> None:
    runtime.save_job_result({"a": Bomb(job / "mark")}, PICKLED_V4)
    before = json.loads((job / "results/results.json").read_text())["dataDictionary"]["a"]
    runtime.save_job_result({"b": 1})
    after = json.loads((job / "results/results.json").read_text())["dataDictionary"]
    assert after["a"] == before
    assert not (job / "mark").exists()


def test_loading_runs_none_of_it_either_unless_told_so(job: Path) -> None:
    runtime.save_job_result({"a": Bomb(job / "mark")}, PICKLED_V4)
    with pytest.raises(ResultError, match="allow_pickle=True") as caught:
        runtime.load_job_result()
    assert isinstance(caught.value, RuntimeError)
    assert not (job / "mark").exists()
    runtime.load_job_result(allow_pickle=True)
    assert (job / "mark").exists()


# --- checkpoints


@pytest.mark.parametrize(("suffix", "name"), [("", "vqe.json"), ("best", "vqe_best.json")])
def test_a_checkpoint_is_a_file_with_the_jobs_name(job: Path, suffix: str, name: str) -> None:
    runtime.save_job_checkpoint({"step": 7}, suffix)
    assert [file.name for file in (job / "checkpoints").iterdir()] == [name]
    assert runtime.load_job_checkpoint(checkpoint_file_suffix=suffix) == {"step": 7}
    assert runtime.load_job_checkpoint("vqe", suffix) == {"step": 7}


@pytest.mark.usefixtures("job")
def test_a_checkpoint_replaces_the_one_before() -> None:
    runtime.save_job_checkpoint({"a": 1j}, data_format=PICKLED_V4)
    runtime.save_job_checkpoint({"b": 2})
    assert runtime.load_job_checkpoint() == {"b": 2}


@pytest.mark.usefixtures("job")
def test_a_pickled_checkpoint_needs_leave_to_be_loaded() -> None:
    runtime.save_job_checkpoint({"a": 1j}, data_format=PICKLED_V4)
    with pytest.raises(ResultError, match="allow_pickle=True"):
        runtime.load_job_checkpoint()
    assert runtime.load_job_checkpoint(allow_pickle=True) == {"a": 1j}


@pytest.mark.parametrize("nothing", [None, {}])
@pytest.mark.usefixtures("job")
def test_an_empty_checkpoint_is_refused(nothing: Any) -> None:
    with pytest.raises(ValueError, match="checkpoint_data is empty"):
        runtime.save_job_checkpoint(nothing)


@pytest.mark.usefixtures("job")
def test_a_checkpoint_is_a_dict() -> None:
    with pytest.raises(TypeError, match="must be a dict, not list"):
        runtime.save_job_checkpoint([1, 2])  # type: ignore[arg-type]


def test_a_missing_checkpoint_says_what_there_is_instead(job: Path) -> None:
    runtime.save_job_checkpoint({"a": 1}, "best")
    (job / f"checkpoints/.vqe.json.1{TEMPORARY_SUFFIX}").write_text("{")
    with pytest.raises(FileNotFoundError) as caught:
        runtime.load_job_checkpoint()
    assert caught.value.filename == str(job / "checkpoints/vqe.json")
    assert "its directory has vqe_best.json" in str(caught.value)
    assert TEMPORARY_SUFFIX not in str(caught.value)


@pytest.mark.usefixtures("job")
def test_a_missing_checkpoint_says_that_there_is_no_other() -> None:
    with pytest.raises(FileNotFoundError, match="no other in its directory"):
        runtime.load_job_checkpoint("qaoa")


def test_of_many_checkpoints_ten_are_named(job: Path) -> None:
    for number in range(11):
        (job / f"checkpoints/vqe_{number:02}.json").touch()
    with pytest.raises(FileNotFoundError, match=r"vqe_09\.json, \.\.\.:"):
        runtime.load_job_checkpoint()


def test_the_last_three_versions_are_kept_beside_it(job: Path) -> None:
    for step in range(5):
        runtime.save_job_checkpoint({"step": step}, "best")
    files = ["vqe_best.json", "vqe_best.json.1", "vqe_best.json.2"]
    assert sorted(file.name for file in (job / "checkpoints").iterdir()) == files
    assert [runtime.read_persisted(job / "checkpoints" / name, False) for name in files] == [
        {"step": 4},
        {"step": 3},
        {"step": 2},
    ]


def test_how_many_are_kept_is_in_the_environment(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.CHECKPOINTS_KEPT, "1")
    for step in range(3):
        runtime.save_job_checkpoint({"step": step})
    assert [file.name for file in (job / "checkpoints").iterdir()] == ["vqe.json"]


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5"])
def test_any_other_number_to_keep_is_refused(text: str, job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(runtime.CHECKPOINTS_KEPT, text)
    with pytest.raises(ValueError, match=f"QJOB_CHECKPOINTS_KEPT is '{text}'; make it a whole number, 1 or more"):
        runtime.save_job_checkpoint({"step": 1})
    assert list((job / "checkpoints").iterdir()) == []


def test_a_damaged_checkpoint_is_replaced_by_the_one_before(job: Path) -> None:
    runtime.save_job_checkpoint({"step": 1})
    runtime.save_job_checkpoint({"step": 2})
    (job / "checkpoints/vqe.json").unlink()  # it may share its bytes with a version
    (job / "checkpoints/vqe.json").write_bytes(b"")
    with pytest.warns(RuntimeWarning, match=r"vqe\.json is damaged .*vqe\.json\.1, which is older, is taken") as caught:
        assert runtime.load_job_checkpoint() == {"step": 1}
    assert caught[0].filename == __file__


# --- formats


class ForeignFormat(Enum):
    """An enum of somebody else with the published values."""

    PLAINTEXT = "plaintext"
    PICKLED_V4 = "pickled_v4"


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        (PLAINTEXT, "plaintext"),
        (PICKLED_V4, "pickled_v4"),
        (ForeignFormat.PLAINTEXT, "plaintext"),
        (ForeignFormat.PICKLED_V4, "pickled_v4"),
        ("plaintext", "plaintext"),
        ("PlainText", "plaintext"),
        ("pickle", "pickled_v4"),
        ("PICKLE", "pickled_v4"),
        ("pickled_v4", "pickled_v4"),
        ("Pickled_V4", "pickled_v4"),
    ],
)
def test_a_format_means_what_it_says(job: Path, asked: Any, stored: str) -> None:
    runtime.save_job_result({"a": [1]}, asked)
    runtime.save_job_checkpoint({"a": [1]}, data_format=asked)
    for file in (job / "results/results.json", job / "checkpoints/vqe.json"):
        assert json.loads(file.read_text())["dataFormat"] == stored
        assert runtime.read_persisted(file, allow_pickle=stored == "pickled_v4") == {"a": [1]}


@pytest.mark.parametrize("asked", ["", "json", "pickled_v5", 4, b"pickle", Enum("Other", {"A": 1}).A])  # type: ignore[attr-defined]
def test_any_other_format_is_refused(job: Path, asked: Any) -> None:
    with pytest.raises(ValueError, match=r'PICKLED_V4.*"plaintext", "pickle", "pickled_v4"'):
        runtime.save_job_result({"a": 1}, asked)
    with pytest.raises(ValueError, match="is unknown"):
        runtime.save_job_checkpoint({"a": 1}, data_format=asked)
    assert list((job / "results").iterdir()) == list((job / "checkpoints").iterdir()) == []


# --- values that can and that cannot be saved


def test_single_numbers_of_array_libraries_are_numbers(job: Path) -> None:
    values = {"int": Scalar(3), "bool": Scalar(True), "float": Scalar(0.5)}
    assert _saved_text(values, job) == '{"int": 3, "bool": true, "float": 0.5}'


def test_a_decimal_may_be_no_number(job: Path) -> None:
    values = {"nan": Decimal("NaN"), "inf": Decimal("-Infinity")}
    assert _saved_text(values, job) == '{"nan": NaN, "inf": -Infinity}'


def _saved_text(values: dict[str, Any], job: Path) -> str:
    runtime.save_job_result(values)
    text = (job / "results/results.json").read_text()
    return text.partition('"dataDictionary": ')[2].partition(', "dataFormat": ')[0]


def _loop() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"params": [0, 1, Array([1])]},
            r"^result_data\['params'\]\[2\]: .*Array cannot .*use \.tolist\(\), or pass ",
        ),
        (
            {"a": {"b": object()}},
            r"^result_data\['a'\]\['b'\]: object cannot .*turn it into numbers, .*, or pass data_format=",
        ),
        (Array([1]), r"^result_data\['result'\]: .*Array cannot"),
        ({"a": Scalar("text")}, r"^result_data\['a'\]: .*Scalar cannot"),
        ({"a": {Scalar("x")}}, r"^result_data\['a'\]\[0\]: .*Scalar cannot"),
        ({"a": {(1, Scalar("x")): 1}}, r"^result_data\['a'\]\[0\]\[1\]: .*Scalar cannot"),
        ({"a": object()}, r"^result_data\['a'\]: object cannot .*PersistedJobDataFormat\.PICKLED_V4$"),
        ({"a": iter([1])}, r"^result_data\['a'\]: list_iterator cannot .*use list\(\.\.\.\)$"),
        ({"a": _loop()}, r"^result_data\['a'\]\[0\] contains itself"),
        ({None: 3}, r"^result_data: the key None is a NoneType; make it a str"),
        ({"a": [1, 10**5000]}, r"^result_data\['a'\]\[1\] cannot be saved as plain text: .*digits"),
    ],
)
def test_what_cannot_be_saved_is_named_and_costs_no_earlier_result(job: Path, value: Any, message: str) -> None:
    runtime.save_job_result({"three days": "of work"})
    before = (job / "results/results.json").read_bytes()
    with pytest.raises(TypeError, match=message):
        runtime.save_job_result(value)
    assert (job / "results/results.json").read_bytes() == before
    assert len(list((job / "results").iterdir())) == 1


def test_what_cannot_be_saved_costs_no_earlier_checkpoint(job: Path) -> None:
    runtime.save_job_checkpoint({"step": 1})
    with pytest.raises(TypeError, match=r"^checkpoint_data\['state'\]: .*Array cannot be saved"):
        runtime.save_job_checkpoint({"step": 2, "state": Array([1])})
    with pytest.raises(TypeError, match=r"^checkpoint_data\['f'\] cannot be pickled \(.*lambda"):
        runtime.save_job_checkpoint({"step": 2, "f": lambda: 1}, data_format=PICKLED_V4)
    assert runtime.load_job_checkpoint() == {"step": 1}
    assert len(list((job / "checkpoints").iterdir())) == 1


@pytest.mark.usefixtures("job")
def test_all_that_cannot_be_saved_is_named_at_once() -> None:
    with pytest.raises(TypeError) as caught:
        runtime.save_job_result({"a": object(), "fine": 1, "b": [object()]})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "result_data['a']",
        "result_data['b'][0]",
    ]


@pytest.mark.usefixtures("job")
def test_of_many_places_ten_are_named() -> None:
    with pytest.raises(TypeError) as caught:
        runtime.save_job_result([object() for _ in range(11)])
    lines = str(caught.value).splitlines()
    assert lines[9].startswith("result_data['result'][9]:")
    assert lines[10:] == ["..."]


@pytest.mark.usefixtures("job")
def test_bottomless_data_is_refused() -> None:
    deep: list[Any] = []
    for _ in range(2 * sys.getrecursionlimit()):
        deep = [deep]
    with pytest.raises(TypeError, match="result_data is nested too deeply"):
        runtime.save_job_result(deep)


_words = st.text(max_size=5)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("data_format", [PLAINTEXT, PICKLED_V4])
# The fixture's directory is the same for every example; each one replaces the checkpoint of the one before.
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.dictionaries(_words, _json_values, min_size=1, max_size=3))
@pytest.mark.usefixtures("job")
def test_json_values_come_back_as_they_were(data: dict[str, Any], data_format: PersistedJobDataFormat) -> None:
    runtime.save_job_checkpoint(data, data_format=data_format)
    assert runtime.load_job_checkpoint(allow_pickle=True) == data


# --- damaged files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"dataDictionary": {}}',
        b'{"dataDictionary": [], "dataFormat": "plaintext"}',
        b'{"dataDictionary": {}, "dataFormat": null}',
        b'{"braketSchemaHeader": {"name": "other", "version": "1"}, "dataDictionary": {}, "dataFormat": ""}',
    ],
)
def test_a_damaged_file_is_reported_and_not_overwritten(job: Path, content: bytes) -> None:
    file = job / "results/results.json"
    file.write_bytes(content)
    with pytest.raises(ResultError, match=r"results\.json"):
        runtime.load_job_result()
    with pytest.raises(ResultError, match=r"results\.json"):
        runtime.save_job_result({"a": 1})
    assert file.read_bytes() == content


def _pickled_text(data: bytes) -> str:
    return base64.encodebytes(data).decode()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "'a' cannot be unpickled"),
        ("é", "'a' cannot be unpickled"),
        ("A", "'a' cannot be unpickled"),
        ("", "'a' cannot be unpickled"),
        (_pickled_text(pickle.dumps([1, 2], 4)[:-2]), "'a' cannot be unpickled"),
        (_pickled_text(b"cqjob.runtime\nNoSuchThing\n."), "'a' cannot be unpickled"),
        (_pickled_text(b"cno_such_module\nThing\n."), "'a' needs a module that is not here"),
    ],
)
def test_damaged_pickles_are_reported(outside: Path, value: object, message: str) -> None:
    document = {
        "dataDictionary": {"fine": _pickled_text(pickle.dumps(1)), "a": value},
        "dataFormat": "pickled_v4",
    }
    (outside / "results.json").write_text(json.dumps(document))
    with pytest.raises(ResultError, match=message):
        runtime.load_job_result(allow_pickle=True)


def test_an_unknown_format_word_is_read_as_plain_text(outside: Path) -> None:
    # Braket writes such a file for save_job_checkpoint(..., data_format="pickle").
    (outside / "results.json").write_text('{"dataDictionary": {"a": [1]}, "dataFormat": "pickle"}')
    assert runtime.load_job_result() == {"a": [1]}


def test_read_persisted_leaves_a_missing_file_to_the_caller(outside: Path) -> None:
    with pytest.raises(FileNotFoundError):
        runtime.read_persisted(outside / "results.json", allow_pickle=False)


# --- full disks and sudden death

_SAVE_TOO_MUCH = """
import resource
from qjob.runtime import save_job_result
save_job_result({"a": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    save_job_result({"b": "x" * 100_000})
except OSError as error:
    print(type(error).__name__, "as it must be")
"""


@pytest.mark.fault
def test_a_save_that_finds_no_room_leaves_the_earlier_results(job: Path) -> None:
    output = subprocess.run([sys.executable, "-c", _SAVE_TOO_MUCH], capture_output=True, check=True, text=True)
    assert output.stdout == "OSError as it must be\n"
    assert runtime.load_job_result() == {"a": 1}
    assert [file.name for file in (job / "results").iterdir()] == ["results.json"]


_SAVE_FOR_EVER = """
import itertools, sys
from qjob.runtime import save_job_checkpoint
for step in itertools.count(int(sys.argv[1])):
    save_job_checkpoint({"step": step, "state": f"{step:9} " * 200_000})
    print(step, flush=True)
"""
_KILLS = 30


@pytest.mark.fault
def test_a_killed_job_leaves_its_last_checkpoint_whole(job: Path) -> None:
    moments = random.Random(20240229)
    step = 0
    for _ in range(_KILLS):
        reported = _save_until_killed(step + 1, moments)
        checkpoint = runtime.load_job_checkpoint()
        step = checkpoint["step"]
        assert checkpoint["state"] == f"{step:9} " * 200_000
        assert reported <= step <= reported + 1
    assert step >= _KILLS
    left_over = {file.name for file in (job / "checkpoints").iterdir()} - {"vqe.json", "vqe.json.1", "vqe.json.2"}
    assert all(name.endswith(TEMPORARY_SUFFIX) for name in left_over)
    with pytest.raises(FileNotFoundError, match=r"its directory has vqe\.json:"):
        runtime.load_job_checkpoint("qaoa")


def _save_until_killed(first_step: int, moments: random.Random) -> int:
    """Let a process save checkpoints, kill it at a random moment and return the last reported step."""
    command = [sys.executable, "-c", _SAVE_FOR_EVER, str(first_step)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0, 0.02))  # not waiting for anything: this is the random moment
        process.kill()
        more = process.stdout.read().split()
    return int(more[-1]) if more else first_step
