"""Which installer is taken, and what it is quoted with."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qjob.errors import EnvironmentFailed
from qjob.interpreter.installers import (
    Task,
    find_uv,
    install,
    pip_alone_knows_the_index,
    pip_command,
    resolver_words,
    run,
)
from qjob.interpreter.probe import Probe

PIP = """Looking in links: w
WARNING: Retrying
ERROR: Cannot install a==1 and b==1 because these package versions have conflicting dependencies.

The conflict is caused by:
    a 1 depends on c==1
    b 1 depends on c==2

[notice] A new release of pip is available
ERROR: ResolutionImpossible: for help visit https://pip.pypa.io
"""
UV_BEFORE = """Using Python 3.11.7 environment at: env
  × No solution found when resolving dependencies:
  ╰─▶ Because x was not found in the package registry and you require x, we can
      conclude that your requirements are unsatisfiable.
"""
UV = """warning: Ignoring unsupported option
error: Failed to build `x @ file:///x`
  cause: oh
"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        pytest.param(
            PIP,
            "ERROR: Cannot install a==1 and b==1 because these package versions have conflicting dependencies. "
            "The conflict is caused by: a 1 depends on c==1 b 1 depends on c==2",
            id="pip",
        ),
        pytest.param(
            UV_BEFORE,
            "No solution found when resolving dependencies: Because x was not found in the package registry and you "
            "require x, we can conclude that your requirements are unsatisfiable.",
            id="uv with boxes",
        ),
        pytest.param(UV, "error: Failed to build `x @ file:///x` cause: oh", id="uv"),
        pytest.param("".join(f"{n}\n" for n in range(9)), "4 5 6 7 8", id="no error named"),
        pytest.param("", "", id="nothing"),
        pytest.param("ERROR: " + "a" * 3000, "ERROR: " + "a" * 1493 + "…", id="long"),
    ],
)
def test_the_installers_words(output: str, words: str) -> None:
    assert resolver_words(output) == words


@pytest.mark.parametrize(
    ("variables", "files", "expected"),
    [
        pytest.param({}, {}, False, id="nobody was told"),
        pytest.param({"PIP_INDEX_URL": "https://x"}, {}, True, id="pip's variable"),
        pytest.param({"PIP_INDEX_URL": ""}, {}, False, id="empty"),
        pytest.param({"PIP_TIMEOUT": "3"}, {}, False, id="another of pip's"),
        pytest.param({"PIP_INDEX_URL": "https://x", "UV_DEFAULT_INDEX": "https://x"}, {}, False, id="both"),
        pytest.param({}, {".config/pip/pip.conf": "[global]\nindex-url = https://x\n"}, True, id="pip's file"),
        pytest.param({}, {".pip/pip.conf": "[install]\nfind-links = /w\n"}, True, id="pip's old file"),
        pytest.param({}, {".pip/pip.conf": "[global]\ntimeout = 3\n"}, False, id="of other things"),
        pytest.param({}, {".pip/pip.conf": "what"}, False, id="damaged"),
        pytest.param({}, {"v/pip.conf": "[global]\nindex-url = x\n"}, True, id="the environment's own"),
        pytest.param(
            {},
            {".pip/pip.conf": "[global]\nindex-url = x\n", ".config/uv/uv.toml": "[[index]]\nurl = 'x'\n"},
            False,
            id="uv's file",
        ),
        pytest.param(
            {"PIP_CONFIG_FILE": "/dev/null"}, {".pip/pip.conf": "[a]\nno-index=1\n"}, False, id="switched off"
        ),
    ],
)
def test_whether_pip_alone_knows_the_index(
    tmp_path: Path, variables: dict[str, str], files: dict[str, str], expected: bool
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    if "PIP_CONFIG_FILE" not in variables and not files:
        variables = {**variables, "PIP_CONFIG_FILE": "/dev/null"}
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "xdg"), **variables}
    assert pip_alone_knows_the_index(environ, str(tmp_path / "v" / "bin" / "python")) is expected


@pytest.mark.parametrize("place", ["bin", "v/bin", ".local/bin", ".cargo/bin"])
def test_uv_is_found(tmp_path: Path, place: str) -> None:
    environ = {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}
    assert find_uv(environ, str(tmp_path / "v" / "bin" / "python")) is None
    uv = tmp_path / place / "uv"
    uv.parent.mkdir(parents=True)
    uv.touch(mode=0o755)
    assert find_uv(environ, str(tmp_path / "v" / "bin" / "python")) == str(uv)


def test_the_pip_below_comes_first(tmp_path: Path) -> None:
    (tmp_path / "pip-26.0.dist-info").mkdir()
    assert pip_command(task(tmp_path)) == ["/env/python", "-m", "pip"]


def test_our_own_pip_comes_second(tmp_path: Path) -> None:
    expected = [sys.executable, "-m", "pip", "--python", "/env/python"]
    assert pip_command(task(tmp_path, own_python=sys.executable)) == expected


def test_the_pip_that_came_with_python_comes_third(tmp_path: Path) -> None:
    wheel = tmp_path / "ensurepip" / "_bundled" / "pip-23.2-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    wheel.touch()
    assert pip_command(task(tmp_path)) == ["/env/python", f"{wheel}/pip"]


def test_without_any_installer_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed) as raised:
        install(task(tmp_path))
    assert "neither uv nor pip is there for /below/bin/python. Install uv" in raised.value.reason
    assert "'/below/bin/python -m ensurepip'" in raised.value.reason


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    said = run([str(tmp_path / "none")], task(tmp_path))
    assert (said.exit_code, said.output) == (127, f"error: {tmp_path / 'none'}: No such file or directory")


@pytest.mark.parametrize(
    ("uv", "pip", "taken", "words"),
    [
        pytest.param("exit 0", "exit 1", "uv", "", id="uv can"),
        pytest.param("echo error: no; exit 1", "exit 0", "", "error: no", id="uv is sure"),
        pytest.param("echo error: what; exit 2", "exit 0", "pip", "", id="uv is not, pip can"),
        pytest.param("echo error: what; exit 2", "echo ERROR: no; exit 1", "", "ERROR: no", id="neither can"),
        pytest.param("kill -9 $$", "exit 0", "pip", "", id="uv crashes"),
        pytest.param(
            'test "$7" = --offline || { echo Failed to fetch; exit 2; }', "exit 1", "uv", "", id="uv has kept it"
        ),
        pytest.param(
            'test "$7" = --offline && exit 1; echo error: Failed to fetch; exit 2',
            "exit 0",
            "",
            "error: Failed to fetch",
            id="no network",
        ),
    ],
)
def test_who_has_the_last_word(tmp_path: Path, uv: str, pip: str, taken: str, words: str) -> None:
    for name, text in {"uv": uv, "python": pip}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "pip-26.0.dist-info").mkdir()
    environ = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null"}
    with (tmp_path / "lock").open("w") as lock:
        given = replace(task(tmp_path), python=str(tmp_path / "python"), environ=environ, lock_fd=lock.fileno())
        if taken:
            assert install(given) == taken
            return
        with pytest.raises(EnvironmentFailed) as raised:
            install(given)
    assert raised.value.reason == f"The requirements cannot be installed: {words}"
    assert raised.value.output == ""


def test_what_does_not_fit_into_the_reason_is_kept_beside_it(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\nseq -s ' ' 1 2000; echo error: `seq -s ' ' 1 2000`; exit 1\n")
    uv.chmod(0o755)
    environ = {"HOME": str(tmp_path), "PATH": f"{tmp_path}:/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null"}
    with (tmp_path / "lock").open("w") as lock, pytest.raises(EnvironmentFailed) as raised:
        install(replace(task(tmp_path), environ=environ, lock_fd=lock.fileno()))
    assert raised.value.reason.endswith("…")
    assert raised.value.output.endswith(" 2000\n")


def task(path: Path, own_python: str = "false") -> Task:
    below = Probe(python="/below/bin/python", version="3.11.7", abi="x", stdlib=str(path), paths=(str(path),), sites=())
    return Task(
        python="/env/python",
        site_packages=path,
        below=below,
        directory=path,
        environ={"HOME": str(path), "PATH": "/usr/bin:/bin"},
        lock_fd=0,
        own_python=own_python,
        wheels=path,
    )
