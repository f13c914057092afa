"""A Slurm that is a few files: real executables on the PATH that the engine is given, and a clock to turn on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qjob.engines.slurm.engine import SlurmEngine
from qjob.folder import JobFolder
from qjob.testing import make_folder, make_spec, make_sweep_folders

PROGRAM = Path(__file__).parent / "engines" / "slurm" / "fake_commands.py"
COMMANDS = ("sbatch", "squeue", "sacct", "scontrol", "sinfo", "scancel")
HELP = """\
  -A, --account=name          charge job to specified account
      --exclusive[=user]      allocate nodes in exclusive mode
      --mem=MB                minimum amount of real memory
  -L, --licenses=names        required license, comma separated
  -o, --output=out            file for batch script's standard output
  -p, --partition=partition   partition requested
      --requeue               if set, permit the job to be requeued
      --qpu=<name>            QPU resources to use
"""
CONFIGURATION = """\
AccountingStorageType   = accounting_storage/none
ClusterName             = test
MaxArraySize            = 1001
MinJobAge               = 300 sec
SLURM_VERSION           = 22.05.8
"""
PARTITIONS = """\
PartitionName=main Default=YES MaxTime=UNLIMITED State=UP
PartitionName=short Default=NO MaxTime=00:10:00 State=UP
"""


@dataclass
class FakeSlurm:
    """The cluster, and the state directory of whoever uses it.

    Attributes:
        directory: of the commands and their files.
        home: with the jobs' folders and the engine's state.
        runners: where copies of qjob lie.
    """

    directory: Path
    home: Path
    runners: Path

    def build(self) -> None:
        """Put the commands there, and an empty queue."""
        self.directory.mkdir(parents=True)
        (self.home / "jobs").mkdir(parents=True)
        for name in COMMANDS:
            (self.directory / name).write_text(f"#!{sys.executable} -IS\n{PROGRAM.read_text()}")
            (self.directory / name).chmod(0o755)
        self.tell(help=HELP, configuration=CONFIGURATION, partitions=PARTITIONS, nodes="main|idle|2|(null)\n")
        self.tell(licenses="LicenseName=qpu1 Total=1 Used=0 Free=1\n", calls="")
        self.moods()
        self.keep([])

    def engine(self, **options: Any) -> SlurmEngine:
        """Return an engine as another process would have it."""
        return SlurmEngine(
            self.state,
            self.jobs,
            runners=self.runners,
            leases=self.home / "devices",
            environment={"PATH": str(self.directory), "HOME": "/nowhere"},
            **{"settle_s": 15.0, **options},
        )

    @property
    def state(self) -> Path:
        """The engine's own directory."""
        return self.home / "slurm"

    @property
    def jobs(self) -> Path:
        """The jobs' folders."""
        return self.home / "jobs"

    # What a test makes of it

    def tell(self, **texts: str) -> None:
        """Have the commands print other texts."""
        for name, text in texts.items():
            (self.directory / name).write_text(text)

    def moods(self, *moods: str) -> None:
        """Have something be wrong, and nothing else.

        ``away``: the controller cannot be reached. ``refuses``: no job is taken, with ``refuses the second`` none but
        the first. ``deaf``: jobs are taken, and nobody is told. ``kills``: jobs are taken, and who submits is killed.
        ``babbles``: sbatch prints no number. ``federated``: it prints the cluster's name too.
        """
        (self.state / "submit" / "trouble").unlink(missing_ok=True)  # what went wrong before is long ago
        self.tell(**{"moods.json": json.dumps(moods)})

    def queue(self) -> list[dict[str, Any]]:
        """Return the queue."""
        found: list[dict[str, Any]] = json.loads((self.directory / "jobs.json").read_text())
        return found

    def keep(self, jobs: list[dict[str, Any]]) -> None:
        """Make this the queue."""
        self.tell(**{"jobs.json": json.dumps(jobs)})

    def change(self, job: str, **fields: Any) -> None:
        """Change a job, or all tasks of an array, by its name without the prefix."""
        self.keep([each | fields if each["name"] == f"qjob-{job}" else each for each in self.queue()])

    def forget(self) -> list[dict[str, Any]]:
        """Forget all jobs, as a controller does that was killed; return what they were."""
        jobs = self.queue()
        self.keep([])
        return jobs

    def account(self, jobs: list[dict[str, Any]]) -> None:
        """Have accounting, that knows these jobs."""
        shutil.rmtree(self.state / "cluster", ignore_errors=True)  # what was known of it
        self.tell(configuration=CONFIGURATION.replace("storage/none", "storage/slurmdbd"))
        self.tell(**{"accounting.json": json.dumps(jobs)})

    def calls(self, command: str) -> list[list[str]]:
        """Return with what a command was called, each time."""
        lines = map(json.loads, (self.directory / "calls").read_text().splitlines())
        return [arguments for name, *arguments in lines if name == command and arguments != ["--help"]]

    def pass_(self, seconds: float) -> None:
        """Let time pass: what was noted or happened is so much longer ago."""
        self._age_answers(seconds)
        acted = self.state / "queue" / "acted"
        if acted.exists():
            then = acted.stat().st_mtime - seconds
            os.utime(acted, (then, then))
        for path in (self.state / "queue" / "trouble", self.state / "told.json", self.state / "ended.json"):
            with contextlib.suppress(FileNotFoundError, ValueError):  # or nothing in it
                path.write_text(json.dumps(_aged(json.loads(path.read_text()), seconds)))
        self.keep([_aged_job(job, seconds) for job in self.queue()])

    def _age_answers(self, seconds: float) -> None:
        for path in self.state.glob("*/answer*"):
            at, _, text = path.read_text().partition("\n")
            path.write_text(f"{float(at) - seconds!r}\n{text}")

    # Jobs

    def folder(self, **fields: Any) -> JobFolder:
        """Return the folder of a new job."""
        return make_folder(self.jobs, make_spec(engine="slurm", **fields))

    def submitted(self, engine: SlurmEngine, *, ago_s: int = 0, **fields: Any) -> tuple[JobFolder, str]:
        """Submit a new job; return its folder and its ref. Asked so, it was submitted some time ago."""
        folder = self.folder(**fields)
        return folder, earlier(submit(engine, folder), ago_s)

    def sweep(self, points: int, concurrency: int | None = None, **fields: Any) -> list[JobFolder]:
        """Return the folders of the jobs of a new sweep."""
        return make_sweep_folders(self.jobs, make_spec(engine="slurm", **fields), points, concurrency)


def submit(engine: SlurmEngine, folder: JobFolder) -> str:
    """Submit one job; return its ref."""
    [ref] = engine.submit([(folder, folder.read_spec())])
    return ref


def earlier(ref: str, seconds: int) -> str:
    """Return the ref of a job that was submitted so much earlier."""
    task, _, rest = ref.partition("@")
    at, _, name = rest.partition("/")
    return f"{task}@{int(at) - seconds}/{name}"


def _aged(value: Any, seconds: float) -> Any:
    """Return what was noted, longer ago: every time in it."""
    if isinstance(value, dict):
        return {key: _aged(item, seconds) if key != "row" else item for key, item in value.items()}
    if isinstance(value, list):
        return [value[0] - seconds, *value[1:]]
    return value - seconds


def _aged_job(job: dict[str, Any], seconds: float) -> dict[str, Any]:
    end = None if job["end"] is None else job["end"] - seconds
    return job | {"submit": int(job["submit"] - seconds), "end": None if end is None else int(end)}
