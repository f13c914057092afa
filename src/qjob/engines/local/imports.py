"""What a zygote imports, and whether a process may be forked after that.

The test is not which libraries are trusted but what they left behind. A thread that is still there after a fork
belongs to somebody who does not prepare for forks; the pools of OpenBLAS and OpenMP runtimes that do are gone
then, and come back when they are needed. Open files (forks share their position), sockets, GPUs, child
processes, signal handlers, limits and output would be shared or lost, so that any of them rules the modules out.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import importlib.util
import os
import random
import signal
import site
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from qjob.engines.local.limits import Limits
from qjob.runner.environment import JOB_ID

_HARMLESS = ("/dev/null", "/dev/urandom", "/dev/random")
"""What has no position that forks could share."""
_CHOSEN_BITS = 64
UNMARKED = "-" * 15
"""What stands in the place of a job's id."""
_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


@dataclass(frozen=True, kw_only=True)
class ImportedState:
    """What of a process imports may change, beside its modules.

    Attributes:
        variables: the environment variables.
        limits: the umask and the resource limits.
        handlers: the signal handlers.
        descriptors: what the open descriptors are, by number.
        children: how many child processes there are.
    """

    variables: Mapping[str, str]
    limits: Limits
    handlers: Mapping[int, Any]
    descriptors: Mapping[int, str]
    children: int

    @classmethod
    def now(cls) -> ImportedState:
        """Return the state of this process."""
        return cls(
            variables=dict(os.environ),
            limits=Limits.now(),
            handlers={number: signal.getsignal(number) for number in _SIGNALS},
            descriptors=open_descriptors(),
            children=_children(),
        )

    def problem_since(self, before: ImportedState) -> str | None:
        """Say why a process in this state may not be forked; None when it may."""
        felt = [what for what in self._opened_since(before).values() if what not in _HARMLESS]
        checks = {
            f"opened {', '.join(felt)}": bool(felt),
            "started a process": self.children > before.children,
            "set a signal handler": self.handlers != before.handlers,
            "set a resource limit": self.limits.resources != before.limits.resources,
            "set the umask": self.limits.umask != before.limits.umask,
            "left a thread running": _threads_after_a_fork() > 1,
        }
        return next((problem for problem, is_so in checks.items() if is_so), None)

    def since(self, before: ImportedState, mark: Mark, generators: list[random.Random]) -> Changes:
        """Return what a forked process has to do once more, in the environment of its job."""
        mine, theirs = self.variables, before.variables
        return Changes(
            variables=mine,
            set_variables={key: value for key, value in mine.items() if theirs.get(key) != value},
            removed_variables=tuple(key for key in theirs if key not in mine),
            descriptors=self._opened_since(before),
            mark=mark,
            seeds=(*(generator.seed for generator in generators), *_numpy_seeds()),
        )

    def _opened_since(self, before: ImportedState) -> dict[int, str]:
        return {fd: what for fd, what in self.descriptors.items() if before.descriptors.get(fd) != what}


class Mark:
    """The job's id in the environment with which this process was executed, which is what /proc shows of it.

    `kill_marked` finds a job's processes by that; a fork has its parent's, until it is written over.
    """

    def __init__(self) -> None:
        """Find the place; the variable must be there, and have an id's length."""
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        self._place = getenv(JOB_ID.encode())

    def write(self, job_id: str) -> None:
        """Have the process bear the job's id."""
        if self._place is not None and len(job_id) == len(UNMARKED):
            ctypes.memmove(self._place, job_id.encode(), len(job_id))


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What imports have changed, apart from the modules that are there.

    Attributes:
        variables: the environment variables that there are now.
        set_variables: those that they set.
        removed_variables: those that they removed.
        descriptors: what they opened, by number, and stays open.
        mark: where the kernel shows others which job a process belongs to.
        seeds: seed a generator of random numbers anew, each of those that were seeded by chance.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    set_variables: Mapping[str, str] = field(default_factory=dict)
    removed_variables: tuple[str, ...] = ()
    descriptors: Mapping[int, str] = field(default_factory=dict)
    mark: Mark
    seeds: tuple[Callable[[], object], ...] = ()


def import_all(modules: list[str], generators: list[random.Random]) -> str | None:
    """Import the installed ones of these modules; return why that is of no use, or None.

    What is not installed here, but lies in the user's own folders, is left to the job. Python's generators that
    were made without a seed meanwhile are added to ``generators``.
    """
    places = _installed_places()
    with _output_kept() as output, _noted(generators):
        for module in modules:
            if not _is_installed(module, places):
                continue
            try:
                importlib.import_module(module)
            except BaseException as error:  # noqa: BLE001 - a module may raise anything, and the job shall tell of it
                return f"{module} cannot be imported: {type(error).__name__}: {error}"
        _flush()
        if os.fstat(output).st_size:
            return "printed something when imported"
    return None


def open_descriptors() -> dict[int, str]:
    """Return what this process has open, by the descriptor's number."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


def _numpy_seeds() -> Iterator[Callable[[], object]]:
    """Yield what seeds those of numpy's generators anew that were seeded by chance: with 128 bits."""
    numpy_random: Any = sys.modules.get("numpy.random")
    kind = getattr(numpy_random, "BitGenerator", None)
    if kind is None:
        return
    common = getattr(numpy_random.mtrand, "_rand", None)  # whose methods are the functions of numpy.random
    for each in gc.get_objects():
        if issubclass(type(each), kind) and _is_by_chance(each):
            yield numpy_random.seed if each is getattr(common, "_bit_generator", None) else partial(_seed_bits, each)


def _is_by_chance(bits: Any) -> bool:
    sequence = getattr(bits, "seed_seq", None) or getattr(bits, "_seed_seq", None)  # numpy before 1.25
    entropy = getattr(sequence, "entropy", None)
    return isinstance(entropy, int) and entropy.bit_length() > _CHOSEN_BITS


def _seed_bits(bits: Any) -> None:
    bits.state = type(bits)().state


def _installed_places() -> tuple[str, ...]:
    paths = [*sysconfig.get_paths().values(), *site.getsitepackages()]
    return tuple({os.path.realpath(path) + os.sep for path in paths})


def _is_installed(module: str, places: tuple[str, ...]) -> bool:
    """Say whether a module's top-level package is an installed one; it is not imported for that."""
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    if spec.origin in ("built-in", "frozen"):
        return True
    where = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    return bool(where) and all(os.path.realpath(path).startswith(places) for path in where)


@contextmanager
def _output_kept() -> Iterator[int]:
    """Have what is printed go to a file; yield its descriptor."""
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield file.fileno()
        finally:
            _flush()
            for fd, copy in enumerate(saved, start=1):
                os.dup2(copy, fd)
                os.close(copy)


@contextmanager
def _noted(generators: list[random.Random]) -> Iterator[None]:
    """Note the generators that are made without a seed: forks would all draw the same numbers from them."""
    original = random.Random.__init__

    def noting(self: random.Random, x: Any = None) -> None:
        original(self, x)
        if x is None:
            generators.append(self)

    random.Random.__init__ = noting  # type: ignore[method-assign]
    try:
        yield
    finally:
        random.Random.__init__ = original  # type: ignore[method-assign]


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _children() -> int:
    count = 0
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
            count += len(file.read().split())
    return count


def _threads_after_a_fork() -> int:
    """Return how many threads this process has after it has forked: those that know of forks are gone."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return len(os.listdir("/proc/self/task"))
