"""A folder in the making: whole or not at all, under a name that nobody takes for a job."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from qjob.atomic import TEMPORARY_SUFFIX
from qjob.errors import FolderError, InvalidInput
from qjob.folder import JobFolder
from qjob.model.record import JobRecord
from qjob.model.spec import InputChannel
from qjob.staging import Checkpoints, Payload, Staging, Submission
from qjob.testing import ScriptSource, make_spec

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ID, OTHER_ID = "0123456789abcde", "1123456789abcde"
SPEC = make_spec(name="vqe")
RECORD = JobRecord(id=ID, spec=SPEC, created_at=NOW)


@dataclass(frozen=True)
class Written:
    """A payload that writes what it is told to."""

    write_to: Callable[[Path], None]


NOTHING = Written(lambda directory: None)


def submission(source: Payload | None = None, inputs: Payload = NOTHING) -> Submission:
    return Submission(spec=SPEC, source=source or ScriptSource(), inputs=inputs, environment={"SECRET": "1"})


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    path = tmp_path / 'a\'; echo "foo" ü'
    path.mkdir()
    return path


@pytest.fixture
def staging(jobs: Path) -> Staging:
    return Staging(jobs)


@pytest.fixture
def left(jobs: Path) -> Checkpoints:
    """The checkpoints that a job called ``vqe-1`` has left."""
    directory = jobs / OTHER_ID / "checkpoints"
    directory.mkdir(parents=True)
    return Checkpoints(job_id=OTHER_ID, job_name="vqe-1", directory=directory)


def test_a_folder_is_complete_before_it_has_its_name(staging: Staging, jobs: Path) -> None:
    staging.write(RECORD, submission(), None)
    assert os.listdir(jobs) == [f".{ID}.staging"]
    assert staging.promote(ID)
    assert os.listdir(jobs) == [ID]
    folder = JobFolder(jobs / ID)
    assert (folder.read_spec(), folder.read_record()) == (SPEC, RECORD)
    assert folder.read_environment() == {"SECRET": "1"}
    assert (folder.source / "job.py").exists()
    names = "checkpoints environment.json hyperparameters.json logs record.json results source spec.json"
    assert sorted(os.listdir(folder.path)) == names.split()


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are told by /proc")
def test_the_whole_folder_is_on_the_disk_in_the_end(
    staging: Staging, jobs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only the spec: a script that a power cut has emptied would run, and complete."""
    synced: list[Path] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    def write_source(directory: Path) -> None:
        (directory / "vqe.py").write_text("x = 1")
        (directory / "link").symlink_to(tmp_path / "no such file")
        (directory / "package").mkdir()
        (directory / "package" / "__init__.py").touch()

    monkeypatch.setattr(os, "fsync", fsync)
    staging.write(RECORD, submission(Written(write_source)), None)
    folder = JobFolder(staging.staged(ID))
    files = {path for path in folder.path.rglob("*") if path.is_file()} - {folder.record}
    assert set(synced) == files | {path.parent for path in files}
    assert folder.source / "package" / "__init__.py" in files


def test_many_files_are_one_wait_for_the_disk(staging: Staging, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_source(directory: Path) -> None:
        for number in range(60):
            (directory / f"m{number}.py").touch()

    synced: list[Path] = []
    monkeypatch.setattr("qjob.staging.sync_file_system", synced.append)
    monkeypatch.setattr("qjob.staging.sync_file", None)
    staging.write(RECORD, submission(Written(write_source)), None)
    assert synced == [staging.staged(ID)]


def test_the_folder_is_its_owners_alone(staging: Staging, jobs: Path) -> None:
    record = replace(RECORD, spec=replace(SPEC, inputs=(InputChannel(name="a", uri="file:///a"),)))
    staging.write(record, submission(), None)
    staging.promote(ID)
    folder = JobFolder(jobs / ID)
    directories = [folder.path, folder.source, folder.input, folder.logs, folder.results, folder.checkpoints]
    assert {stat.S_IMODE(path.stat().st_mode) for path in directories} == {0o700}
    assert stat.S_IMODE(folder.environment.stat().st_mode) == 0o600


def test_promoting_is_harmless_to_repeat(staging: Staging) -> None:
    assert not staging.promote(ID)
    staging.write(RECORD, submission(), None)
    assert [staging.promote(ID) for _ in range(3)] == [True] * 3


def test_what_was_staged_can_get_another_id(staging: Staging, jobs: Path) -> None:
    staging.write(RECORD, submission(), None)
    another = replace(RECORD, id=OTHER_ID)
    staging.rename(ID, another)
    assert not staging.promote(ID)
    assert staging.promote(OTHER_ID)
    folder = JobFolder(jobs / OTHER_ID)
    assert folder.read_record() == another
    assert json.loads(folder.record.read_bytes())["qjob"]["folder"] == str(folder.path)


def raise_error(error: BaseException) -> Callable[[Path], None]:
    def write_to(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise error

    return write_to


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room, or set QJOB_HOME"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded; make room"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only file system; make it writable"),
        (FileNotFoundError(2, "No such file or directory", "/my/vqe.py"), "/my/vqe.py cannot be taken along: No such"),
    ],
)
@pytest.mark.parametrize("payload", ["source", "inputs"])
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    staging: Staging, jobs: Path, error: OSError, words: str, payload: str
) -> None:
    record = replace(RECORD, spec=replace(SPEC, inputs=(InputChannel(name="a", uri="file:///a"),)))
    failing = Written(raise_error(error))
    asked = submission(source=failing) if payload == "source" else submission(inputs=failing)
    with pytest.raises(FolderError, match=r"Nothing was submitted\.$") as refusal:
        staging.write(record, asked, None)
    assert words in str(refusal.value)
    assert os.listdir(jobs) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), InvalidInput("no"), RuntimeError("bug")])
def test_any_other_error_leaves_nothing_either(staging: Staging, jobs: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        staging.write(RECORD, submission(Written(raise_error(error))), None)
    assert os.listdir(jobs) == []


def test_a_directory_of_jobs_that_is_gone_is_an_error(staging: Staging, jobs: Path) -> None:
    jobs.rmdir()
    with pytest.raises(FolderError, match="cannot be written"):
        staging.write(RECORD, submission(), None)


def test_discarding_is_harmless_to_repeat(staging: Staging, jobs: Path) -> None:
    staging.write(RECORD, submission(), None)
    staging.discard(ID)
    staging.discard(ID)
    assert os.listdir(jobs) == []


def test_only_what_was_abandoned_long_ago_and_is_no_job_is_removed(staging: Staging, jobs: Path) -> None:
    old, job, new = "0" * 15, "1" * 15, "2" * 15
    for job_id in (old, job, new):
        staging.write(replace(RECORD, id=job_id), submission(), None)
    for job_id in (old, job):
        os.utime(jobs / f".{job_id}.staging", (time.time() - 7200,) * 2)
    (jobs / ".other").mkdir()
    staging.discard_abandoned(lambda job_id: job_id == job)
    assert sorted(os.listdir(jobs)) == [f".{job}.staging", f".{new}.staging", ".other"]


# Checkpoints


def test_checkpoints_are_carried_over_as_they_are_and_under_the_new_name(
    staging: Staging, jobs: Path, left: Checkpoints
) -> None:
    files = {
        "vqe-1.json": b"plain",
        "vqe-1_best.json": b"best",
        "vqe-12.json": b"another job's",
        "other.json": b"other",
        "weights.bin": b"\0",
        f".vqe-1.json.0a{TEMPORARY_SUFFIX}": b"half",
    }
    for name, content in files.items():
        (left.directory / name).write_bytes(content)
    (left.directory / "deep").mkdir()
    (left.directory / "deep" / "vqe-1.json").write_bytes(b"deep")
    (left.directory / "deep" / f".x{TEMPORARY_SUFFIX}").write_bytes(b"half")
    staging.write(RECORD, submission(), left)
    staging.promote(ID)
    carried = jobs / ID / "checkpoints"
    found = {str(path.relative_to(carried)): path.read_bytes() for path in carried.rglob("*") if path.is_file()}
    assert found == {
        "vqe-1.json": b"plain",
        "vqe.json": b"plain",
        "vqe-1_best.json": b"best",
        "vqe_best.json": b"best",
        "vqe-12.json": b"another job's",
        "other.json": b"other",
        "weights.bin": b"\0",
        "deep/vqe-1.json": b"deep",
    }


def test_a_job_of_the_same_name_gets_each_checkpoint_once(staging: Staging, jobs: Path, left: Checkpoints) -> None:
    (left.directory / "vqe.json").write_bytes(b"plain")
    staging.write(RECORD, submission(), replace(left, job_name="vqe"))
    staging.promote(ID)
    assert os.listdir(jobs / ID / "checkpoints") == ["vqe.json"]


def test_the_last_jobs_own_checkpoint_is_what_the_new_one_loads(
    staging: Staging, jobs: Path, left: Checkpoints
) -> None:
    (left.directory / "vqe-1.json").write_bytes(b"its own")
    (left.directory / "vqe.json").write_bytes(b"of the job before it")
    staging.write(RECORD, submission(), left)
    staging.promote(ID)
    assert (jobs / ID / "checkpoints" / "vqe.json").read_bytes() == b"its own"


@pytest.mark.parametrize("there", [True, False])
def test_a_job_without_checkpoints_has_none_to_give(
    staging: Staging, jobs: Path, left: Checkpoints, there: bool
) -> None:
    if not there:
        left.directory.rmdir()
    with pytest.raises(
        InvalidInput, match=rf"job vqe-1 \({OTHER_ID}\) has left no checkpoints; leave the argument out"
    ):
        staging.write(RECORD, submission(), left)
    assert os.listdir(jobs) == [OTHER_ID]


def test_what_is_carried_over_is_a_copy(staging: Staging, jobs: Path, left: Checkpoints) -> None:
    (left.directory / "vqe-1.json").write_bytes(b"old")
    staging.write(RECORD, submission(), left)
    staging.promote(ID)
    (jobs / ID / "checkpoints" / "vqe-1.json").write_bytes(b"new")
    (jobs / ID / "checkpoints" / "vqe.json").write_bytes(b"new")
    assert (left.directory / "vqe-1.json").read_bytes() == b"old"
