"""Decorated functions wherever Python code comes from: a script, standard input, ``-c``, a REPL, a notebook, exec."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qjob.braket import LocalQuantumJob, hybrid_job

pytestmark = pytest.mark.live

PROGRAM = """\
import warnings
warnings.simplefilter("error")
from qjob.braket import hybrid_job

OFFSET = 40

class Thing:
    def __init__(self, value):
        self.value = value

def helper(thing):
    return thing.value + OFFSET

@hybrid_job(device=None, data_format="pickle")
def job(thing):
    squares = [i * i for i in range(3)]
    return [Thing(helper(thing)), sum(map(lambda x: x, squares))]

thing, total = [job(Thing(n)) for n in (1, 2)][1].result(allow_pickle=True)["result"]
print("RESULT", type(thing) is Thing, thing.value, total)
"""
"""A job without a source that could be read, as often as not; Braket's needs one as soon as there is a lambda."""

Run = Callable[..., str]


@pytest.fixture
def run(environment: dict[str, str], here: Path) -> Run:
    """Run Python with arguments and standard input, from a directory of its own; return what it printed."""

    def run_python(*arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            input=stdin,
            env=environment,
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_python


def interactive(program: str) -> str:
    """Return a program as one types it: a blank line after each block."""
    lines = program.splitlines()
    typed = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        typed.append(line)
        if line.startswith(" ") and following and not following.startswith(" "):
            typed.append("")
    return "\n".join(line for n, line in enumerate(typed) if line or typed[n - 1].startswith(" ")) + "\n"


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [((), PROGRAM), (("-",), PROGRAM), (("-c", PROGRAM), ""), (("-i", "-q"), None)],
    ids=["stdin", "dash", "command", "interactive"],
)
def test_code_from_anywhere(run: Run, here: Path, arguments: tuple[str, ...], stdin: str | None) -> None:
    text = interactive(PROGRAM.replace("\n\n    ", "\n    ")) if stdin is None else stdin
    assert "RESULT True 42 5" in run(*arguments, stdin=text)
    assert os.listdir(here) == []


def test_a_script_and_a_module_of_a_package(run: Run, here: Path) -> None:
    (here / "pack").mkdir()
    (here / "pack" / "__init__.py").touch()
    (here / "pack" / "tools.py").write_text("def tool():\n    return 1\n")
    relative = PROGRAM.replace("OFFSET = 40", "from .tools import tool\nOFFSET = 39 + tool()")
    (here / "pack" / "script.py").write_text(relative)
    assert "RESULT True 42 5" in run("-m", "pack.script")
    (here / "script.py").write_text(PROGRAM)
    assert "RESULT True 42 5" in run("script.py")


SPAWNING = """\
import multiprocessing
from qjob.braket import hybrid_job

def square(x):
    return x * x

@hybrid_job(device=None)
def job():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(square, [2, 3])

print(job().result()["result"])  # unguarded: run again in a spawned process, it would submit jobs for ever
"""


def test_a_function_of_the_script_runs_in_a_spawned_process(run: Run, here: Path) -> None:
    (here / "script.py").write_text(SPAWNING)
    assert run("script.py") == "[4, 9]\n"


CELLS = {
    "/tmp/ipykernel_77/1.py": "def helper():\n    return 'from a cell'\n",
    "<ipython-input-2-abc>": (
        "import inspect\n"
        "from qjob.braket import hybrid_job\n"
        "@hybrid_job(device=None)\n"
        "def job():\n"
        "    def inner():\n"
        "        return 1\n"
        "    return [helper(), inspect.getsource(inner), inspect.getsource(helper)]\n"
    ),
}


def run_cells(cells: dict[str, str], namespace: dict[str, Any]) -> None:
    """Do what IPython does with cells: their text is known to linecache alone."""
    for name, text in cells.items():
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), namespace)


def test_cells_of_a_notebook(here: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    run_cells(CELLS, namespace)
    found = namespace["job"]().result()["result"]
    assert found == [
        "from a cell",
        "    def inner():\n        return 1\n",
        CELLS["/tmp/ipykernel_77/1.py"],
    ]


@pytest.mark.parametrize("namespace", [{}, {"__name__": "__main__"}, {"__name__": "no_such_module"}], ids=str)
def test_exec_without_a_source(here: Path, namespace: dict[str, Any]) -> None:
    """Defect 2: Braket raises OSError, could not get source code."""
    text = "def job(n):\n    return sorted((lambda y: -y)(x) for x in range(n))\n"
    exec(text, namespace)
    job: LocalQuantumJob = hybrid_job(device=None)(namespace["job"])(3)
    assert job.result()["result"] == [-2, -1, 0]
