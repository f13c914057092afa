"""The files of a job: what is written is read, and what is missing or damaged is said in a sentence."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from qjob.atomic import TEMPORARY_SUFFIX
from qjob.errors import FolderError
from qjob.folder import CancelMark, JobFolder, locked, look_anew, remove_temporaries
from qjob.model.event import JobEvent, event_to_json
from qjob.model.outcome import Outcome
from qjob.model.record import JobRecord
from qjob.model.status import EventType, JobStatus
from qjob.testing import make_spec
from strategies import outcomes, records

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ID = "0123456789abcde"

Read = Callable[[JobFolder], object]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    path = tmp_path / 'a\'; echo "foo" ü' / ID
    path.mkdir(parents=True)
    return JobFolder(path)


def event(seconds: float, kind: EventType = EventType.RUNNING) -> JobEvent:
    return JobEvent(type=kind, time=NOW + timedelta(seconds=seconds), message="ü", detail={"host": "a"})


# What is written is read


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(record=records, outcome=outcomes)
def test_what_is_written_is_read(folder: JobFolder, record: JobRecord, outcome: Outcome) -> None:
    folder.write_spec(record.spec)
    folder.write_record(record)
    folder.write_outcome(outcome)
    assert folder.read_spec() == record.spec
    assert folder.read_record() == record
    assert folder.read_outcome() == outcome


def test_the_other_files_are_read_as_written(folder: JobFolder) -> None:
    mark, variables = CancelMark(time=NOW, reason="too dear"), {"A": "ü\n", "B\udcff": "\udcff"}
    folder.write_cancel_mark(mark)
    folder.write_environment(variables)
    folder.write_hyperparameters({"theta": "0.5", "ü": "\n"})
    assert folder.read_cancel_mark() == mark
    assert folder.read_environment() == variables
    assert json.loads(folder.hyperparameters.read_bytes()) == {"theta": "0.5", "ü": "\n"}


def test_what_is_not_there_yet_is_none(folder: JobFolder) -> None:
    assert folder.read_outcome() is None
    assert folder.read_cancel_mark() is None
    assert folder.read_events() == []
    assert folder.instances() == []


def test_the_environment_is_for_its_owner_alone_and_can_be_removed_twice(folder: JobFolder) -> None:
    folder.write_environment({"SECRET": "1"})
    assert stat.S_IMODE(folder.environment.stat().st_mode) == 0o600
    folder.remove_environment()
    folder.remove_environment()
    assert not folder.environment.exists()


def test_a_folder_in_the_making_says_where_it_will_be(folder: JobFolder) -> None:
    folder.write_record(JobRecord(id=ID, spec=make_spec(), created_at=NOW), Path("/jobs/there"))
    data = json.loads(folder.record.read_bytes())
    assert data["qjob"]["folder"] == "/jobs/there"
    assert data["outputDataConfig"]["s3Path"] == "file:///jobs/there/results"


def test_instances_are_those_with_a_log(folder: JobFolder) -> None:
    folder.logs.mkdir()
    for name in ("0.log", "10.log", "2.log", "0.index", "x.log", "².log", ".3.log", "3.txt"):
        (folder.logs / name).touch()
    assert folder.instances() == [0, 2, 10]


# Events


def test_events_come_back_in_order(folder: JobFolder) -> None:
    events = [event(second) for second in range(3)]
    for each in events:
        folder.append_event(each)
    assert folder.read_events() == events


def test_a_last_line_that_was_cut_anywhere_does_not_count(folder: JobFolder) -> None:
    folder.append_event(event(0))
    whole = folder.events.read_bytes()
    line = json.dumps(event_to_json(event(1))).encode()
    for length in range(len(line) + 1):
        folder.events.write_bytes(whole + line[:length])
        assert folder.read_events() == [event(0)]


@pytest.mark.parametrize("rest", [b"", b'{"eventType": "RUNN', b"\0\0\0"])
def test_a_line_that_was_cut_spoils_no_later_one(folder: JobFolder, rest: bytes) -> None:
    folder.append_event(event(0))
    with folder.events.open("ab") as file:
        file.write(rest)
    folder.append_event(event(1))
    assert folder.read_events() == [event(0), event(1)]


def test_a_full_disk_leaves_no_half_of_an_event(folder: JobFolder) -> None:
    folder.append_event(event(0))
    room = folder.events.stat().st_size + 10
    program = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from qjob.folder import JobFolder\n"
        "folder = JobFolder(Path(sys.argv[1]))\n"
        "[event] = folder.read_events()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    folder.append_event(event)\n"
        "except OSError as error:\n"
        "    print(error.strerror)\n"
    )
    command = [sys.executable, "-c", program, str(folder.path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "No space left on device\n"
    folder.append_event(event(1))
    assert folder.read_events() == [event(0), event(1)]


# Damage

READERS: dict[str, Read] = {
    "spec.json": JobFolder.read_spec,
    "record.json": JobFolder.read_record,
    "outcome.json": JobFolder.read_outcome,
    "cancel.json": JobFolder.read_cancel_mark,
    "environment.json": JobFolder.read_environment,
    "events.jsonl": JobFolder.read_events,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "content",
    [b"\n", b"{\n", b"null\n", b"[1]\n", b"5\n", b'"x"\n', b"\xff\xfe\n", b"\0" * 20 + b"\n", b'{"status": 1}{}\n'],
)
def test_a_damaged_file_is_named_with_a_remedy(folder: JobFolder, name: str, content: bytes) -> None:
    (folder.path / name).write_bytes(content)
    with pytest.raises(FolderError) as error:
        READERS[name](folder)
    assert str(folder.path / name) in str(error.value)
    assert "is damaged" in str(error.value)
    assert "move it away" in str(error.value)


@pytest.mark.parametrize("name", [name for name in READERS if name != "events.jsonl"])
def test_half_of_a_file_is_damage(folder: JobFolder, name: str) -> None:
    spec = make_spec()
    folder.write_spec(spec)
    folder.write_record(JobRecord(id=ID, spec=spec, created_at=NOW))
    folder.write_outcome(Outcome(status=JobStatus.COMPLETED, ended_at=NOW))
    folder.write_cancel_mark(CancelMark(time=NOW))
    folder.write_environment({"A": "b"})
    path = folder.path / name
    data = path.read_bytes()
    for length in range(0, len(data) - 2, 1 + len(data) // 40):
        path.write_bytes(data[:length])
        with pytest.raises(FolderError, match="is damaged"):
            READERS[name](folder)


@pytest.mark.parametrize("name", READERS)
def test_a_directory_in_place_of_a_file_is_named(folder: JobFolder, name: str) -> None:
    (folder.path / name).mkdir()
    with pytest.raises(FolderError, match="cannot be read: Is a directory"):
        READERS[name](folder)


@pytest.mark.parametrize("name", READERS)
def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(FolderError, match=r"notes\.txt.* cannot be read: Not a directory"):
        READERS[name](JobFolder(tmp_path / "notes.txt"))


@pytest.mark.parametrize("name", ["spec.json", "record.json", "environment.json"])
def test_a_file_that_must_be_there_is_named_with_a_remedy(folder: JobFolder, name: str) -> None:
    with pytest.raises(FolderError, match=f"is missing: .*'qjob rm {ID}'"):
        READERS[name](folder)


def test_a_look_at_what_is_no_directory_is_no_error(folder: JobFolder, tmp_path: Path) -> None:
    descriptors = len(os.listdir("/dev/fd"))
    for path in (folder.path, folder.spec, tmp_path / "nothing"):
        look_anew(path)
    assert len(os.listdir("/dev/fd")) == descriptors


def test_unfinished_files_are_removed_and_no_others(folder: JobFolder) -> None:
    for name in (f".record.json.0a{TEMPORARY_SUFFIX}", f"mine{TEMPORARY_SUFFIX}", "record.json"):
        (folder.path / name).touch()
    remove_temporaries(folder.path)
    remove_temporaries(folder.path)
    assert sorted(os.listdir(folder.path)) == [f"mine{TEMPORARY_SUFFIX}", "record.json"]


# Locks


def test_one_process_at_a_time_submits_and_a_killed_one_holds_nothing(folder: JobFolder) -> None:
    folder.write_spec(make_spec())
    program = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from qjob.folder import JobFolder\n"
        "with JobFolder(Path(sys.argv[1])).submitting() as mine:\n"
        "    print(mine, flush=True)\n"
        "    time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(folder.path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with folder.submitting() as mine:
            assert mine is False
        other.send_signal(signal.SIGKILL)
    with folder.submitting() as mine:
        assert mine is True


def test_a_lock_is_taken_by_one_and_given_back(folder: JobFolder) -> None:
    folder.events.touch()
    with locked(folder.events) as fd, locked(folder.events) as second:
        assert fd is not None
        assert second is None
    with locked(folder.events) as fd:
        assert fd is not None
    with pytest.raises(FileNotFoundError), locked(folder.outcome):
        pass
