"""What .gitignore files leave out of a source folder; git itself says what they mean."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.source.ignore import Ignore, parse_rules
from qjob.source.tree import read_tree

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git, which is the oracle, is not installed")


@pytest.fixture(scope="module")
def repository() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "init", "--quiet", "--template=", folder], check=True)
        yield Path(folder)


def fill(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder hold these files and nothing else but its repository."""
    for entry in folder.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    for name, content in files.items():
        # Where a folder or a file has the name already, or macOS does not take it, there is no file.
        with contextlib.suppress(OSError):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)


def taken_by_git(folder: Path) -> set[bytes]:
    command = ["git", "ls-files", "-z", "--others", "--exclude-per-directory=.gitignore"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return {name for name in done.stdout.split(b"\0") if name}


def taken_by_us(folder: Path) -> set[bytes]:
    return {os.fsencode(file.relative) for file in read_tree(str(folder), Ignore()).files}


FILES = ["keep.py", "drop.log", "a/keep.py", "a/drop.log", "a/b/keep.py", "a/b/deep/x", "build/x", "foo/bar/baz", "é"]


@needs_git
@pytest.mark.parametrize(
    ("rules", "files", "expected"),
    [
        ("*.log\n", FILES[:5], {"keep.py", "a/keep.py", "a/b/keep.py"}),
        ("*.log\r\n# no rule\r\n\r\na/b\r\n", FILES[:6], {"keep.py", "a/keep.py"}),
        ("\ufeff*.log\n", FILES[:2], {"keep.py"}),
        ("*\n!*/\n!*.py\n", FILES, {"keep.py", "a/keep.py", "a/b/keep.py"}),
        ("build/\n!build/x\n", ["build/x", "y"], {"y"}),
        ("build/*\n!build/x\n", ["build/x", "build/y", "y"], {"build/x", "y"}),
        ("/x\n", ["x", "a/x"], {"a/x"}),
        ("/*.py\n", ["x.py", "a/x.py"], {"a/x.py"}),
        ("a/x\n", ["a/x", "b/a/x"], {"b/a/x"}),
        ("**/a/x\n", ["a/x", "b/a/x", "ba/x"], {"ba/x"}),
        ("a/**/x\n", ["a/x", "a/b/x", "a/b/c/x", "ax"], {"ax"}),
        ("a/**\n", ["a/x", "a/b/x", "b/a/x"], {"b/a/x"}),
        ("foo**/x\n", ["foo/x", "foobar/x", "foo/b/x", "foox", "fox"], {"fox"}),
        ("x/\n", ["x", "a/x/y"], {"x"}),
        ("x.py \ny.py\\ \n", ["x.py", "y.py", "y.py "], {"y.py"}),
        ("\\#x\n\\!y\n", ["#x", "!y", "x"], {"x"}),
        ("?\n", ["é", "e"], {"é"}),
        ("[a-c]x[!0-9]\n", ["axb", "ax1", "dxb"], {"ax1", "dxb"}),
        ("/a[!x]b\n", ["a/b", "ayb"], {"a/b"}),
        ("[b-a]\n", ["a", "b", "-"], {"a", "-"}),
        ("a/**/x\nb/**\n", ["a/l\nb/x", "b/l\nb", "c"], {"c"}),
        ("[[:digit:]_]\n[\n[a\n[[:no:]]\n", ["1", "_", "[", "[a", "n", ":"], {"[", "[a", "n", ":"}),
        ("x\\\n", ["x", "x\\"], {"x", "x\\"}),
        ("a\nb*\n", ["line\nbreak", "b\nreak", "c"], {"line\nbreak", "c"}),
    ],
)
def test_what_is_documented_and_what_git_does_besides(
    repository: Path, rules: str, files: Iterable[str], expected: set[str]
) -> None:
    fill(repository, dict.fromkeys(files, b"") | {".gitignore": rules.encode()})
    by_us = taken_by_us(repository) - {b".gitignore"}
    assert by_us == {os.fsencode(name) for name in expected}
    assert by_us == taken_by_git(repository) - {b".gitignore"}


NAMES = ["a", "b", "ab", "aab", "a.py", "b.txt", "é", "[a]", "a b", "a ", "#a", "!a", "\\a", "a*", "-", "^", "\udcff"]
PIECES = [
    *("a", "b", ".py", ".txt", "é", "*", "*", "**", "**", "***", "/", "/", "/", "?", "!", "#", " ", "\t", "\r"),
    *("[", "]", "[a-b]", "[!a]", "[^a]", "[]a]", "[a-]", "[b-a]", "[\\a]", "[--b]", "[a/]", "{a,b}", "-", "^"),
    *("[[:alpha:]]", "[![:alpha:]]", "[[:punct:]a]", "[[:nonsense:]]", "[[:alpha:", "[:alpha:]", "[[:]", "\\"),
    *("\\*", "\\?", "\\[", "\\a", "\\ ", "\\!", "\\#", "\\/", "\\\\", "\udcff"),
]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=4).map("/".join)
lines = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=6).map("".join),
    paths.map(lambda path: "/" + path),
    paths.map(lambda path: "!" + path),
    paths.map(lambda path: path + "/"),
)
rule_files = st.lists(lines, min_size=1, max_size=5).map(lambda some: os.fsencode("\n".join(some)))


@needs_git
@settings(max_examples=80, deadline=None)
@given(
    files=st.sets(paths, min_size=1, max_size=12),
    rules=rule_files,
    inner=st.dictionaries(st.sampled_from(["a", "b", "ab", "a/b"]), rule_files, max_size=2),
)
def test_gitignore_files_mean_what_they_mean_to_git(
    repository: Path, files: set[str], rules: bytes, inner: dict[str, bytes]
) -> None:
    contents = {f"{folder}/.gitignore": content for folder, content in inner.items()}
    fill(repository, contents | {".gitignore": rules} | dict.fromkeys(sorted(files), b""))
    assert taken_by_us(repository) == taken_by_git(repository)


@given(st.binary(max_size=40))
def test_any_bytes_are_rules_or_none(content: bytes) -> None:
    for rule in parse_rules(content):
        assert rule.matches(b"name") in (True, False)
