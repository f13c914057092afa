"""A state directory whose jobs go to a real Slurm of the tests' own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from living import wait_until
from qjob.app import open_service
from qjob.config import Device, Settings
from qjob.engines.slurm.rows import QUEUE_FORMAT, Row, parse_queue
from qjob.folder import JobFolder
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.service import Service
from slurm_cluster import SlurmCluster

MEMORY = "200M"
FAR_S = 120.0  # for what waits until a node is taken for lost


@dataclass
class Lab:
    """A cluster, and somebody's state directory.

    Attributes:
        cluster: the Slurm.
        home: the state directory.
        scripts: where the tests' scripts are written.
        devices: what the settings know of devices.
        words: of ``[engines.slurm]``.
    """

    cluster: SlurmCluster
    home: Path
    scripts: Path
    devices: Mapping[str, Device] = field(default_factory=dict)
    words: Mapping[str, Any] = field(default_factory=lambda: {"mem": MEMORY, "poll_s": 2})

    @property
    def settings(self) -> Settings:
        """The settings of whoever works there."""
        return Settings(
            home=self.home,
            index=self.home,
            engine="slurm",
            slots=2,
            grace_s=1.0,
            idle_s=5.0,
            devices=self.devices,
            engines={"slurm": self.words},
        )

    def service(self) -> Service:
        """Return a new service, as another process would have it."""
        return open_service(self.settings)

    def submit(self, text: str, service: Service | None = None, **asked: Any) -> Job:
        """Submit a script by its text; keyword arguments are fields of `Request`."""
        script = self.scripts / "script.py"
        script.write_text(text)
        service = service or self.service()
        request = Request(source=script, **{"grace_s": 1.0, "engine": "slurm", **asked})
        return Job(service.submit(prepare(request)).id, service=service)

    def folder(self, job: Job) -> JobFolder:
        """Return a job's folder."""
        return JobFolder(self.home / "jobs" / job.id)

    def log(self, job: Job) -> str:
        """Return what a job has printed until now."""
        path = self.folder(job).log(0)
        return path.read_text() if path.exists() else ""

    def row(self, job: Job) -> Row:
        """Return what Slurm says of a job."""
        return next(row for row in self.rows() if row.name == f"qjob-{job.id}")

    def rows(self) -> list[Row]:
        """Return what Slurm says of all jobs."""
        return parse_queue(self.cluster.run("squeue", "-h", "-r", "-t", "all", "-O", QUEUE_FORMAT))

    def until_printed(self, job: Job, text: str) -> None:
        """Wait until a job has printed a text."""
        wait_until(lambda: text in self.log(job), FAR_S)


def ended(job: Job, deadline_s: float = FAR_S) -> str:
    """Wait for a job's end; return its state."""
    return job.wait(deadline_s)


def steadily(look: Callable[[], bool], seconds: float) -> bool:
    """Return whether something stays true for so many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not look():
            return False
        time.sleep(0.05)
    return True
