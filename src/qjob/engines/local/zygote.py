"""A zygote: a process that has imported what jobs import, and forks the runner of each of them.

The dispatcher starts it with `command`, in the environment of the jobs that it is for. It is told what to import,
says whether forking after that is safe, and then forks a runner for each job folder that it is told. The runner
forks the instance in turn, which becomes the script without a new interpreter: with the modules already there, and
in all else what a cold start is. It ends with the dispatcher.

Messages are packets on a socket: the modules, in words; back ``ready`` or the problem; then a folder, and back
the runner's pid. One whose modules have changed on the disk ends instead of an answer.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import traceback
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path

from qjob.engines.local.freshness import Freshness
from qjob.engines.local.imports import ImportedState, Mark, import_all
from qjob.engines.local.rebirth import become_script
from qjob.engines.local.supervised import EXIT_CRASHED
from qjob.folder import JobFolder
from qjob.runner.process_tree import die_with_parent
from qjob.runner.run import run_job
from qjob.runner.script import ScriptBegins, continue_here

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from qjob.engines.local.zygote import main; main(int(sys.argv[2]))"
)
_SOURCE = Path(__file__).parents[3]


def command(python: str, control: int) -> list[str]:
    """Return the command line of a zygote, which has this very qjob, whatever the interpreter has."""
    return [python, "-P", "-X", "faulthandler", "-c", _PROGRAM, str(_SOURCE), str(control)]


def main(control: int) -> None:
    """Serve until the dispatcher is gone; in a process that is to become a script, become it."""
    ours = sys.path.pop(0)
    die_with_parent()
    mark = Mark()
    modules = os.read(control, 1 << 20).decode().split()
    before = ImportedState.now()
    generators: list[random.Random] = []
    problem = import_all(modules, generators)
    after = ImportedState.now()
    problem = problem or after.problem_since(before)
    try:
        os.write(control, (problem or "ready").encode())
    except OSError:
        return  # the dispatcher is gone
    if problem:
        return
    changes, freshness = after.since(before, mark, generators), Freshness()
    gc.collect()
    gc.freeze()  # so that a collection in a fork does not copy what it shares with us
    begins = _serve_until_forked(control, freshness.is_lost)
    if begins is not None:
        _forget_ours(ours)
        become_script(begins, changes)


def _serve_until_forked(control: int, is_stale: Callable[[], bool]) -> ScriptBegins | None:
    """Serve; return what begins in a process that is to become a script, and None when all is over.

    The exception ends here, or it would be the context of each that the script raises.
    """
    try:
        _serve(control, is_stale)
    except ScriptBegins as begins:
        return begins.with_traceback(None)
    return None


def _serve(control: int, is_stale: Callable[[], bool]) -> None:
    while (folder := os.read(control, 1 << 16)) and not is_stale():
        pid_read, pid_write = os.pipe()
        between = os.fork()
        if between == 0:
            _fork_runner(pid_write)
            os.close(control)
            _run(JobFolder(Path(os.fsdecode(folder))))
        os.close(pid_write)
        os.waitpid(between, 0)  # from here on the runner is the dispatcher's child
        os.write(control, os.read(pid_read, 64))
        os.close(pid_read)


def _fork_runner(pid_write: int) -> None:
    """Return in a fork that has no parent any more, and so becomes the dispatcher's own child; tell its pid."""
    pid = os.fork()
    if pid:
        os.write(pid_write, str(pid).encode())
        os._exit(0)


def _run(folder: JobFolder) -> None:
    """Be the runner of a job; raises ScriptBegins in the process that is its instance."""
    code = EXIT_CRASHED
    try:
        os.setsid()
        code = run_job(folder, continue_here)
    except ScriptBegins:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, the dispatcher's log is to have it
        traceback.print_exc()
    os._exit(code)


def _forget_ours(ours: str) -> None:
    """Have the job import its own qjob, if it has another one than the dispatcher."""
    spec = PathFinder.find_spec("qjob")
    if spec is not None and spec.origin == os.path.join(ours, "qjob", "__init__.py"):
        return
    for name in [name for name in sys.modules if name == "qjob" or name.startswith("qjob.")]:
        del sys.modules[name]
