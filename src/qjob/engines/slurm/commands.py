"""Slurm's own commands: the one place that starts them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from qjob.engines.slurm.rows import ACCOUNTING_FORMAT, QUEUE_FORMAT
from qjob.errors import EngineError, EngineUnavailable, SubmitError

_QUICK_S = 30.0  # what only asks; a client gives up by itself after some ten seconds when the controller is away
_SUBMIT_S = 30.0  # sbatch itself waits for minutes where the list of jobs is full
_LATER = (
    "Unable to contact slurm controller",
    "Unable to establish",
    "Socket timed out",
    "Zero Bytes were transmitted",
    "Connection refused",
    "Connection timed out",
    "temporarily unable",
    "Resource temporarily unavailable",
    "Slurm backup controller in standby mode",
    "Transport endpoint is not connected",
    "Unable to process configuration file",
    "Could not establish a configuration source",
    "Protocol authentication error",
    "Munge",
    "in standby",
)
"""What a client says when the controller cannot be reached now."""
_KEPT = (
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "TZ",
    "LD_LIBRARY_PATH",
    "SLURM_CONF",
    "SLURM_CONF_SERVER",
    "SLURM_JWT",
)
_KEPT_FAMILIES = ("LC_",)
_TIMES = {"SLURM_TIME_FORMAT": "%s"}  # in seconds since 1970; not for sbatch, which hands it on to the job
_TELL_TIMES = ("squeue", "sacct")
_IDS_AT_ONCE = 400


class Slurm:
    """Asks and tells the cluster."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Use the cluster of an environment.

        Of its variables only those are passed on that tell where the cluster is, or concern every program. What a
        user has set, a job gets by its folder; the variables of a job in which this is would mislead sbatch; and
        SBATCH_ and SQUEUE_ variables go before what the script and the question say.
        """
        kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)}
        self._environment = kept

    def options_help(self) -> str:
        """Return what ``sbatch --help`` prints, to which a site's plugins add. Raises EngineUnavailable."""
        return self._run(["sbatch", "--help"], _QUICK_S)

    def submit(self, script: Path) -> int:
        """Submit a script; return Slurm's number of it.

        Raises SubmitError when Slurm refused it, EngineUnavailable when it is not known whether it has it.
        """
        try:
            answer = self._run(["sbatch", "--parsable", str(script)], _SUBMIT_S)
        except EngineUnavailable:
            raise
        except EngineError as error:
            raise SubmitError(f"Slurm refuses the job: {error}") from error
        number = answer.strip().partition(";")[0]
        if not number.isdecimal():
            raise EngineUnavailable(f"sbatch gave no number, but {answer.strip()[:200]!r}.")
        return int(number)

    def queue(self, names: Sequence[str] = ()) -> str:
        """Return what squeue says of all of this user's jobs, or of those of some names. Raises EngineUnavailable."""
        by_name = [f"--name={','.join(names)}"] if names else []
        return self._asked(
            ["squeue", "--all", "--noheader", "--array", "--states=all", "--me", *by_name, "-O", QUEUE_FORMAT]
        )

    def accounting(self, names: Sequence[str], since: float) -> str:
        """Return what sacct says of jobs of some names that were there since a time. Raises EngineError without it."""
        start = datetime.fromtimestamp(since).strftime("%Y-%m-%dT%H:%M:%S")  # in local time, as Slurm reads it
        command = ["sacct", "--allocations", "--noheader", "--parsable2", f"--starttime={start}"]
        return self._run([*command, f"--name={','.join(names)}", f"--format={ACCOUNTING_FORMAT}"], _QUICK_S)

    def configuration(self) -> str:
        """Return what ``scontrol show config`` says. Raises EngineUnavailable."""
        return self._asked(["scontrol", "show", "config"])

    def partitions(self) -> str:
        """Return what ``scontrol show partition`` says, a line each. Raises EngineUnavailable."""
        return self._asked(["scontrol", "--oneliner", "show", "partition"])

    def licenses(self) -> str:
        """Return what ``scontrol show licenses`` says, a line each. Raises EngineUnavailable."""
        return self._asked(["scontrol", "--oneliner", "show", "licenses"])

    def nodes(self) -> str:
        """Return how many nodes of each state each partition has: ``main|idle|3|gres``. Raises EngineUnavailable."""
        return self._asked(["sinfo", "--noheader", "--format=%R|%T|%D|%G"])

    def take_out(self, tasks: Sequence[str]) -> None:
        """Cancel jobs, whatever they do; those that are gone are no error. Raises EngineUnavailable."""
        self._cancel([], tasks)

    def tell_to_end(self, tasks: Sequence[str]) -> None:
        """Send SIGTERM to the runners of running jobs, which end them. Raises EngineUnavailable."""
        self._cancel(["--batch", "--signal=TERM"], tasks)

    def _cancel(self, how: Sequence[str], tasks: Sequence[str]) -> None:
        for start in range(0, len(tasks), _IDS_AT_ONCE):
            try:
                self._run(["scancel", "--quiet", *how, *tasks[start : start + _IDS_AT_ONCE]], _QUICK_S)
            except EngineUnavailable:
                raise
            except EngineError:
                continue  # one of them has ended meanwhile; the next look tells

    def _asked(self, command: Sequence[str]) -> str:
        try:
            return self._run(command, _QUICK_S)
        except EngineUnavailable:
            raise
        except EngineError as error:
            raise EngineUnavailable(str(error)) from error

    def _run(self, command: Sequence[str], timeout_s: float) -> str:
        """Return what a command printed. Raises EngineUnavailable, and EngineError when it said no."""
        configuration = self._environment.get("SLURM_CONF")
        if configuration is not None and not os.path.exists(configuration):
            raise EngineUnavailable(f"SLURM_CONF={configuration}: there is no such file.")
        try:
            done = subprocess.run(
                command,
                check=False,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                stdin=subprocess.DEVNULL,
                env=self._environment | (_TIMES if command[0] in _TELL_TIMES else {}),
                cwd=os.sep,
            )
        except FileNotFoundError as error:
            raise EngineUnavailable(f"{command[0]} is not on the PATH of this machine: is it a login node?") from error
        except OSError as error:
            raise EngineUnavailable(f"{command[0]} cannot be started: {error}.") from error
        except subprocess.TimeoutExpired as error:
            last_words = (error.stderr or b"").decode(errors="replace").split()
            words = f": {' '.join(last_words)[-200:]}" if last_words else ""
            raise EngineUnavailable(f"{command[0]} has not answered for {timeout_s:g} s{words}.") from error
        if done.returncode == 0:
            return done.stdout
        said = " ".join((done.stderr or done.stdout).split())[-500:] or f"{command[0]} ended with {done.returncode}"
        raise (EngineUnavailable if any(words in said for words in _LATER) else EngineError)(said)
