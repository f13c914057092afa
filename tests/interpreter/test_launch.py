"""What an instance executes: its interpreter at once, or the builder first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from qjob.interpreter.cache import finish
from qjob.interpreter.launch import Launch, build_command, command, wanted
from qjob.interpreter.probe import make_probe


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    return Launch(
        python=sys.executable,
        arguments=["-P", "bootstrap.py", "7"],
        requirements=tmp_path / "requirements.txt",
        source=tmp_path / "source" / "pkg",
        environments=tmp_path / "environments",
        report_fd=7,
        environ={"PATH": "/usr/bin", "PYTHONHOME": sys.base_prefix, "A": "b"},
    )


def ready(launch: Launch, *, installed: bool) -> Path:
    """Pretend that the environment has been made."""
    probe = make_probe(launch.environments, launch.python, launch.environ)
    folder = launch.environments / wanted(launch, probe).key
    folder.mkdir()
    finish(folder, sys.executable if installed else launch.python, {"installed": installed})
    return folder


def test_without_requirements_it_is_the_interpreter(launch: Launch) -> None:
    launch.requirements.unlink()
    what = command(launch)
    assert what.argv == [sys.executable, "-P", "bootstrap.py", "7"]
    assert (what.environ, what.held_fd) == (launch.environ, None)


def test_without_an_environment_it_is_the_builder(launch: Launch) -> None:
    what = command(launch)
    assert what.argv == build_command(launch)
    assert what.argv[0] == sys.executable
    assert what.argv[-3:] == list(launch.arguments)
    assert (what.environ, what.held_fd) == (launch.environ, None)
    assert not launch.environments.exists()


def test_requirements_that_cannot_be_read_are_left_to_the_builder(launch: Launch) -> None:
    ready(launch, installed=True)
    launch.requirements.write_bytes(b"\xff")
    assert command(launch).argv == build_command(launch)


def test_with_an_environment_it_is_its_interpreter(launch: Launch) -> None:
    folder = ready(launch, installed=True)
    what = command(launch)
    assert what.held_fd is not None
    assert os.get_inheritable(what.held_fd)
    os.close(what.held_fd)
    assert what.argv == [sys.executable, *launch.arguments]
    below = os.path.dirname(sys.executable)
    assert what.environ == {"PATH": f"{folder}/bin:{below}:/usr/bin", "VIRTUAL_ENV": str(folder), "A": "b"}


def test_where_nothing_was_installed_the_variables_stay(launch: Launch) -> None:
    ready(launch, installed=False)
    what = command(launch)
    assert what.held_fd is not None
    os.close(what.held_fd)
    assert what.environ == launch.environ
