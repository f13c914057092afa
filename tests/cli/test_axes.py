"""What the command line takes for the values of a sweep."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.cli.axes import axes, grid_values, points_in, random_range
from qjob.errors import InvalidInput
from qjob.model.points import MAX_POINTS

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,2,3", ["1", "2", "3"]),
        ("1", ["1"]),
        (" a , b c ", ["a", "b c"]),
        ("COBYLA,L-BFGS-B", ["COBYLA", "L-BFGS-B"]),
        ("0:3:4", [0, 1, 2, 3]),
        ("3:0:4", [3, 2, 1, 0]),
        ("5:5:2", [5, 5]),
        ("0:1:3", [0, 0.5, 1]),
        ("0:1:11", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ("-1:1.0:3", [-1, 0.0, 1.0]),
        ("1e-3:2e-3:2", [0.001, 0.002]),
        ("0:9007199254740993:2", [0, 9007199254740993]),  # 2^53 + 1, which is no float
        ("s3://bucket/a:b", ["s3://bucket/a:b"]),
        ("a:b:c,d", ["a:b:c", "d"]),
        ("0:x:3", ["0:x:3"]),
        ("nan:1:2", ["nan:1:2"]),
        ("0:inf:2", ["0:inf:2"]),
        ("ü,日本", ["ü", "日本"]),
        ("x=1,y=2", ["x=1", "y=2"]),
    ],
)
def test_the_values_of_a_grid(text: str, values: list[Any]) -> None:
    found = grid_values("a", text)
    assert found == values
    assert list(map(type, found)) == list(map(type, values)) or any(isinstance(each, float) for each in values)


@pytest.mark.parametrize(
    "text", ["0:1", "0:1:", "0:1:1", "0:1:0", "0:1:-2", "0:1:2.5", "0:1:2:3", "0:1:x", f"0:1:{MAX_POINTS + 1}"]
)
def test_what_begins_as_a_range_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--grid a=.* a range is START:STOP:COUNT"):
        grid_values("a", text)


def test_a_range_too_wide_for_numbers_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a range is START"):
        grid_values("a", "-1e308:1e308:3")


@pytest.mark.parametrize("text", ["", ",", "1,,2", "1,", " "])
def test_an_empty_value_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="there is an empty value"):
        grid_values("a", text)
    with pytest.raises(InvalidInput, match="there is an empty value"):
        random_range("a", text)


@settings(max_examples=50)
@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100), st.integers(2, 50))
def test_a_range_has_so_many_numbers_and_both_ends(start: float, stop: float, count: int) -> None:
    found = grid_values("a", f"{start!r}:{stop!r}:{count}")
    assert (len(found), found[0], found[-1]) == (count, start, stop)
    assert found == sorted(found, reverse=stop < start)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0:3.14", (0, 3.14)),
        ("1:6", (1, 6)),
        ("1e-4:1e-1:log", (1e-4, 1e-1, "log")),
        ("1,2,4", ["1", "2", "4"]),
        ("X", ["X"]),
        ("a:b", ["a:b"]),
    ],
)
def test_the_range_of_random_values(text: str, wanted: object) -> None:
    assert random_range("a", text) == wanted


@pytest.mark.parametrize("text", ["0:", "0:x", "0:1:", "0:1:lin", "0:1:log:3", "0:nan", "1:inf"])
def test_what_begins_as_a_random_range_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="a range is LOW:HIGH or LOW:HIGH:log"):
        random_range("a", text)


def test_axes_keep_their_order() -> None:
    assert list(axes([("b", "1"), ("a", "2,3")]).items()) == [("b", ["1"]), ("a", ["2", "3"])]


# Files of points


@pytest.mark.parametrize(
    ("name", "text", "points"),
    [
        ("p.csv", "a,b\n1,2\n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("p.CSV", "a\r\n1\r\n\r\n2\r\n", [{"a": "1"}, {"a": "2"}]),
        ("p.csv", "\ufeffa,b\n1,2", [{"a": "1", "b": "2"}]),  # as Excel writes it
        ("p.csv", "a, b\n1, 2\n", [{"a": "1", "b": "2"}]),
        ("p.csv", 'a,b\n"1,5","two\nlines\n"\n', [{"a": "1,5", "b": "two\nlines\n"}]),
        ("p.csv", 'a\n"say ""x"""\n', [{"a": 'say "x"'}]),
        ("p.csv", "a\nx\u2028y\x0bz\n", [{"a": "x\u2028y\x0bz"}]),
        ("p.csv", "a,b\n", []),
        ("p.csv", "", []),
        ("p.json", '[{"a": 1}, {"a": null, "b": true}]', [{"a": 1}, {"a": None, "b": True}]),
        ("p.jsonl", '{"a": 1.50}\n\n  {"b": "ü"}  \n', [{"a": 1.5}, {"b": "ü"}]),
        ("p.txt", '{"a": "x\u2028y"}\r\n{"a": 2}', [{"a": "x\u2028y"}, {"a": 2}]),
        ("p.json", '\ufeff\n [\n{"a":\n1}]', [{"a": 1}]),
        ("p.json", "", []),
    ],
)
def test_points_come_from_a_file(tmp_path: Path, name: str, text: str, points: list[Any]) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert points_in(path) == points


@settings(max_examples=30)
@given(st.lists(st.dictionaries(TEXT, TEXT | st.integers() | st.none()), max_size=5))
def test_points_of_json_lines_are_what_was_written(points: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "points.jsonl")
        path.write_bytes("\n".join(json.dumps(point, ensure_ascii=False) for point in points).encode())
        assert points_in(path) == points


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("p.csv", b"a,b\n1\n", "line 2 has not as many values"),
        ("p.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has not as many values"),
        ("p.csv", b'a\n"1"2\n', "expected after"),
        ("p.csv", b'a\n"1\n', "end of"),
        ("p.csv", b"a,a\n1,2\n", "a name stands twice"),
        ("p.csv", b"a\n" + b"x" * 140_000, "field larger"),
        ("p.csv", b"a\n\xff\xfe\n", "codec can't decode"),
        ("p.json", b'{"a": 1', "delimiter"),
        ("p.json", b'{"a": 1} {"a": 2}', "Extra data"),
        ("p.json", b"a=1", "Expecting value"),
        ("p.json", b'[{"a": 1}', "delimiter"),
        ("p.json", b"[" * 100_000, "recursion"),
        ("none.json", None, "No such file"),
    ],
)
def test_a_file_without_points_is_refused_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as told:
        points_in(path)
    assert str(told.value).startswith(f"--points {path}: ")
    assert words in str(told.value)
    assert "an object a line" in str(told.value)
