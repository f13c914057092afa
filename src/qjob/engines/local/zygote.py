"""A zygote: a process that has imported what jobs import, and forks the runner of each of them.

The dispatcher starts it with `command`, in the environment of the jobs that it is for. It is told what to import,
says whether forking after that is safe, and then forks a runner for each job folder that it is told. The runner
forks the instance in turn, which becomes the script without a new interpreter: with the modules already there, and
in all else what a cold start is. It ends with the dispatcher.

Messages are packets on a socket: the modules, in words; back ``ready`` or the problem. Then orders: the pids of
runners that have ended, a NUL, the limits of the job's submitter, if any, a NUL, and the job's folder; back the new
runner's pid. Without the last two, back the last one's exit code. One whose modules have changed on the disk ends
instead of an answer.
"""

from __future__ import annotations

import ctypes
import gc
import os
import random
import sys
import time
import traceback
from importlib.machinery import PathFinder
from pathlib import Path

from qjob.engines.local.freshness import Freshness, imported_paths
from qjob.engines.local.imports import ImportedState, Mark, import_all
from qjob.engines.local.limits import Limits
from qjob.engines.local.processes import collected
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
_HUGE_BYTES = 1 << 21
_MADV_COLLAPSE = 25  # <linux/mman.h>


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
    if problem is not None:
        _tell(control, problem)
        return
    is_theirs = _have_qjob_of_their_own(ours)
    changes, freshness = after.since(before, mark, generators), Freshness(imported_paths())
    gc.collect()
    gc.freeze()  # so that a collection in a fork does not copy what it shares with us
    _use_huge_pages()
    begins = _serve_until_forked(control, freshness) if _tell(control, "ready") else None
    if begins is not None:
        if is_theirs:
            _forget_ours()
        become_script(begins, changes)


def _tell(control: int, words: str) -> bool:
    """Tell the dispatcher; return False when it is gone."""
    try:
        os.write(control, words.encode())
    except OSError:
        return False
    return True


def _use_huge_pages() -> None:
    """Have the kernel keep this process's memory in pages of 2 MiB where it can: forks then share it by fewer entries.

    A fork that writes to one copies 4 KiB, as ever. Without effect before Linux 6.1; see madvise(2).
    """
    libc = ctypes.CDLL(None)
    for line in Path("/proc/self/maps").read_text().splitlines():
        where, access, *_, inode, name = [*line.split(maxsplit=5), ""][:6]
        if access == "rw-p" and inode == "0" and name in ("", "[heap]"):
            start, end = (int(address, 16) for address in where.split("-"))
            for page in range(-(-start // _HUGE_BYTES) * _HUGE_BYTES, end - _HUGE_BYTES + 1, _HUGE_BYTES):
                libc.madvise(ctypes.c_void_p(page), ctypes.c_size_t(_HUGE_BYTES), _MADV_COLLAPSE)


def _serve_until_forked(control: int, freshness: Freshness) -> ScriptBegins | None:
    """Serve; return what begins in a process that is to become a script, and None when all is over.

    The exception ends here, or it would be the context of each that the script raises.
    """
    try:
        _serve(control, freshness)
    except ScriptBegins as begins:
        return begins.with_traceback(None)
    return None


def _serve(control: int, freshness: Freshness) -> None:
    while order := _next_order(control):
        ended, _, job = order.partition(b"\0")
        limits, _, folder = job.partition(b"\0")
        codes = [collected(int(pid)) for pid in ended.split()]
        if not folder:
            _tell(control, str(codes[-1]))
        elif freshness.is_lost(_asked_ns(folder)):
            return
        else:
            _tell(control, str(_fork_runner(control, folder, limits.decode())))


def _next_order(control: int) -> bytes:
    """Wait for what the dispatcher wants; nothing when it is gone."""
    try:
        return os.read(control, 1 << 16)
    except ConnectionResetError:  # it was killed before it had read our last answer
        return b""


def _asked_ns(folder: bytes) -> int:
    """Return when the job was submitted, in nanoseconds since 1970: nothing is written before its spec."""
    try:
        return os.stat(folder + b"/spec.json").st_mtime_ns
    except OSError:
        return time.time_ns()  # the runner will say it


def _fork_runner(control: int, folder: bytes, limits: str) -> int:
    """Return the pid of a runner in this process; in the forked one it is that runner, and does not return."""
    pid = os.fork()
    if pid == 0:
        os.close(control)
        _run(JobFolder(Path(os.fsdecode(folder))), limits)
    return pid


def _run(folder: JobFolder, limits: str) -> None:
    """Be the runner of a job; raises ScriptBegins in the process that is its instance."""
    code = EXIT_CRASHED
    try:
        os.setsid()
        if limits:
            Limits.from_text(limits).apply()
        code = run_job(folder, continue_here)
    except ScriptBegins:
        raise
    except BaseException:  # noqa: BLE001 - whatever it is, the dispatcher's log is to have it
        traceback.print_exc()
    os._exit(code)


def _have_qjob_of_their_own(ours: str) -> bool:
    """Return whether jobs import another qjob than the dispatcher's."""
    spec = PathFinder.find_spec("qjob")
    return spec is None or spec.origin != os.path.join(ours, "qjob", "__init__.py")


def _forget_ours() -> None:
    for name in [name for name in sys.modules if name == "qjob" or name.startswith("qjob.")]:
        del sys.modules[name]
