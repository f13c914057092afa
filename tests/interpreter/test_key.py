"""An environment's key changes with what is in it, and with nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from qjob.interpreter.key import environment_key
from qjob.interpreter.lines import read_lines
from qjob.interpreter.probe import Probe

PROBE = Probe(
    python="/p/bin/python", version="3.11.7", abi="cpython", stdlib="/lib", paths=(), sites=(), hooks=("a.pth 1 2",)
)


def key(text: str, source: Path, probe: Probe = PROBE, environ: Mapping[str, str] | None = None) -> str:
    return environment_key(read_lines(text, source), probe, source, environ or {})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a\nb", "b  # comes second\n\n a\n", True),
        ("a", "a==1", False),
        ("a", "a\nb", False),
        ("a\n--pre", "a", False),
        ("--index-url x\n--extra-index-url y\na", "--extra-index-url y\n--index-url x\na", False),
        ("-c limits.txt\na", "-c same.txt\na", True),
        ("-c limits.txt\na", "-c other.txt\na", False),
        ("-r limits.txt", "a<2", True),
        ("./p", "./q", True),
        ("./p", "./p[x]", False),
        ("./p", "./r", False),
        ("-f ./p\na", "-f ./r\na", False),
    ],
)
def test_the_requirements_count(tmp_path: Path, one: str, other: str, same: bool) -> None:
    for name, text in {"limits.txt": "a<2", "same.txt": "a<2 # so", "other.txt": "a<3"}.items():
        (tmp_path / name).write_text(text)
    for name, text in {"p": "1", "q": "1", "r": "2"}.items():
        (tmp_path / name / "in").mkdir(parents=True)
        (tmp_path / name / "in" / "code.py").write_text(text)
    assert (key(one, tmp_path) == key(other, tmp_path)) is same


def test_the_content_counts_and_not_where_it_lies(tmp_path: Path) -> None:
    keys = set()
    for name in ("job 1", "job 2"):
        package = tmp_path / name / "pkg"
        (package / "__pycache__").mkdir(parents=True)
        (package / "__pycache__" / "code.pyc").write_text(name)
        (package / "code.py").write_text("same")
        (package / "dangling").symlink_to("nowhere")
        for file in ("my venv/pyvenv.cfg", "state/jobs/1/record.json", "state/environments/interpreters/1.json"):
            (package / file).parent.mkdir(parents=True)
            (package / file).write_text(name)
        os.mkfifo(package / name)
        (tmp_path / name / "limits.txt").write_text("-c deeper.txt\n")
        (tmp_path / name / "deeper.txt").write_text("a<2\n-c limits.txt\n")
        keys.add(key("./pkg\n-f ./pkg\n-c limits.txt", tmp_path / name))
    assert len(keys) == 1
    (tmp_path / "job 2" / "deeper.txt").write_text("a<3\n")
    assert key("./pkg\n-f ./pkg\n-c limits.txt", tmp_path / "job 2") not in keys


@pytest.mark.parametrize(
    "changed", [{"version": "3.11.8"}, {"abi": "other"}, {"hooks": ()}, {"paths": ("/x",), "sites": ("/x",)}]
)
def test_the_interpreter_counts(tmp_path: Path, changed: dict[str, str]) -> None:
    assert key("a", tmp_path, replace(PROBE, **changed)) != key("a", tmp_path)  # type: ignore[arg-type]


def test_what_is_installed_below_counts(tmp_path: Path) -> None:
    site_packages = tmp_path / "site-packages"
    probe = replace(PROBE, paths=(str(site_packages),))
    keys = [key("a", tmp_path, probe)]
    for name in ("numpy-1.0.dist-info", "numpy", "scipy-1.0.egg-info"):
        (site_packages / name).mkdir(parents=True)
        keys.append(key("a", tmp_path, probe))
    assert [keys[0] == keys[1], keys[1] == keys[2], keys[2] == keys[3]] == [False, True, False]


def test_a_variable_counts_where_it_is_named(tmp_path: Path) -> None:
    assert key("a @ ${PLACE}", tmp_path, environ={"PLACE": "1"}) != key(
        "a @ ${PLACE}", tmp_path, environ={"PLACE": "2"}
    )
    assert key("a", tmp_path, environ={"PLACE": "1"}) == key("a", tmp_path, environ={"PLACE": "2"})
