"""kill -9 of whatever is there, over and over, in every phase: nothing is lost, nothing is left."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from living import dispatcher_pid, processes_naming, wait_until
from qjob.app import open_service
from qjob.atomic import TEMPORARY_SUFFIX
from qjob.config import Settings
from qjob.model.record import record_to_json
from qjob.model.status import JobStatus
from qjob.runner.process_tree import marked
from qjob.service import Service
from qjob.store.store import Query

pytestmark = [pytest.mark.live, pytest.mark.fault]

KILLS = 220
LONGEST_S = 240.0
MOST_ACTIVE_JOBS = 12


class Scene:
    """A state directory with a submitter on it, and a killer."""

    def __init__(self, service: Service, home: Path, directory: Path, environment: dict[str, str], seed: int) -> None:
        self._service = service
        self._home = home
        self._directory = directory
        self._environment = environment
        self._choose = random.Random(seed)
        self._seeds = iter(range(seed, seed + 10_000))
        self._output = directory / "submitters"
        self._submitter: subprocess.Popen[bytes] | None = None
        self.kills = dict.fromkeys(("submitter", "dispatcher", "zygote", "runner", "job"), 0)

    def play(self) -> None:
        """Kill until it is enough."""
        deadline = time.monotonic() + LONGEST_S
        while sum(self.kills.values()) < KILLS:
            assert time.monotonic() < deadline, f"only {self.kills} by then"
            self._keep_submitting()
            time.sleep(self._choose.random() ** 2 * 0.15)  # the moment is the point: early phases more often
            self._kill_one()
        self._end_submitter()

    def said(self, word: str) -> set[str]:
        """Return the ids of which a submitter said that."""
        lines = [line.split() for line in self._output.read_text().splitlines()]
        return {line[1] for line in lines if line[0] == word and len(line) == 2}

    def _keep_submitting(self) -> None:
        """Have one submitter at work, unless there are jobs enough to kill."""
        if len(self._active()) > MOST_ACTIVE_JOBS:
            self._end_submitter()
        elif self._submitter is None or self._submitter.poll() is not None:
            command = [sys.executable, str(Path(__file__).with_name("submitter.py"))]
            with self._output.open("ab") as output:
                self._submitter = subprocess.Popen(
                    [*command, str(self._directory), str(next(self._seeds))],
                    stdout=output,
                    env=self._environment,
                )

    def _kill_one(self) -> None:
        kind = self._choose.choice(list(self.kills))
        victims = self._victims(kind)
        if victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._choose.choice(victims), signal.SIGKILL)
                self.kills[kind] += 1

    def _victims(self, kind: str) -> list[int]:
        if kind == "submitter":
            return [self._submitter.pid] if self._submitter and self._submitter.poll() is None else []
        if kind == "dispatcher":
            pid = dispatcher_pid(self._home)
            return [pid] if pid is not None and pid in processes_naming("qjob.engines.local.dispatcher") else []
        if kind == "zygote":
            return [pid for pid in self._zygotes() if pid in processes_naming("qjob.engines.local.zygote")]
        if kind == "runner":
            return [pid for job_id in self._active() for pid in self._runner_of(job_id)]
        return [pid for job_id in self._active() for pid in marked(job_id)]

    def _runner_of(self, job_id: str) -> list[int]:
        pids = [event.detail.get("pid") for event in self._service.folder(job_id).read_events()]
        ours = processes_naming("qjob.engines.local.")  # forked by the dispatcher or by a zygote
        return [pid for pid in pids if pid is not None and pid in ours]

    def _zygotes(self) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            told = json.loads((self._home / "local" / "warm.json").read_text())
            return [each["pid"] for each in told["ready"]]
        return []

    def _active(self) -> list[str]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = self._service.find(Query())
        return [record.id for record in found if not record.status.ended]

    def _end_submitter(self) -> None:
        if self._submitter is not None:
            self._submitter.kill()
            self._submitter.wait()


@pytest.fixture
def scene(home: Path, tmp_path: Path, environment: dict[str, str]) -> Iterator[Scene]:
    settings = Settings(home=home, index=home, slots=3, grace_s=1.0, idle_s=5.0)
    played = Scene(open_service(settings), home, tmp_path, environment | {"QJOB_SLOTS": "3"}, seed=20261122)
    yield played
    played._end_submitter()


def test_after_any_kill_every_job_has_a_true_end(scene: Scene, service: Service, home: Path) -> None:
    scene.play()
    print(scene.kills)

    def active() -> list[str]:
        return [record.id for record in service.find(Query()) if not record.status.ended]

    wait_until(lambda: not active(), deadline_s=90)
    records = {record.id: record for record in service.find(Query())}
    assert scene.said("accepted") <= set(records)
    for job_id in scene.said("cancelled"):
        assert records[job_id].status is JobStatus.CANCELLED
    for job_id, record in records.items():
        _check_folder(service, job_id, record.status)
    others = {os.getpid(), dispatcher_pid(home)}
    wait_until(lambda: not [pid for pid in processes_naming(str(home)) if pid not in others])
    before = {job_id: record_to_json(record, "") for job_id, record in records.items()}
    report = service.reindex()
    assert report.problems == ()
    assert {record.id: record_to_json(record, "") for record in service.find(Query())} == before
    ends = [str(record.status) for record in records.values()]
    assert {"COMPLETED", "FAILED", "CANCELLED"} <= set(ends), ends
    assert all(count > 5 for count in scene.kills.values()), scene.kills


def _check_folder(service: Service, job_id: str, status: JobStatus) -> None:
    folder = service.folder(job_id)
    assert folder.read_record().status is status
    outcome = folder.read_outcome()
    if outcome is not None and folder.read_cancel_mark() is None:
        assert outcome.status is status
    for path in folder.path.rglob("*.json"):
        if path.parent.name != "source":
            json.loads(path.read_bytes())
    # A watcher that is killed as it writes the record, while another one has already settled the job, leaves its file.
    left = [path for path in folder.path.glob(f".*{TEMPORARY_SUFFIX}") if not path.name.startswith(".record.json")]
    assert left == [], (folder.path.name, status, sorted(path.name for path in folder.path.iterdir()))
    ran = folder.results / "ran"
    assert not ran.exists() or ran.read_bytes() == b"+", "a job ran twice"
    if status is JobStatus.COMPLETED:
        results = json.loads((folder.results / "results.json").read_bytes())
        assert results["dataDictionary"]["done"] is True
    assert not folder.environment.exists()
