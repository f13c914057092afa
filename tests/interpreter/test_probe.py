"""An interpreter is asked once, and again when what it goes by has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qjob.errors import EnvironmentFailed
from qjob.interpreter.probe import known_probe, make_probe


@pytest.fixture
def python(tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v ü"], check=True)
    return tmp_path / "v ü" / "bin" / "python"


def site_packages(python: Path) -> Path:
    return next((python.parents[1] / "lib").glob("python*/site-packages"))


def test_it_says_where_its_packages_are(tmp_path: Path, python: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    probe = make_probe(tmp_path / "e", str(python), {"PYTHONPATH": str(more)})
    assert probe.version == ".".join(map(str, sys.version_info[:3]))
    assert probe.paths == (str(more), str(site_packages(python)))
    assert str(site_packages(python)) in probe.sites


def test_it_is_known_afterwards(tmp_path: Path, python: Path) -> None:
    assert known_probe(tmp_path, str(python), {}) is None
    probe = make_probe(tmp_path, str(python), {})
    assert known_probe(tmp_path, str(python), {}) == probe


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda python: (site_packages(python) / "a.pth").write_text("/x\n"), id="a .pth file"),
        pytest.param(lambda python: (site_packages(python) / "a.pth").symlink_to("nowhere"), id="a link to nowhere"),
        pytest.param(lambda python: (site_packages(python) / "sitecustomize.py").touch(), id="sitecustomize"),
        pytest.param(lambda python: (python.parents[1] / "pyvenv.cfg").write_text("a = b\n"), id="pyvenv.cfg"),
        pytest.param(lambda python: (python.unlink(), python.write_text("#!")), id="the program"),
    ],
)
def test_it_is_asked_again_when_something_has_changed(tmp_path: Path, python: Path, change: object) -> None:
    make_probe(tmp_path, str(python), {})
    assert callable(change)
    change(python)
    assert known_probe(tmp_path, str(python), {}) is None


@pytest.mark.parametrize("environ", [{"PYTHONPATH": "/x"}, {"PYTHONNOUSERSITE": "1"}, {"HOME": "/elsewhere"}])
def test_it_is_asked_again_with_other_variables(tmp_path: Path, python: Path, environ: dict[str, str]) -> None:
    make_probe(tmp_path, str(python), {})
    assert known_probe(tmp_path, str(python), environ) is None
    make_probe(tmp_path, str(python), environ)
    assert known_probe(tmp_path, str(python), environ) is not None
    assert known_probe(tmp_path, str(python), {"OTHER": "1"}) is not None


def test_a_damaged_answer_is_none(tmp_path: Path, python: Path) -> None:
    make_probe(tmp_path, str(python), {})
    [file] = (tmp_path / "interpreters").iterdir()
    for content in ("", "{}", "[]", '{"python": 1, "version": 2}'):
        file.write_text(content)
        assert known_probe(tmp_path, str(python), {}) is None


def test_what_sitecustomize_prints_does_not_matter(tmp_path: Path, python: Path) -> None:
    (site_packages(python) / "sitecustomize.py").write_text("print('hello', end='')\n")
    assert make_probe(tmp_path, str(python), {}).paths == (str(site_packages(python)),)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#!/bin/sh\necho oh no >&2\nexit 3\n", "does not say where its packages are: oh no"),
        ("#!/bin/sh\nexit 3\n", "does not say where its packages are: exit code 3"),
        ("#!/nowhere\n", "cannot be started"),
    ],
)
def test_one_that_does_not_answer_is_told(tmp_path: Path, text: str, said: str) -> None:
    program = tmp_path / "python"
    program.write_text(text)
    program.chmod(0o755)
    with pytest.raises(EnvironmentFailed, match=said):
        make_probe(tmp_path, str(program), {})
