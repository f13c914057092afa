"""WarmPool: the dispatcher's zygotes, one for each interpreter, environment and set of imports that jobs have.

A job for which a zygote is ready starts in it; any other starts cold, and its kind gets a zygote beside it.
Nothing waits for a zygote, and one that fails costs nothing but itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from qjob.atomic import write_whole
from qjob.engines.local.imports import UNMARKED
from qjob.engines.local.learning import LateImports
from qjob.engines.local.limits import Limits
from qjob.engines.local.processes import collected
from qjob.engines.local.zygote import command
from qjob.errors import FolderError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner.environment import JOB_ID

_MOST = 3
_ANSWER_S = 5.0
_IDLE_S = 300.0
_IMPORT_LIMIT_S = 60.0  # imports that wait for somebody must not be tried for every job
_FREE_PART = 0.1  # of the machine's memory, below which there are no zygotes
_LOOK_S = 1.0  # how often that is looked at
_QUICK = sys.stdlib_module_names | {"qjob"}
"""What is imported so quickly that jobs which differ in nothing else may share a zygote without it."""
_VOLATILE = frozenset({"_", "COLUMNS", "LINES", "OLDPWD", "PWD", "SHLVL", "WINDOWID", "PYTEST_CURRENT_TEST"})
_VOLATILE_PREFIXES = ("AMZN_BRAKET_", "QJOB_", "SSH_", "XDG_SESSION_", "TERM")
"""Variables that change from shell to shell or job to job, and that no import reads."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What jobs have in common that one zygote can start.

    Attributes:
        python: the interpreter.
        modules: what they import, but for the standard library.
        variables: their environment.
    """

    python: str
    modules: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]


def kind_of(spec: JobSpec, environment: Mapping[str, str]) -> Kind | None:
    """Return the kind of a job; None when it cannot be started warm.

    Instances of one job differ in their environment, and an environment of its own has other packages.
    """
    if sys.platform != "linux" or spec.instance_count > 1 or spec.requirements:
        return None
    variables = {
        key: value
        for key, value in environment.items()
        if key not in _VOLATILE and not key.startswith(_VOLATILE_PREFIXES)
    }
    modules = tuple(name for name in spec.imports if name.partition(".")[0] not in _QUICK)
    return Kind(python=spec.python, modules=modules, variables=tuple(sorted(variables.items())))


@dataclass(kw_only=True)
class Zygote:
    """One zygote.

    Attributes:
        process: its process.
        control: the socket to it.
        ready: whether it has imported all and may be forked.
        used_at: when it was last asked, on the monotonic clock; before that, when it was started.
        ended: its runners that have ended, and that it has not collected yet.
    """

    process: subprocess.Popen[bytes]
    control: socket.socket
    ready: bool = False
    used_at: float = field(default_factory=time.monotonic)
    ended: list[int] = field(default_factory=list)

    def ask(self, folder: JobFolder, limits: str | None = None) -> int | None:
        """Have it fork a runner for a job; return the runner's pid, or None when it does not answer."""
        self.used_at = time.monotonic()
        return self._order((limits or "").encode() + b"\0" + os.fsencode(folder.path))

    def exit_code(self, runner: int) -> int | None:
        """Return the exit code of a runner that it has forked and that has ended; None when that is not known."""
        self.ended.append(runner)
        return self._order(b"")

    def end(self) -> None:
        """End it; the runners that it has forked go on, as children of this process."""
        self.control.close()
        self.process.kill()
        self.process.wait()
        for runner in self.ended:
            collected(runner)

    def _order(self, job: bytes) -> int | None:
        try:
            answer = int(self._answer(" ".join(map(str, self.ended)).encode() + b"\0" + job))
        except (OSError, ValueError):
            self.control.close()  # a late answer must not be taken for that to another order
            return None
        self.ended.clear()
        return answer

    def _answer(self, order: bytes) -> bytes:
        self.control.send(order)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        if not poll.poll(_ANSWER_S * 1000):
            raise TimeoutError(f"no answer within {_ANSWER_S:g} s")
        return self.control.recv(64)


class WarmPool:
    """The zygotes of a dispatcher."""

    def __init__(
        self, report: Path, late: LateImports, patience_s: float = 0.0, import_limit_s: float = _IMPORT_LIMIT_S
    ) -> None:
        """Have no zygotes yet.

        Args:
            late: what sources import late.
            report: the file that says, for people, which there are and which cannot be.
            patience_s: how long a job waits for its zygote rather than start cold, in seconds.
            import_limit_s: how long a zygote may take for its imports, in seconds.
        """
        self._import_limit_s = import_limit_s
        self._report = report
        self._late = late
        self._patience_s = patience_s
        self._zygotes: dict[Kind, Zygote] = {}
        self._wanted: dict[Kind, None] = {}
        self._refused: dict[Kind, str] = {}
        self._runners: dict[int, Zygote] = {}
        self._looked_at = -_LOOK_S
        self._scarce = False

    @property
    def pids(self) -> set[int]:
        """The zygotes' processes."""
        return {zygote.process.pid for zygote in self._zygotes.values()}

    @property
    def descriptors(self) -> list[int]:
        """What becomes readable when a zygote is ready or gone."""
        return [zygote.control.fileno() for zygote in self._zygotes.values() if not zygote.ready]

    def start(self, folder: JobFolder, limits: str | None = None) -> int | None:
        """Start a runner in a zygote; return its pid, or None when there is none for such a job.

        ``limits``: as `Limits.to_text` writes them; None for the zygote's own.
        """
        if limits is not None and Limits.from_text(limits).takes_a_new_program:
            return None
        kinds = [kind for kind in self._kinds_in(folder) if kind not in self._refused]
        if not kinds:
            return None
        self._wanted[kinds[0]] = None
        if self._patience_s:
            self._wait_for(kinds[0])
        kind = next((kind for kind in kinds if self._is_ready(kind)), kinds[0])
        zygote = self._zygotes.get(kind)
        if zygote is None or not zygote.ready:
            return None
        pid = zygote.ask(folder, limits)
        if pid is None:
            self._retire(kind)
            self._wanted[kind] = None
        else:
            self._runners[pid] = zygote
        return pid

    def learn(self, folder: JobFolder) -> None:
        """Take in what a job that has ended left about its imports."""
        self._late.learn(folder)

    def exit_code(self, runner: int) -> int | None:
        """Return the exit code of a runner that was started here and has ended; None when nobody knows it."""
        zygote = self._runners.pop(runner, None)
        if zygote is None:
            return None
        code = collected(runner)  # its zygote is gone: it is our own child by now
        return zygote.exit_code(runner) if code is None else code

    def forget(self, runner: int) -> None:
        """Take note that a runner has ended, if it was started here: its zygote collects it when it is next used."""
        zygote = self._runners.pop(runner, None)
        if zygote is not None and collected(runner) is None:
            zygote.ended.append(runner)

    def tend(self) -> None:
        """Hear what zygotes have to say, and let those go that are of no use now."""
        now = time.monotonic()
        for kind, zygote in list(self._zygotes.items()):
            if not zygote.ready and now - zygote.used_at > self._import_limit_s:
                self._refuse(kind, f"not imported within {self._import_limit_s:g} s")
                self._retire(kind)
            elif not zygote.ready:
                self._hear(kind, zygote)
        scarce = bool(self._zygotes) and self._memory_is_scarce(now)
        for kind, zygote in list(self._zygotes.items()):
            if scarce or now - zygote.used_at > _IDLE_S or zygote.process.poll() is not None:
                self._retire(kind)

    def start_wanted(self) -> None:
        """Start the zygotes that jobs would have used."""
        for kind in list(self._wanted):
            del self._wanted[kind]
            if kind not in self._zygotes and not self._memory_is_scarce(time.monotonic()):
                self._make_room()
                self._start(kind)

    def close(self) -> None:
        """End all zygotes."""
        for kind in list(self._zygotes):
            self._retire(kind)

    def _kinds_in(self, folder: JobFolder) -> list[Kind]:
        """Return the kinds of zygote that suit a job: at first with what it is likely to import late."""
        try:
            spec, environment = folder.read_spec(), folder.read_environment()
        except FolderError:
            return []  # the runner will say it
        wishes = dict.fromkeys([(*spec.imports, *self._late.of(spec)), spec.imports])
        kinds = [kind_of(replace(spec, imports=imports), environment) for imports in wishes]
        return [kind for kind in kinds if kind is not None]

    def _is_ready(self, kind: Kind) -> bool:
        return kind in self._zygotes and self._zygotes[kind].ready

    def _hear(self, kind: Kind, zygote: Zygote) -> None:
        try:
            answer = zygote.control.recv(1 << 16, socket.MSG_DONTWAIT).decode("utf-8", "replace")
        except BlockingIOError:
            return
        except OSError:
            answer = ""
        if answer == "ready":
            zygote.ready = True
            self._tell()
            return
        self._refuse(kind, answer or f"ended with {zygote.process.wait()}")
        self._retire(kind)

    def _refuse(self, kind: Kind, reason: str) -> None:
        self._refused[kind] = reason
        print(f"no warm start for jobs that import {_words(kind)}: {reason}", file=sys.stderr, flush=True)
        self._tell()

    def _tell(self) -> None:
        """Write the report; without room on the disk there is none."""
        ready = [
            {"imports": _words(kind), "pid": each.process.pid} for kind, each in self._zygotes.items() if each.ready
        ]
        refused = [{"imports": _words(kind), "reason": reason} for kind, reason in self._refused.items()]
        with contextlib.suppress(OSError):
            write_whole(self._report, json.dumps({"ready": ready, "refused": refused}, indent=2).encode())

    def _wait_for(self, kind: Kind) -> None:
        self.start_wanted()
        zygote = self._zygotes.get(kind)
        if zygote is not None and not zygote.ready:
            poll = select.poll()
            poll.register(zygote.control, select.POLLIN)
            poll.poll(self._patience_s * 1000)
            self._hear(kind, zygote)

    def _start(self, kind: Kind) -> None:
        try:
            self._zygotes[kind] = _start(kind)
        except OSError as error:  # the interpreter is gone, or no process is to be had: the job will say so
            self._refuse(kind, str(error))

    def _memory_is_scarce(self, now: float) -> bool:
        if now - self._looked_at >= _LOOK_S:
            self._looked_at, self._scarce = now, _memory_is_scarce()
        return self._scarce

    def _make_room(self) -> None:
        if len(self._zygotes) >= _MOST:
            self._retire(min(self._zygotes, key=lambda kind: self._zygotes[kind].used_at))

    def _retire(self, kind: Kind) -> None:
        self._zygotes.pop(kind).end()
        self._tell()


def _words(kind: Kind) -> str:
    return ", ".join(kind.modules) or "nothing"


def _start(kind: Kind) -> Zygote:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.send(" ".join(kind.modules).encode() or b" ")
    with theirs:
        process = subprocess.Popen(
            command(kind.python, theirs.fileno()),
            env={**dict(kind.variables), JOB_ID: UNMARKED},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
        )
    return Zygote(process=process, control=ours)


def _memory_is_scarce() -> bool:
    with open("/proc/meminfo", encoding="ascii") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in file}
    return sizes.get("MemAvailable", 1) < _FREE_PART * sizes.get("MemTotal", 0)
