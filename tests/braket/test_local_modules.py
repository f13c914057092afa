"""Which modules a job could not import."""

from __future__ import annotations

import importlib
import json
import sys
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import qjob.braket
from qjob.braket.local_modules import local_directories, local_modules
from qjob.braket.recovery import TakenModule


@pytest.fixture(autouse=True)
def _modules_as_before() -> Iterator[None]:
    before = dict(sys.modules)
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]


def names() -> set[str]:
    return {module.__name__ for module in local_modules()}


def test_what_is_installed_is_not_local() -> None:
    installed = {sys, json, xml.etree.ElementTree, pytest, qjob.braket}
    assert names().isdisjoint(module.__name__ for module in installed)
    assert __name__ in names()


def test_the_main_module_is_not_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__mp_main__", sys.modules["__main__"])  # as multiprocessing does
    assert {"__main__", "__mp_main__"}.isdisjoint(names())


# The path is patched: it is what the question is about.


def test_modules_found_by_the_script_alone_are_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib_one.py").touch()
    (tmp_path / "plain" / "deep").mkdir(parents=True)
    (tmp_path / "plain" / "deep" / "lib_two.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("lib_one", "plain.deep.lib_two"):
        importlib.import_module(name)
    assert {"lib_one", "plain", "plain.deep", "plain.deep.lib_two"} <= names()
    assert str(tmp_path.resolve()) in local_directories()


def test_modules_of_pythonpath_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib_three.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    importlib.import_module("lib_three")
    assert "lib_three" not in names()
    assert str(tmp_path.resolve()) not in local_directories()


def test_a_relative_pythonpath_leads_elsewhere_in_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lib_four.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.setenv("PYTHONPATH", ".")
    importlib.import_module("lib_four")
    assert "lib_four" in names()


def test_a_current_directory_that_was_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr(sys, "path", ["", str(tmp_path)])
    gone.rmdir()
    assert local_directories() == [str(tmp_path.resolve())]


def test_modules_that_came_along_into_a_job_are_local_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "by_hand", ModuleType("by_hand"))
    monkeypatch.setitem(sys.modules, "came_along", TakenModule("came_along"))
    assert "came_along" in names()
    assert "by_hand" not in names()
