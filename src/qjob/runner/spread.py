"""SpreadInstances: the instances of a job on as many machines as its scheduler gave, each with a keeper beside it.

The runner starts one command, the scheduler's launcher, that starts a `qjob.runner.keeper` for each instance. What
it hears of them lies in the folder, which all machines share: each keeper leaves ``instances/<n>.json`` when its
instance has ended, and ends it when ``instances/end`` is there.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qjob.folder import JobFolder, look_anew
from qjob.runner.instances import Listen
from qjob.runner.place import Place

_LOOK_S = 0.5
_LAUNCHER_LOST = "the launcher of the instances ended before it, see runner.log"


@dataclass(kw_only=True)
class SpreadInstance:
    """One instance on another machine, or on this one beside others; see `qjob.runner.instances.Ended`."""

    number: int
    exit_code: int | None = None
    reason: str = ""
    traceback: str = ""


class SpreadInstances:
    """Instances that a launcher starts."""

    polls = False

    def __init__(
        self, folder: JobFolder, place: Place, count: int, environment: Callable[[], Mapping[str, str]]
    ) -> None:
        """Start ``count`` keepers by the place's launcher, in the environment that is asked for then."""
        self._folder = folder
        self._command = place.launcher
        self._environment = environment
        self._count = count
        self._instances: list[SpreadInstance] = []
        self._pid = 0

    @property
    def all(self) -> Sequence[SpreadInstance]:
        return self._instances

    def start(self, listen: Listen) -> None:
        state = self._folder.instances_state
        state.mkdir(mode=0o700, exist_ok=True)
        for left in state.iterdir():  # by an earlier attempt
            left.unlink(missing_ok=True)
        launcher = subprocess.Popen(
            [*self._command, str(self._folder.path)],
            stdin=subprocess.DEVNULL,
            env=dict(self._environment()),
            start_new_session=True,
        )
        self._instances = [SpreadInstance(number=number) for number in range(self._count)]
        self._pid = launcher.pid
        launcher.returncode = 0  # the runner collects all children itself

    def take_end(self, pid: int, wait_status: int) -> None:
        if pid != self._pid:
            return
        look_anew(self._folder.instances_state)
        self.look()
        code = os.waitstatus_to_exitcode(wait_status)
        for instance in self._instances:
            if instance.exit_code is None:
                # As a shell counts: the launcher's signal is not the script's.
                instance.exit_code = 128 - code if code < 0 else code or 1
                instance.reason = f"{_LAUNCHER_LOST} (exit code {code})"

    def look(self) -> None:
        for instance in self._instances:
            if instance.exit_code is None:
                self._take_state(instance)

    def look_within_s(self) -> float:
        return _LOOK_S

    def tell_to_end(self, pids: list[int]) -> None:
        """Ask the keepers: a launcher that gets SIGTERM would kill them and what they keep at once."""
        self._folder.end_mark.touch()

    def disk_error(self) -> OSError | None:
        return None

    def close(self) -> None:
        """Do nothing: the keepers keep the output."""

    def let_go(self) -> None:
        """Do nothing: no alarm was set."""

    def _take_state(self, instance: SpreadInstance) -> None:
        try:
            told = json.loads(self._folder.instance_state(instance.number).read_bytes())
        except (OSError, ValueError):
            return  # not there yet
        instance.exit_code = told["exitCode"]
        instance.reason, instance.traceback = told["reason"], told["traceback"]
