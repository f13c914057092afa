"""A full disk: the job that fills it fails and says so, and nothing that was written before is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from living import end_all, wait_until
from qjob.app import open_service
from qjob.atomic import TEMPORARY_SUFFIX
from qjob.config import Settings
from qjob.errors import QjobError
from qjob.job import Job
from qjob.request import Request, prepare
from qjob.service import Service
from qjob.store.store import Query

pytestmark = [pytest.mark.live, pytest.mark.fault]

SIZE = "6m"
NO_ROOM = re.compile(r"disk is full|disk full|No space left on device")
FILL = """\
import errno, os
def fill(path):
    size = 1 << 16
    with open(path, "wb", buffering=0) as file:
        while size:
            try:
                size = file.write(b"x" * size) and size
            except OSError as error:
                if error.errno != errno.ENOSPC: raise
                size //= 2
"""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few MB."""
    if sys.platform != "linux" or os.getuid() != 0:
        pytest.skip("only root on Linux may mount a small disk")
    point = tmp_path / "small disk"
    point.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(point)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"mount: {mounted.stderr.decode().strip()}")
    yield point
    end_all(point)
    subprocess.run(["umount", "--lazy", str(point)], check=True)


@pytest.fixture
def home(disk: Path) -> Path:
    """The state directory, on the small disk."""
    return disk / "home"


@pytest.fixture
def settings(home: Path) -> Settings:
    """One slot, so that jobs come one after the other."""
    return Settings(home=home, index=home, slots=1, grace_s=0.3, idle_s=5.0)


@pytest.fixture
def service(settings: Settings) -> Service:
    """The service over it."""
    return open_service(settings)


@pytest.fixture
def submit(service: Service, tmp_path: Path) -> Callable[[str], Job]:
    """Submit a script by its text; the script itself lies on a disk with room."""

    def submit_text(text: str) -> Job:
        script = tmp_path / "script.py"
        script.write_text(FILL + text)
        request = Request(source=script, grace_s=0.3, environment={"PATH": os.environ["PATH"]})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # the job may have filled the disk by now
            return Job(service.submit(prepare(request)).id, service=service)

    return submit_text


def ended(job: Job) -> str:
    """Wait for the end; on a full disk the service warns that it cannot write the record."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)
        return job.wait(60)


def reason(job: Job) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(job.metadata()["failureReason"])


def make_room(disk: Path) -> None:
    for name in ("filling", "0.log"):
        for file in disk.rglob(name):
            file.unlink()


def check_all_is_whole(service: Service, job: Job, status: str) -> None:
    """After there was room again, the folder and the index say the same, and no unfinished file is left."""
    assert job.state() == status
    folder = service.folder(job.id)
    for path in folder.path.rglob("*.json"):
        json.loads(path.read_bytes())
    outcome = folder.read_outcome()
    assert outcome is not None
    assert str(outcome.status) == status
    assert str(folder.read_record().status) == status
    assert not folder.environment.exists()
    assert not list(folder.path.rglob(f".*{TEMPORARY_SUFFIX}"))
    assert [str(record.status) for record in service.find(Query()) if record.id == job.id] == [status]


def test_a_job_whose_output_fills_the_disk(submit: Callable[[str], Job], service: Service, disk: Path) -> None:
    job = submit("print('first line', flush=True)\nwhile True: os.write(1, b'x' * 1000)\n")
    assert ended(job) == "FAILED"
    assert NO_ROOM.search(reason(job)), reason(job)
    assert service.folder(job.id).log(0).read_bytes().startswith(b"first line\nxxx")
    make_room(disk)
    check_all_is_whole(service, job, "FAILED")
    assert submit("print('room')\n").wait() == "COMPLETED"


def test_a_job_that_fills_the_disk_with_files(submit: Callable[[str], Job], service: Service, disk: Path) -> None:
    job = submit("file = open('filling', 'wb')\nwhile True: file.write(b'x' * 100_000)\n")
    assert ended(job) == "FAILED"
    assert "No space left on device" in reason(job)
    make_room(disk)
    check_all_is_whole(service, job, "FAILED")
    outcome = service.outcome(job.id)
    assert outcome is not None
    assert "file.write" in (outcome.traceback or "")
    assert submit("print('room')\n").wait() == "COMPLETED"


def test_a_job_that_takes_whatever_room_there_is_until_it_is_killed(
    submit: Callable[[str], Job], service: Service, disk: Path
) -> None:
    job = submit(
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.mkdir('deep')\n"
        "number = 0\n"
        "while True:\n"
        "    number += 1\n"
        "    os.makedirs(f'deep/{number % 8}', exist_ok=True)\n"
        "    fill(f'deep/{number % 8}/filling')\n"
        "    os.write(1, b'x' * 10_000)\n"
    )
    assert ended(job) == "FAILED"
    assert NO_ROOM.search(reason(job)), reason(job)
    assert service.folder(job.id).outcome.exists()
    make_room(disk)
    check_all_is_whole(service, job, "FAILED")
    assert submit("print('room')\n").wait() == "COMPLETED"


def test_a_job_that_ends_well_on_a_full_disk(submit: Callable[[str], Job], service: Service, disk: Path) -> None:
    job = submit("fill('filling')\n")
    assert ended(job) == "COMPLETED"
    make_room(disk)
    check_all_is_whole(service, job, "COMPLETED")


def test_a_job_that_would_start_on_a_full_disk(submit: Callable[[str], Job], service: Service, disk: Path) -> None:
    first = submit("import time\nwhile not os.path.exists('go'): time.sleep(0.005)\nfill('filling')\n")
    second = submit("print('ran')\n")
    (service.folder(first.id).source / "go").touch()
    assert ended(first) == "COMPLETED"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert second.state() in ("QUEUED", "FAILED")  # the queue needs room as well, and waits for it
    make_room(disk)
    assert first.state() == "COMPLETED"
    if ended(second) == "FAILED":
        assert NO_ROOM.search(reason(second)), reason(second)
    assert submit("print('room')\n").wait() == "COMPLETED"


def test_a_submit_on_a_full_disk_is_one_error_and_leaves_nothing(
    submit: Callable[[str], Job], service: Service, home: Path, disk: Path
) -> None:
    assert submit("print('before')\n").wait() == "COMPLETED"
    (disk / "filling").write_bytes(b"")
    exec(compile(FILL + f"fill({str(disk / 'filling')!r})", "fill", "exec"), {})
    before = sorted(path for path in home.rglob("*") if "local" not in path.parts)
    with pytest.raises(QjobError, match=r"No space left on device|disk.* full"):
        submit("print('never')\n")
    assert sorted(path for path in home.rglob("*") if "local" not in path.parts) == before
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert len(service.find(Query())) == 1
    make_room(disk)
    assert len(service.find(Query())) == 1
    assert submit("print('room')\n").wait() == "COMPLETED"
    assert len(service.find(Query())) == 2


def test_a_checkpoint_that_has_no_room_keeps_the_one_before(submit: Callable[[str], Job], service: Service) -> None:
    job = submit(
        "from qjob.runtime import load_job_checkpoint, save_job_checkpoint, save_job_result\n"
        "save_job_checkpoint({'step': 1})\n"
        "save_job_result({'energy': -1.0})\n"
        "fill('filling')\n"
        "said = []\n"
        "for save in (save_job_checkpoint, save_job_result):\n"
        "    try: save({'step': 2, 'padding': 'x' * 200_000})\n"
        "    except OSError as error: said.append(error.strerror)\n"
        "os.unlink('filling')\n"
        "print(*said, load_job_checkpoint(), sep='\\n')\n"
    )
    assert ended(job) == "COMPLETED"
    log = service.folder(job.id).log(0).read_text()
    assert log == "No space left on device\nNo space left on device\n{'step': 1}\n"
    assert job.result() == {"energy": -1.0}


def test_the_dispatcher_that_the_full_disk_has_stopped_is_started_again(
    submit: Callable[[str], Job], service: Service, disk: Path
) -> None:
    job = submit("import time\nwhile not os.path.exists('go'): time.sleep(0.005)\nfill('filling')\n")
    waiting = submit("print('ran')\n")
    (service.folder(job.id).source / "go").touch()
    wait_until(service.folder(job.id).outcome.exists)
    make_room(disk)
    assert ended(job) == "COMPLETED"
    assert ended(waiting) in ("COMPLETED", "FAILED")
    assert submit("print('room')\n").wait() == "COMPLETED"
