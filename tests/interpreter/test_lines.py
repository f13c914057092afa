"""Lines of the requirements format are told apart as pip does."""

from __future__ import annotations

from pathlib import Path

import pytest

from qjob.interpreter.lines import Kind, asks_for_packages, joined_text, read_lines


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("numpy", Kind.REQUIREMENT, "numpy"),
        ("  numpy >= 1 ; python_version > '3'  # why", Kind.REQUIREMENT, "numpy >= 1 ; python_version > '3'"),
        ("a @ https://x.org/a.zip#egg=a", Kind.REQUIREMENT, "a @ https://x.org/a.zip#egg=a"),
        ("a==1 \\\n  --hash=sha256:12", Kind.REQUIREMENT, "a==1   --hash=sha256:12"),
        ("-r more.txt", Kind.FILE, "more.txt"),
        ("-rmore.txt", Kind.FILE, "more.txt"),
        ("--requirement=more.txt", Kind.FILE, "more.txt"),
        ("--requirement 'm ore.txt'", Kind.FILE, "m ore.txt"),
        ("-c limits.txt", Kind.CONSTRAINTS, "limits.txt"),
        ("--constraint = limits.txt", Kind.CONSTRAINTS, "limits.txt"),
        ("-e .", Kind.EDITABLE, "."),
        ("-f https://x.org", Kind.FIND_LINKS, "https://x.org"),
        ("--find-links wheels", Kind.FIND_LINKS, "wheels"),
        ("--no-index", Kind.OPTION, "--no-index"),
        ("--require-hashes", Kind.OPTION, "--require-hashes"),
        ("--extra-index-url=https://x.org", Kind.OPTION, "--extra-index-url=https://x.org"),
        ("-i https://x.org", Kind.OPTION, "-i https://x.org"),
    ],
)
def test_a_line(text: str, kind: Kind, value: str) -> None:
    [line] = read_lines(text)
    assert (line.kind, line.value, line.path) == (kind, value, None)


@pytest.mark.parametrize("text", ["", "\n\n", "# a\n", "   # b \\\n", "\\\n"])
def test_no_line(text: str) -> None:
    assert read_lines(text) == []


def test_a_comment_does_not_go_on() -> None:
    assert [line.value for line in read_lines("# a \\\nnumpy")] == ["numpy"]


@pytest.mark.parametrize(
    ("text", "path", "extras"),
    [
        (".", ".", ""),
        ("./p kg", "p kg", ""),
        ("./p kg[x, y]", "p kg", "[x, y]"),
        ("./p kg ; python_version > '3'", "p kg", " ; python_version > '3'"),
        ("p kg/", "p kg", ""),
        ("-e p kg", "p kg", ""),
        ("a-1-py3-none-any.whl", "a-1-py3-none-any.whl", ""),
        ("a[x] @ {uri}", "p kg", "[x]"),
        ("{uri}", "p kg", ""),
        ("-e {uri}", "p kg", ""),
        ("-f p kg", "p kg", ""),
        ("-c limits.txt", "limits.txt", ""),
    ],
)
def test_what_a_line_names_is_found(tmp_path: Path, text: str, path: str, extras: str) -> None:
    (tmp_path / "p kg").mkdir()
    (tmp_path / "limits.txt").touch()
    (tmp_path / "a-1-py3-none-any.whl").touch()
    [line] = read_lines(text.format(uri=(tmp_path / "p kg").as_uri()), tmp_path / "nowhere", tmp_path)
    assert (line.path, line.extras) == (tmp_path / path, extras)


@pytest.mark.parametrize("text", ["pkg", "a @ https://x.org/pkg", "git+https://x.org/pkg", "--no-index", "-e ./other"])
def test_what_a_line_does_not_name_is_not_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "pkg").mkdir()
    assert [line.path for line in read_lines(text, tmp_path)] == [None]


def test_files_come_in_their_place_and_one_that_leads_round_to_itself_once(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("a\n-r two.txt\nb\n")
    (tmp_path / "two.txt").write_text("c\n-r one.txt\n")
    lines = read_lines("-r one.txt\nd\n-r none.txt", tmp_path)
    assert joined_text(lines) == "a\nc\nb\nd\n-r none.txt\n"


def test_what_can_be_no_path_names_nothing(tmp_path: Path) -> None:
    assert [line.path for line in read_lines(f"./{'a' * 300}\n./a\0b", tmp_path)] == [None, None]


@pytest.mark.parametrize(
    ("text", "asks"), [("-c x\n--no-index\n-f y", False), ("a", True), ("-e .", True), ("-r z", True)]
)
def test_options_ask_for_nothing(text: str, asks: bool) -> None:
    assert asks_for_packages(read_lines(text)) is asks
