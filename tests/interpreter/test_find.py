"""``python=`` finds what it names, and says what there is when it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qjob.errors import InvalidInput
from qjob.interpreter.find import find_interpreter

RUNNING = ".".join(map(str, sys.version_info[:2]))


def fake(path: Path, version: str, executable: Path | None = None) -> Path:
    """Write a program that answers as an interpreter would."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\nprintf '\\n%s\\n%s' \"{executable or path}\" {version}\n")
    path.chmod(0o755)
    return path


def environ(tmp_path: Path, *directories: Path) -> dict[str, str]:
    return {"PATH": os.pathsep.join(map(str, directories)), "HOME": str(tmp_path / "home")}


@pytest.mark.parametrize("wanted", [RUNNING, f"python{RUNNING}", RUNNING.partition(".")[0]])
def test_the_running_one_is_found_by_its_version(wanted: str) -> None:
    assert find_interpreter(wanted, {}) == Path(sys.executable)


def test_a_path_is_kept_as_it_is(tmp_path: Path) -> None:
    link = tmp_path / "a b" / "python"
    link.parent.mkdir()
    link.symlink_to(sys.executable)
    assert find_interpreter(link) == link
    assert find_interpreter(str(link)) == link


def test_a_folder_is_a_virtual_environment(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "v ü"], check=True)
    assert find_interpreter(tmp_path / "v ü") == tmp_path / "v ü" / "bin" / "python"


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        pytest.param("bin/python3.97", "3.97", id="on PATH by its name"),
        pytest.param("bin/python3.97", "python3.97.4", id="on PATH, all of it"),
        pytest.param("bin/python3", "3.97", id="on PATH as python3"),
        pytest.param("bin/python", "3.97.4", id="on PATH as python"),
        pytest.param("home/.pyenv/versions/3.97.4/bin/python3", "3.97", id="pyenv"),
        pytest.param("home/.local/share/uv/python/cpython-3.97.4-linux/bin/python3", "3.97.4", id="uv"),
    ],
)
def test_another_is_found_by_its_version(tmp_path: Path, file: str, wanted: str) -> None:
    path = fake(tmp_path / file, "3.97.4")
    assert find_interpreter(wanted, environ(tmp_path, tmp_path / "bin")) == path


def test_the_newest_of_a_version_is_taken(tmp_path: Path) -> None:
    for version in ("3.97.9", "3.97.10", "3.97.2"):
        fake(tmp_path / f"home/.pyenv/versions/{version}/bin/python3", version)
    assert "3.97.10" in str(find_interpreter("3.97", environ(tmp_path)))


def test_a_launcher_is_looked_through(tmp_path: Path) -> None:
    """What it starts may depend on the working directory, which is another one in the job."""
    real = tmp_path / "real" / "python"
    fake(tmp_path / "shims" / "python3.97", "3.97.4", real)
    assert find_interpreter("3.97", environ(tmp_path, tmp_path / "shims")) == real
    fake(tmp_path / "shims" / "pythonish", "3.97.4", real)
    assert find_interpreter("pythonish", environ(tmp_path, tmp_path / "shims")) == real


def test_a_launcher_without_that_version_is_passed_by(tmp_path: Path) -> None:
    shim = fake(tmp_path / "shims" / "python3.97", "")
    shim.write_text("#!/bin/sh\necho 'python3.97: command not found' >&2; exit 127\n")
    path = fake(tmp_path / "bin" / "python3.97", "3.97.4")
    assert find_interpreter("3.97", environ(tmp_path, tmp_path / "shims", tmp_path / "bin")) == path


def test_a_missing_version_says_what_there_is(tmp_path: Path) -> None:
    path = fake(tmp_path / "bin" / "python3.97", "3.97.4")
    fake(tmp_path / "bin" / "python3", "3.8.1")
    with pytest.raises(InvalidInput) as raised:
        find_interpreter("3.98", environ(tmp_path, tmp_path / "bin"))
    [problem] = raised.value.problems
    assert problem.startswith(f"python='3.98': no such interpreter was found. There are 3.97.4 ({path}), {RUNNING}.")
    assert "3.8.1" not in problem


@pytest.mark.parametrize("wanted", ["3.8", "2.7", "python3.10"])
def test_a_version_that_is_too_old_is_refused(wanted: str) -> None:
    with pytest.raises(InvalidInput, match=r"a job needs Python 3\.11 or newer"):
        find_interpreter(wanted)


def test_an_old_interpreter_is_refused(tmp_path: Path) -> None:
    path = fake(tmp_path / "python", "3.10.13")
    with pytest.raises(InvalidInput, match=r"is Python 3\.10\.13 \(.*\); a job needs 3\.11 or newer"):
        find_interpreter(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("#!/bin/sh\necho what\n", "is no Python;", id="another program"),
        pytest.param("#!/bin/sh\necho oh no >&2; exit 3\n", "is no Python: oh no;", id="one that fails"),
        pytest.param(None, "cannot be started (No such file or directory)", id="nothing"),
    ],
)
def test_what_is_no_interpreter_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "program"
    if text is not None:
        path.write_text(text)
        path.chmod(0o755)
    with pytest.raises(InvalidInput) as raised:
        find_interpreter(path)
    assert said in str(raised.value)


@pytest.mark.parametrize("wanted", ["", 3.12, None])
def test_what_is_no_path_and_no_version_is_refused(wanted: object) -> None:
    with pytest.raises(InvalidInput, match="a path or a version is expected"):
        find_interpreter(wanted)  # type: ignore[arg-type]
