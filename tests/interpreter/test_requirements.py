"""The source's requirements and ``dependencies=`` become one text, and every problem is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from qjob.errors import InvalidInput
from qjob.interpreter.requirements import requirements_text


@pytest.mark.parametrize(
    ("of_source", "dependencies", "expected"),
    [
        pytest.param(None, None, "", id="nothing"),
        pytest.param(b"", [], "", id="empty"),
        pytest.param(b"# a\n\n   # b\n", None, "", id="comments only"),
        pytest.param(b"--no-index\n-c limits.txt\n", None, "", id="options only"),
        pytest.param(b"numpy", None, "numpy\n", id="source"),
        pytest.param(None, ["numpy", "scipy >= 1  # new"], "numpy\nscipy >= 1\n", id="list"),
        pytest.param(None, ("numpy",), "numpy\n", id="tuple"),
        pytest.param(None, iter(["numpy"]), "numpy\n", id="iterable"),
        pytest.param(b"a # x\n", ["b"], "a # x\nb\n", id="both"),
        pytest.param("é\n".encode("utf-8-sig"), None, "é\n", id="byte order mark"),
        pytest.param("numpy\r\n".encode("utf-16"), None, "numpy\r\n", id="PowerShell's"),
        pytest.param(None, ["a\nb"], "a\nb\n", id="lines in an item, as published"),
        pytest.param(None, ["-r https://example.org/r.txt"], "-r https://example.org/r.txt\n", id="elsewhere"),
    ],
)
def test_the_text(of_source: bytes | None, dependencies: object, expected: str) -> None:
    assert requirements_text(of_source, dependencies) == expected


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_is_a_file(tmp_path: Path, kind: type) -> None:
    file = tmp_path / "my reqs.txt"
    file.write_text("numpy\n")
    assert requirements_text(None, kind(file)) == "numpy\n"


def test_what_a_file_refers_to_comes_from_beside_it(tmp_path: Path) -> None:
    file, inner = tmp_path / "reqs.txt", tmp_path / "in ner"
    (inner / "pkg").mkdir(parents=True)
    file.write_text("-r 'in ner/more.txt'\n-c in ner/limits.txt\n")
    (inner / "more.txt").write_text("scipy\n./pkg[all]\n-e ./pkg\n")
    (inner / "limits.txt").write_text("scipy<2\n")
    expected = f"scipy\n{inner}/pkg[all]\n-e {inner}/pkg\n-c {inner}/limits.txt\n"
    assert requirements_text(None, file) == expected


def test_a_path_in_a_list_stands_for_its_file(tmp_path: Path) -> None:
    """What it refers to lies beside it, and it may be in any encoding that a file alone may be in."""
    (tmp_path / "pkg").mkdir()
    (tmp_path / "inner.txt").write_text("scipy\n")
    file = tmp_path / "reqs.txt"
    file.write_bytes("-r inner.txt\n./pkg\n".encode("utf-16"))
    assert requirements_text(None, [file, "numpy"]) == f"scipy\n{tmp_path}/pkg\nnumpy\n"


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as raised:
        requirements_text(b"a\n\xff\n", ["", 3, "nump\x00y", "-r not-there.txt", tmp_path / "nor-this.txt"])
    assert [problem.partition(":")[0] for problem in raised.value.problems] == [
        "requirements.txt of the source",
        "dependencies[0]=''",
        "dependencies[1]=3",
        "dependencies[2]='nump\\x00y'",
        "dependencies",
        f"dependencies={str(tmp_path / 'nor-this.txt')!r}",
    ]


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        pytest.param("numpy", "give a list, as in ['numpy>=1.26']", id="a requirement"),
        pytest.param("", "no requirements file can be read there", id="empty"),
        pytest.param("a\0b", "no requirements file can be read there", id="no path"),
        pytest.param(Path("/"), "(Is a directory)", id="folder"),
        pytest.param({"numpy": "1"}, "a list of requirements is expected", id="dict"),
        pytest.param(b"numpy", "a list of requirements is expected", id="bytes"),
        pytest.param(["-r /"], "the file '/' that -r refers to cannot be read", id="folder as a file"),
    ],
)
def test_what_is_neither_path_nor_list_is_refused(dependencies: object, said: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        requirements_text(None, dependencies)
    assert said in str(raised.value)


def test_a_control_character_is_told_with_its_line() -> None:
    with pytest.raises(InvalidInput, match=r"of the source: line 2 has the control character '\\x1b'"):
        requirements_text(b"a\nb\x1b\n")
