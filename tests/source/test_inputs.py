"""`pack_inputs`: channels, their layout and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest

from qjob.errors import InvalidInput
from qjob.model.config import S3DataSourceConfig
from qjob.model.spec import InputChannel
from qjob.source.inputs import PackedInputs, pack_inputs


def make(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{name!a}")
    return folder


def written(packed: PackedInputs, folder: Path) -> set[str]:
    """Return the files of the job's ``input/``, after a look at the contents."""
    packed.write_to(folder)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def problems(input_data: Any) -> tuple[str, ...]:
    with pytest.raises(InvalidInput) as caught:
        pack_inputs(input_data)
    return caught.value.problems


def test_no_input_data_is_no_channel(tmp_path: Path) -> None:
    assert pack_inputs(None) == pack_inputs({}) == PackedInputs()
    assert written(pack_inputs(None), tmp_path) == set()


def test_one_folder_is_the_channel_input_with_its_contents(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "a.csv", "sub/b.csv", ".hidden", ".git/config", "__pycache__/c.pyc")
    make(tmp_path, "data_backup.csv", "data.csv")  # Braket takes these along: their names begin like the folder's
    (data / "empty").mkdir()
    (data / ".gitignore").write_text("*\n")
    packed = pack_inputs(data)
    assert packed.channels == (InputChannel(name="input", uri=data.resolve().as_uri()),)
    names = {"a.csv", "sub/b.csv", ".hidden", ".git/config", "__pycache__/c.pyc", ".gitignore"}
    assert written(packed, tmp_path / "job/input") == {f"input/{name}" for name in names}
    assert (tmp_path / "job/input/input/empty").is_dir()
    assert (tmp_path / "job/input/input/a.csv").read_text() == "'a.csv'"


def test_one_file_lies_below_its_channel_under_its_name(tmp_path: Path) -> None:
    make(tmp_path, "data.csv", "data.csv.old")
    assert written(pack_inputs(str(tmp_path / "data.csv")), tmp_path / "job") == {"input/data.csv"}


def test_each_channel_has_a_folder_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "train/x.csv", "y.csv")
    (tmp_path / "link").symlink_to("train")
    channels: dict[str, str | os.PathLike[str]] = {
        "b": tmp_path / "train",
        "a.1_-": str(tmp_path / "y.csv"),
        "c": tmp_path / "link",
        "a": tmp_path / "y.csv",
    }
    before = dict(channels)
    packed = pack_inputs(MappingProxyType[str, Any](channels))
    assert [channel.name for channel in packed.channels] == ["b", "a.1_-", "c", "a"]
    assert written(packed, tmp_path / "job") == {"b/x.csv", "a.1_-/y.csv", "c/x.csv", "a/y.csv"}
    assert channels == before
    assert packed.channels[2].uri == (tmp_path / "link").absolute().as_uri()


def test_any_name_goes_through_unchanged(tmp_path: Path, nasty_name: str) -> None:
    make(tmp_path / nasty_name, nasty_name)
    packed = pack_inputs({"folder": tmp_path / nasty_name, "file": tmp_path / nasty_name / nasty_name})
    assert written(packed, tmp_path / "job") == {f"folder/{nasty_name}", f"file/{nasty_name}"}
    for channel, path in zip(packed.channels, (nasty_name, f"{nasty_name}/{nasty_name}"), strict=True):
        uri = channel.uri.removeprefix("file://")
        assert unquote_to_bytes(uri) == os.fsencode(tmp_path.resolve() / path)


def test_data_on_s3_is_a_channel_with_nothing_to_copy(tmp_path: Path) -> None:
    ours = S3DataSourceConfig("s3://bucket/ours", content_type="text/csv")
    theirs = SimpleNamespace(config={"dataSource": {"s3DataSource": {"s3Uri": "s3://bucket/theirs"}}})
    before = repr(ours.config)
    packed = pack_inputs({"a": "s3://bucket/a", "b": ours, "c": theirs, "d": make(tmp_path / "d", "x")})
    assert packed.channels[:3] == (
        InputChannel(name="a", uri="s3://bucket/a"),
        InputChannel(name="b", uri="s3://bucket/ours", content_type="text/csv"),
        InputChannel(name="c", uri="s3://bucket/theirs"),
    )
    assert written(packed, tmp_path / "job") == {"d/x"}
    assert repr(ours.config) == before
    assert pack_inputs(ours).channels == (InputChannel(name="input", uri="s3://bucket/ours", content_type="text/csv"),)


@pytest.mark.examples
def test_brakets_own_class_is_understood() -> None:
    config = pytest.importorskip("braket.jobs.config", reason="the Braket SDK is not installed")
    given = config.S3DataSourceConfig("s3://bucket/key", content_type="text/csv")
    assert pack_inputs({"x": given}).channels == (
        InputChannel(name="x", uri="s3://bucket/key", content_type="text/csv"),
    )


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64, "...", "-", ".hidden"])
def test_names_of_the_pattern_are_taken(tmp_path: Path, name: str) -> None:
    assert pack_inputs({name: tmp_path}).channels[0].name == name


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "x" * 65, "a b", "ä", "a\n", "../up", 7, None, ("a",)])
def test_other_names_are_refused(tmp_path: Path, name: object) -> None:
    (problem,) = problems({name: tmp_path})
    assert problem.startswith(f"input channel {name!r}: ")
    assert "rename it" in problem


def test_at_most_twenty_channels(tmp_path: Path) -> None:
    channels = {f"c{number}": tmp_path for number in range(20)}
    assert len(pack_inputs(channels).channels) == 20
    (problem,) = problems(channels | {"one_more": tmp_path})
    assert "21 channels: at most 20" in problem


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("missing.csv", "does not exist"),
        ("", "must not be empty"),
        (None, "NoneType"),
        (3.5, "of type float"),
        (b"bytes", "of type bytes"),
        (["a", "b"], "of type list"),
        ({"nested": "x"}, "of type dict"),
        (SimpleNamespace(config=None), "of type SimpleNamespace"),
        (SimpleNamespace(config={"dataSource": {}}), "of type SimpleNamespace"),
        (SimpleNamespace(config={"dataSource": {"s3DataSource": {"s3Uri": 7}}}), "of type SimpleNamespace"),
    ],
)
def test_what_is_no_data_is_refused(value: object, words: str) -> None:
    (problem,) = problems({"x": value})
    assert words in problem
    assert problem.startswith("input channel 'x': ")


@pytest.mark.parametrize("value", [7, ["a.csv"], b"a.csv", object()])
def test_input_data_of_a_wrong_type_is_refused(value: object) -> None:
    (problem,) = problems(value)
    assert problem.startswith("input channel 'input': ")


def test_all_problems_are_told_at_once(tmp_path: Path, within: Callable[..., PackedInputs]) -> None:
    make(tmp_path / "data", "a.csv", "sub/b.csv")
    os.mkfifo(tmp_path / "data/pipe")
    (tmp_path / "data/gone").symlink_to("nowhere")
    (tmp_path / "data/sub/loop").symlink_to("..")
    with pytest.raises(InvalidInput) as caught:
        within(10, pack_inputs, {"a b": tmp_path / "data", "c": "missing", "d": tmp_path / "data/pipe", "e": 1})
    found = caught.value.problems
    expected = ["rename it", "does not exist", "a named pipe", "link back", "missing", "a named pipe", "of type int"]
    assert len(found) == len(expected)
    assert all(words in problem for words, problem in zip(expected, found, strict=True))


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    make(tmp_path, "in/x", "job/input/x")
    with pytest.raises(FileExistsError):
        pack_inputs(tmp_path / "in").write_to(tmp_path / "job")
    assert (tmp_path / "job/input/x").read_text() == "'job/input/x'"
