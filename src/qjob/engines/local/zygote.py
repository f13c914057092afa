"""A zygote: a process that has imported what jobs import, and forks the runner of each of them.

``python -P -X faulthandler zygote.py CONTROL_FD QJOB_DIR`` starts it, in the environment of the jobs that it is for.
It is told what to import, says whether forking after that is safe, and then forks a runner for each job folder
that it is told. The runner forks the instance in turn, which becomes the script without a new interpreter: with
the modules already there, and in all else what a cold start is. It ends with the dispatcher.

Messages are packets on CONTROL_FD: the modules, one a line; back a line ``ready`` or the problem; then a folder,
and back the runner's pid. One whose modules have changed on the disk ends instead of an answer.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from qjob.runner.script import ScriptBegins

_OURS = (
    "qjob.engines.local.freshness",
    "qjob.engines.local.imports",
    "qjob.engines.local.rebirth",
    "qjob.engines.local.supervised",
    "qjob.runner.bootstrap",
)
"""All that is needed, to be imported before the path is the job's again."""


def main(arguments: list[str]) -> None:
    """Serve until the dispatcher is gone; return in a process that is to become a script, to become it."""
    control, qjob_directory = int(arguments[0]), arguments[1]
    is_the_jobs = _import_ours(qjob_directory)
    from qjob.engines.local.freshness import Freshness
    from qjob.engines.local.imports import ImportedState, Mark, import_all
    from qjob.engines.local.rebirth import become_script
    from qjob.runner.process_tree import die_with_parent

    die_with_parent()
    mark = Mark()
    modules = os.read(control, 1 << 20).decode().split()
    before = ImportedState.now()
    problem = import_all(modules) or ImportedState.now().problem_since(before)
    try:
        os.write(control, (problem or "ready").encode())
    except OSError:
        return  # the dispatcher is gone
    if problem:
        return
    state = ImportedState.now()
    freshness = Freshness()
    gc.collect()
    gc.freeze()  # so that a collection in a fork does not copy what it shares with us
    begins = _serve_until_forked(control, freshness.is_lost)
    if begins is not None:
        if not is_the_jobs:
            _forget_ours()
        become_script(begins, state.since(before, mark))


def _forget_ours() -> None:
    """Have the job import its own qjob, if it has one."""
    for name in [name for name in sys.modules if name == "qjob" or name.startswith("qjob.")]:
        del sys.modules[name]


def _import_ours(qjob_directory: str) -> bool:
    """Import what is needed of the dispatcher's own qjob; return whether that is the one that jobs would find."""
    spec = importlib.util.find_spec("qjob")
    sys.path.insert(0, os.path.dirname(qjob_directory))
    for module in _OURS:
        importlib.import_module(module)
    del sys.path[0]
    return spec is not None and spec.origin == sys.modules["qjob"].__file__


def _serve_until_forked(control: int, is_stale: Callable[[], bool]) -> ScriptBegins | None:
    """Serve; return what begins in a process that is to become a script, and None when all is over.

    The exception ends here, or it would be the context of each that the script raises.
    """
    from qjob.runner.script import ScriptBegins

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
            _run(os.fsdecode(folder))
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


def _run(folder: str) -> None:
    """Be the runner of a job; raises ScriptBegins in the process that is its instance."""
    import traceback
    from pathlib import Path

    from qjob.engines.local.supervised import EXIT_CRASHED
    from qjob.folder import JobFolder
    from qjob.runner.run import run_job
    from qjob.runner.script import ScriptBegins, continue_here

    code = EXIT_CRASHED
    try:
        os.setsid()
        code = run_job(JobFolder(Path(folder)), continue_here)
    except ScriptBegins:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, the dispatcher's log is to have it
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
