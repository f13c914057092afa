"""Slurm's commands, played by one program over files: copied to each command's name, beside what it goes by.

::

    jobs.json                        the queue
    calls                            a JSON list for each call
    configuration, partitions, …     what scontrol, sinfo and sbatch --help print
    accounting.json                  what sacct knows; without it there is no accounting
    moods.json                       the set of what is wrong now, see `FakeSlurm.moods`
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(sys.argv[0]).parent
Job = dict[str, Any]


def main(command: str, arguments: list[str]) -> None:
    with (HERE / "calls").open("a") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)  # one at a time
        calls.write(json.dumps([command, *arguments]) + "\n")
        calls.flush()
        if "away" in moods() and "--help" not in arguments:
            fail(f"{command}: error: Unable to contact slurm controller (connect failure)")
        COMMANDS[command](arguments)


def sbatch(arguments: list[str]) -> None:
    if arguments == ["--help"]:
        show("help")
        return
    given = moods()
    if "refuses" in given or ("refuses the second" in given and len(jobs())):
        fail("sbatch: error: Batch job submission failed: Invalid qos specification")
    options = directives(Path(arguments[-1]).read_text())
    if "afterany:0" in options.get("dependency", ""):
        fail("sbatch: error: Batch job submission failed: Job dependency problem")
    queue = jobs()
    number = 1 + max((job["id"] for job in queue), default=0)
    for index in indices(options.get("array", "")):
        queue.append(new_job(number, index, options))
    save(queue)
    if "kills" in given:
        os.kill(os.getppid(), signal.SIGKILL)
    if "deaf" in given:
        fail("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation")
    print("Submitted batch job" if "babbles" in given else f"{number};test" if "federated" in given else number)


def squeue(arguments: list[str]) -> None:
    names = [each for word in arguments if word.startswith("--name=") for each in word[7:].split(",")]
    fields = [field.removesuffix(":|") for field in arguments[arguments.index("-O") + 1].split(",")]
    for job in jobs():
        if not names or job["name"] in names:
            print("".join(f"{job_column(job, field)}|" for field in fields))


def sacct(arguments: list[str]) -> None:
    if not (HERE / "accounting.json").exists():
        fail("Slurm accounting storage is disabled")
    [names] = [word[7:].split(",") for word in arguments if word.startswith("--name=")]
    for job in json.loads((HERE / "accounting.json").read_text()):
        if job["name"] in names:
            row = (task(job), job["state"], job["exit"], job["submit"], job["end"] or "Unknown")
            print("|".join(map(str, (*row, job["nodes"] or "None assigned", job["reason"], job["name"]))))


def scontrol(arguments: list[str]) -> None:
    show({"config": "configuration", "partition": "partitions", "licenses": "licenses"}[arguments[-1]])


def sinfo(arguments: list[str]) -> None:
    show("nodes")


def scancel(arguments: list[str]) -> None:
    if "--batch" in arguments:
        return
    told = {task for word in arguments if not word.startswith("-") for task in tasks(word)}
    queue = jobs()
    for job in queue:
        if {(job["id"], job["index"]), (job["id"], None)} & told and job["end"] is None:
            job.update(state="CANCELLED", end=int(time.time()))
    save(queue)


COMMANDS = {each.__name__: each for each in (sbatch, squeue, sacct, scontrol, sinfo, scancel)}


def new_job(number: int, index: int | None, options: dict[str, str]) -> Job:
    return {
        "id": number,
        "index": index,
        "name": options["job-name"],
        "state": "PENDING",
        "exit": "0:0",
        "restarts": 0,
        "submit": int(time.time()),
        "end": None,
        "nodes": "",
        "reason": "None",
    }


def job_column(job: Job, field: str) -> object:
    columns = {
        "JobArrayID": task(job),
        "State": job["state"],
        "exit_code": job["exit"],
        "RestartCnt": job["restarts"],
        "SubmitTime": job["submit"],
        "EndTime": job["end"] or "N/A",
        "NodeList": job["nodes"],
        "Reason": job["reason"],
        "Name": job["name"],
    }
    return columns[field]


def task(job: Job) -> str:
    return str(job["id"]) if job["index"] is None else f"{job['id']}_{job['index']}"


def tasks(word: str) -> Iterator[tuple[int, int | None]]:
    number, _, listed = word.partition("_")
    for index in indices(listed.strip("[]")):
        yield int(number), index


def indices(text: str) -> Iterator[int | None]:
    if not text:
        yield None
        return
    for part in text.partition("%")[0].split(","):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def directives(script: str) -> dict[str, str]:
    words = [word for line in re.findall(r"^#SBATCH (.*)$", script, re.MULTILINE) for word in shlex.split(line)]
    return {name: value for name, _, value in (word.removeprefix("--").partition("=") for word in words)}


def jobs() -> list[Job]:
    found: list[Job] = json.loads((HERE / "jobs.json").read_text())
    return found


def save(queue: list[Job]) -> None:
    (HERE / "jobs.json").write_text(json.dumps(queue))


def moods() -> set[str]:
    return set(json.loads((HERE / "moods.json").read_text()))


def show(name: str) -> None:
    print((HERE / name).read_text(), end="")


def fail(words: str) -> None:
    sys.exit(words)


if __name__ == "__main__":
    main(Path(sys.argv[0]).name, sys.argv[1:])
