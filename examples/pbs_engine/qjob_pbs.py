"""The engine ``pbs``: jobs of a PBS Pro or OpenPBS cluster. A teaching example; README.md says what it leaves out."""

from __future__ import annotations

import contextlib
import getpass
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Any

from qjob.atomic import write_whole
from qjob.config import Settings
from qjob.engine import Fact, Observation, Presence, remote_input_problems
from qjob.errors import EngineError, EngineUnavailable, SubmitError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec
from qjob.runner_copy import runner_copy
from qjob.shared_answer import SharedAnswer

OPTIONS = {"account": "-A{}", "queue": "-q{}", "select": "-lselect={}", "walltime": "-lwalltime={}"}
"""The words of ``[engines.pbs]`` and of a job's options, and how qsub is told."""
WAITING, RUNNING, GONE = Presence.WAITING, Presence.RUNNING, Presence.GONE
PRESENCES = dict.fromkeys("QHWT", WAITING) | dict.fromkeys("RES", RUNNING) | {"F": GONE}
"""Where each of PBS's states sees a job, see qstat(1B); a letter that is not here is UNKNOWN."""


# Text functions: words in, words out


def batch_script(folder: JobFolder, runner: Path) -> str:
    """Return what PBS runs; ``runner`` is the directory that makes qjob importable on the nodes."""
    lines = [
        "#!/bin/sh",
        f"exec >>{quote(str(folder.runner_log))} 2>&1",
        f"export PYTHONPATH={quote(str(runner))}",
        f"exec {quote(sys.executable)} -P -m qjob.runner {quote(str(folder.path))}",  # PBS signals what it has started
    ]
    return "\n".join(lines) + "\n"


def qsub_command(job: str, spec: JobSpec, options: Mapping[str, Any], after: str | None) -> list[str]:
    """Return the call of qsub for a job; ``after`` is PBS's number of the job that has to end first."""
    given = {"select": f"1:ncpus={spec.instance_count}", **options, **spec.options}
    command = ["qsub", "-N", job, "-S", "/bin/sh", "-j", "oe", "-o", "/dev/null", "-r", "n"]
    command += [] if after is None else ["-W", f"depend=afterany:{after}"]
    return command + [OPTIONS[name].format(value) for name, value in given.items()]


@lru_cache(maxsize=2)
def parse(text: str) -> list[dict[str, str]]:
    """Return the attributes of each job, or server, that ``qstat -f`` has printed; ``number`` is what it goes by."""
    unfolded = text.replace("\n\t", "")
    blocks = re.split(r"^(?:Job Id|Server): ", unfolded, flags=re.MULTILINE)[1:]
    found = (dict(re.findall(r"^ +([\w.]+) = (.*)$", block, re.MULTILINE)) for block in blocks)
    return [{"number": block.split()[0]} | attributes for block, attributes in zip(blocks, found, strict=True)]


def by_name(text: str) -> dict[str, dict[str, str]]:
    """Return the jobs by name; of two with one name that which has not ended, or else the newer one."""
    return {job["Job_Name"]: job for job in sorted(parse(text), key=lambda job: job["job_state"] != "F")}


def deletable(text: str, names: Iterable[str]) -> list[str]:
    """Return the numbers of those jobs that can be deleted, in the order in which it is to be done.

    With a job that has not started PBS deletes all that wait for it. So such a job stays if one waits for it that
    is to stay: its runner will find the cancel mark, and end. Who waits is younger than whom it waits for.
    """
    wanted, needed, found = set(names), set[str](), list[tuple[bool, str]]()
    for job in reversed(parse(text)):
        presence = PRESENCES.get(job["job_state"])
        is_free = presence is RUNNING or (presence is WAITING and job["number"] not in needed)
        if is_free and job["Job_Name"] in wanted:
            found.append((presence is RUNNING, job["number"]))
        elif presence is WAITING:
            needed.update(re.findall(r"afterany:([^@,:]+)", job.get("depend", "")))
    return [number for _, number in sorted(found, key=lambda each: each[0])]


def observation_of(job: Mapping[str, str] | None) -> Observation:
    """Return what PBS says of a job, or what follows from its saying nothing."""
    if job is None:
        return Observation(presence=GONE, message="PBS does not know it", certain=False)
    presence = PRESENCES.get(job["job_state"], Presence.UNKNOWN)
    waits_for = "another job of its sweep to end" if job["job_state"] == "H" else "its turn"
    ended = f"PBS ended it with exit status {job.get('Exit_status', 'unknown')}"
    words = {WAITING: f"{waits_for} (PBS: {job.get('comment', job['job_state'])})", GONE: ended}
    # The outcome was written on another machine: the disk may still hide it.
    return Observation(presence=presence, message=words.get(presence, ""), certain=presence is not GONE)


# The engine: a thin shell around PBS's commands


class PbsEngine:
    """Jobs of a PBS cluster; a ref is the job's id, which is its name in PBS too."""

    name = "pbs"

    def __init__(self, state: Path, jobs: Path, runners: Path, options: Mapping[str, Any]) -> None:
        """Keep PBS's last answer in ``state``; ``jobs`` and ``runners`` are on a disk that all nodes share."""
        self._jobs, self._runners, self._options = jobs, runners, options
        self._queue = SharedAnswer(state / "queue", _all_jobs, interval_s=30.0)
        self._told: set[tuple[str, float]] = set()

    def check(self, spec: JobSpec) -> list[str]:
        """Return what this engine does not take."""
        unknown = [name for name in [*self._options, *spec.options] if name not in OPTIONS]
        problems = [f"option {name!r}: pbs knows {', '.join(OPTIONS)}; leave it out." for name in unknown]
        if spec.priority:
            problems.append(f"priority={spec.priority}: pbs has no priorities; leave it out.")
        if not spec.device.startswith("local:"):
            problems.append(f"device {spec.device!r}: pbs does not see to it that one job has it; use another engine.")
        return problems + remote_input_problems(spec)

    def submit(self, jobs: Sequence[tuple[JobFolder, JobSpec]]) -> list[str]:
        """Hand over the jobs that PBS has not got; of a sweep, each waits for the one ``concurrency`` before it."""
        known = by_name(self._queue.ask().text)  # a submitter that was killed may have come as far as PBS
        numbers: list[str] = []
        try:
            for folder, spec in jobs:
                limit = spec.sweep_point.concurrency if spec.sweep_point else None
                after = numbers[-limit] if limit and len(numbers) >= limit else None
                numbers.append(known[folder.id]["number"] if folder.id in known else self._qsub(folder, spec, after))
        except (OSError, SubmitError) as error:
            kind = EngineUnavailable if numbers else SubmitError  # "never" would be wrong of those that PBS has
            raise kind(f"{len(numbers)} of {len(jobs)} jobs were submitted: {error}") from error
        self._queue.note_act()
        self._queue.ask()  # from here on, an answer without these jobs says that PBS does not have them
        return [folder.id for folder, _ in jobs]

    def _qsub(self, folder: JobFolder, spec: JobSpec, after: str | None) -> str:
        script = batch_script(folder, runner_copy(self._runners))
        write_whole(folder.submit_script, script.encode("utf-8", "surrogateescape"))
        return _run(*qsub_command(folder.id, spec, self._options, after), str(folder.submit_script)).strip()

    def observe(self, refs: Sequence[str]) -> dict[str, Observation]:
        """Say where each job is by PBS's last answer, which may be older than what its folder tells."""
        jobs = by_name(self._queue.read().text) if refs else {}
        seen = {ref: observation_of(jobs.get(ref)) for ref in refs}
        begun = {ref for ref in refs if seen[ref].presence is WAITING and JobFolder(self._jobs / ref).events.exists()}
        return seen | dict.fromkeys(begun, Observation(presence=RUNNING))

    def cancel(self, refs: Sequence[str]) -> None:
        """Delete jobs in PBS, which sends SIGTERM to the runners of those that run; once for each answer of PBS."""
        answer = self._queue.read()
        due = {(ref, answer.asked_at) for ref in refs} - self._told
        self._told |= due
        if due and (numbers := deletable(answer.text, [ref for ref, _ in due])):
            self._queue.note_act()
            with contextlib.suppress(EngineError):  # one of them has ended meanwhile; the next look tells
                _run("qdel", *numbers)

    def describe(self) -> list[Fact]:
        """Say what PBS is like."""
        (server,) = parse(_run("qstat", "-B", "-f"))
        keeps = server.get("job_history_enable") == "True"
        history = "kept" if keeps else "not kept, which sweeps with a concurrency need: ask for job_history_enable"
        return [Fact("PBS", f"version {server.get('pbs_version', '?')}"), Fact("job history", history, well=keeps)]

    def sync(self, ref: str, folder: JobFolder) -> None:
        """Do nothing: the folder is on the disk that all nodes share."""


def make_engine(settings: Settings) -> PbsEngine:
    """Return the engine; pyproject.toml names this function as the entry point."""
    own = settings.engines.get("pbs", {})
    return PbsEngine(settings.engine_state("pbs"), settings.jobs, settings.runners, own)


def _all_jobs() -> str:
    """Return all that PBS knows of this user's jobs, in the order of their numbers."""
    numbers = _run("qselect", "-x", "-u", getpass.getuser()).split()
    return _run("qstat", "-x", "-E", "-f", *numbers) if numbers else ""


def _run(*command: str) -> str:
    """Return what a command printed. Raises SubmitError when qsub says no, else EngineUnavailable."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(f"{command[0]} cannot be used: {error}; is this a login node of PBS?") from error
    if done.returncode:
        is_no = command[0] == "qsub" and "cannot connect" not in done.stderr
        raise (SubmitError if is_no else EngineUnavailable)(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout
