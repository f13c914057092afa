"""A PBS in miniature for the tests: qsub, qselect, qstat and qdel as executables that really run batch scripts.

There is no server: the jobs are directories, and each has a process that waits for what it depends on and for one of
the slots, runs the script in a session of its own, and writes down how it ended. Whoever waits waits for a lock, which
the process of a job holds while it lives. What is imitated is OpenPBS 23 with its job history, as far as its manual
pages and its source tell: words, folded lines, exit codes, and that with a job that has not started all those are
deleted that wait for it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import getpass
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SLOTS = 2
COMMANDS = ("qsub", "qselect", "qstat", "qdel")
SERVER = "fake"
QUEUES = ("workq", "long")
_NAME = re.compile(r"[A-Za-z0-9]\S{0,235}")  # qsub(1B)
_WIDTH = 78


class PbsError(Exception):
    """A command says no; with its exit code."""

    def __init__(self, words: str, exit_code: int) -> None:
        super().__init__(words)
        self.exit_code = exit_code


class FakePbs:
    """A PBS that belongs to a test.

    Attributes:
        bin: the directory of its commands, for the PATH.
    """

    def __init__(self, directory: Path) -> None:
        """Keep its jobs and its commands below a directory; `install` makes them."""
        self.bin = directory / "bin"
        self._state = directory / "pbs"

    def install(self) -> None:
        """Make the commands."""
        for path in (self.bin, self._state):
            path.mkdir(parents=True)
        for name in COMMANDS:
            words = [sys.executable, "-S", "-E", __file__, name, str(self._state)]
            (self.bin / name).write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
            (self.bin / name).chmod(0o755)

    def calls(self, command: str) -> list[list[str]]:
        """Return the arguments of each call of a command."""
        log = self._state / "calls"
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [arguments for name, *arguments in calls if name == command]

    def states(self) -> dict[str, list[str]]:
        """Return the states of the jobs of each name."""
        found: dict[str, list[str]] = {}
        for job in _jobs(self._state):
            found.setdefault(job.asked["name"], []).append(job.attributes()["job_state"])
        return found

    def set_away(self, away: bool) -> None:
        """Let the server go away, or come back."""
        _switch(self._state / "away", away)

    def set_full(self, most: int | None) -> None:
        """Let the server take so many jobs of a user and no more."""
        (self._state / "most").write_text("" if most is None else str(most))

    def set_forgetful(self, forgetful: bool) -> None:
        """Let the server keep no history, or keep it."""
        _switch(self._state / "forgetful", forgetful)


def _switch(path: Path, on: bool) -> None:
    path.touch() if on else path.unlink(missing_ok=True)


# ---------------------------------------------------------------- one job


class _Job:
    """One job: a directory that is named by its number."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.number = int(directory.name)
        self.alive = directory / "alive"
        """Locked by the job's own process while that lives."""

    @property
    def id(self) -> str:
        return f"{self.number}.{SERVER}"

    @property
    def asked(self) -> dict[str, str]:
        asked: dict[str, str] = json.loads((self.directory / "asked.json").read_bytes())
        return asked

    def attributes(self) -> dict[str, str]:
        attributes: dict[str, str] = json.loads((self.directory / "attributes.json").read_bytes())
        return attributes

    def set(self, **attributes: str) -> None:
        path = self.directory / "attributes.json"
        _write(path, (self.attributes() if path.exists() else {}) | attributes)

    def is_in(self, states: str) -> bool:
        return self.attributes()["job_state"] in states

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the right to start or to delete it."""
        with _locked(self.directory / "turn"):
            yield


def _jobs(state: Path) -> list[_Job]:
    found = [_Job(path) for path in state.iterdir() if path.name.isdecimal() and (path / "attributes.json").exists()]
    return sorted(found, key=lambda job: job.number)


def _job(state: Path, job_id: str) -> _Job:
    number, _, server = job_id.partition(".")
    job = _Job(state / number)
    if server != SERVER or not (job.directory / "attributes.json").exists():
        raise PbsError(f"Unknown Job Id {job_id}", 153)
    return job


def _write(path: Path, data: Mapping[str, str]) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(data))
    temporary.replace(path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


# ---------------------------------------------------------------- the commands


def qsub(state: Path, arguments: Sequence[str]) -> str:
    """Take a job; print its id."""
    asked = _qsub_options().parse_args(arguments)
    most = (state / "most").read_text() if (state / "most").exists() else ""
    if not _NAME.fullmatch(asked.N):
        raise PbsError("illegal -N value", 2)
    if asked.q not in QUEUES:
        raise PbsError("Unknown queue", 170)
    if most and len(_jobs(state)) >= int(most):
        raise PbsError("would exceed queue generic's per-user limit", 178)
    after = re.fullmatch(r"(?:depend=afterany:([\w.]+))?", asked.W)
    if after is None:
        raise PbsError("illegal -W value", 2)
    parent = "" if after[1] is None else _job(state, after[1]).id
    return _take(state, asked, parent).id + "\n"


def _qsub_options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="qsub", allow_abbrev=False)
    parser.add_argument("-N", required=True)
    parser.add_argument("-S", choices=["/bin/sh"])
    parser.add_argument("-j", choices=["oe"])
    parser.add_argument("-o", choices=["/dev/null"])
    parser.add_argument("-r", choices=["n"], required=True)
    parser.add_argument("-W", default="")
    parser.add_argument("-q", default=QUEUES[0])
    parser.add_argument("-A", default="")
    parser.add_argument("-l", action="append", default=[])
    parser.add_argument("script", type=Path)
    return parser


def _take(state: Path, asked: argparse.Namespace, parent: str) -> _Job:
    job = _new_job(state)
    (job.directory / "script").write_bytes(asked.script.read_bytes())
    _write(job.directory / "asked.json", {"name": asked.N, "parent": parent})
    alive = os.open(job.alive, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)  # the process inherits it: a job that comes next finds it taken
    job.set(
        Job_Name=asked.N,
        Job_Owner=f"{getpass.getuser()}@{SERVER}",
        job_state="H" if parent else "Q",
        queue=asked.q,
        **({"depend": f"afterany:{parent}@{SERVER}"} if parent else {}),
        **dict(f"Resource_List.{each}".split("=", 1) for each in asked.l),
        substate="22" if parent else "10",
        Variable_List=",".join(f"PBS_O_{name}={value}" for name, value in os.environ.items() if "\n" not in value),
    )
    with (state / "mom.log").open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-S", "-E", __file__, "mom", str(state), job.directory.name],
            pass_fds=[alive],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return job


def _new_job(state: Path) -> _Job:
    number = 1
    while True:
        with contextlib.suppress(FileExistsError):
            (state / str(number)).mkdir()
            return _Job(state / str(number))
        number += 1


def mom(state: Path, number: str) -> None:
    """Be the process of a job."""
    job = _Job(state / number)
    if parent := job.asked["parent"]:
        with _locked(_job(state, parent).alive):
            pass
        with job.turn():
            if job.is_in("H"):
                job.set(job_state="Q", substate="10")
    with _locked(state / f"slot-{job.number % SLOTS}"):
        with job.turn():
            if not job.is_in("Q"):
                return  # it was deleted
            script = _start(job)
            job.set(job_state="R", substate="42", session_id=str(script.pid))
        code = script.wait()
    with job.turn():
        substate = "91" if (job.directory / "deleted").exists() else "92"
        job.set(job_state="F", substate=substate, Exit_status=str(code if code >= 0 else 256 - code))


def _start(job: _Job) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", str(job.directory / "script")],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "PBS_JOBID": job.id, "PBS_JOBNAME": job.asked["name"]},
    )


def qselect(state: Path, arguments: Sequence[str]) -> str:
    """Print the ids of a user's jobs."""
    parser = argparse.ArgumentParser(prog="qselect", allow_abbrev=False)
    parser.add_argument("-x", action="store_true")
    parser.add_argument("-u", required=True)
    asked = parser.parse_args(arguments)
    mine = [job for job in _jobs(state) if job.attributes()["Job_Owner"] == f"{asked.u}@{SERVER}"]
    return "".join(f"{job.id}\n" for job in mine if _is_told(state, job, asked.x))


def qstat(state: Path, arguments: Sequence[str]) -> str:
    """Print all that is known of jobs, or of the server."""
    parser = argparse.ArgumentParser(prog="qstat", allow_abbrev=False)
    for option in ("-x", "-E", "-B"):
        parser.add_argument(option, action="store_true")
    parser.add_argument("-f", action="store_true", required=True)
    parser.add_argument("ids", nargs="*")
    asked = parser.parse_args(arguments)
    if asked.B:
        history = str(not (state / "forgetful").exists())
        server = {"server_state": "Active", "job_history_enable": history, "pbs_version": "23.06.06"}
        return f"Server: {SERVER}\n{_lines(server)}\n"
    jobs = [_job(state, each) for each in asked.ids]
    if not all(_is_told(state, job, asked.x) for job in jobs):
        raise PbsError("Job has finished, use -x or -H to obtain historical job information", 35)
    return "".join(
        f"Job Id: {job.id}\n{_lines(job.attributes())}\n" for job in sorted(jobs, key=lambda job: job.number)
    )


def _is_told(state: Path, job: _Job, with_history: bool) -> bool:
    return not job.is_in("F") or (with_history and not (state / "forgetful").exists())


def _lines(attributes: Mapping[str, str]) -> str:
    return "".join(f"{_folded(f'    {name} = {value}')}\n" for name, value in attributes.items())


def _folded(line: str) -> str:
    first, rest = line[:_WIDTH], line[_WIDTH:]
    return "\n\t".join([first, *(rest[start : start + _WIDTH] for start in range(0, len(rest), _WIDTH))])


def qdel(state: Path, arguments: Sequence[str]) -> str:
    """Delete jobs, in this order."""
    complaints = []
    for job_id in arguments:
        try:
            _delete(state, _job(state, job_id))
        except PbsError as error:
            complaints.append(error)
    if complaints:
        raise complaints[-1]
    return ""


def _delete(state: Path, job: _Job) -> None:
    with job.turn():
        if job.is_in("F"):
            raise PbsError(f"Job has finished {job.id}", 35)
        if job.is_in("R"):
            (job.directory / "deleted").touch()
            os.killpg(int(job.attributes()["session_id"]), signal.SIGTERM)
            return
        for child in _jobs(state):
            if child.asked["parent"] == job.id and child.is_in("H"):
                _delete(state, child)
        job.set(job_state="F", substate="91")


def main(command: str, state: Path, arguments: Sequence[str]) -> int:
    """Be one of the commands; return its exit code."""
    if command == "mom":
        mom(state, arguments[0])
        return 0
    with _locked(state / "calls"):
        log = state / "calls"
        log.write_text((log.read_text() if log.exists() else "") + json.dumps([command, *arguments]) + "\n")
    try:
        if (state / "away").exists():
            raise PbsError(f"cannot connect to server {SERVER} (errno=15010)", 255)
        sys.stdout.write(_COMMANDS[command](state, arguments))
    except PbsError as error:
        sys.stderr.write(f"{command}: {error}\n")
        return error.exit_code
    return 0


_COMMANDS = {"qsub": qsub, "qselect": qselect, "qstat": qstat, "qdel": qdel}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
