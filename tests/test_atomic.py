"""A file is replaced whole or not at all, whatever happens to the process and the disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from living import wait_until
from qjob.atomic import TEMPORARY_SUFFIX, sync_below, sync_directory, write_whole

SMALL_FILES = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""
"""A process that may write no file of more than 1000 bytes: to it, the disk is full after them."""


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_reader_keeps_what_it_has_opened(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    with path.open("rb") as opened:
        write_whole(path, b"new")
        assert opened.read() == b"old"


@pytest.mark.parametrize("target", ["missing/file", "directory", "x" * 300])
def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, target: str) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match=r"\[Errno"):
        write_whole(tmp_path / target, b"new")
    assert os.listdir(tmp_path) == ["directory"]
    assert os.listdir(tmp_path / "directory") == []


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, b"old")
    program = SMALL_FILES + (
        "from pathlib import Path\n"
        "from qjob.atomic import write_whole\n"
        "try:\n"
        "    write_whole(Path(sys.argv[1]), b'x' * 1001)\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "too large" in done.stdout
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_kill_leaves_the_one_or_the_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from qjob.atomic import write_whole\n"
        "while True:\n"
        "    for byte in (b'a', b'b'): write_whole(Path(sys.argv[1]), byte * 300_000)\n"
    )
    for _ in range(4):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", program, str(path)]) as writer:
            wait_until(path.exists)
            writer.send_signal(signal.SIGKILL)
        assert path.read_bytes() in (b"a" * 300_000, b"b" * 300_000)
    leftovers = [name for name in os.listdir(tmp_path) if name != "file"]
    assert all(name.startswith(".file.") and name.endswith(TEMPORARY_SUFFIX) for name in leftovers)


def test_a_directory_can_be_put_on_the_disk(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_directory(tmp_path / "missing")


def test_files_that_match_a_pattern_are_put_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.fstat(fd).st_ino))  # without the power to cut
    directory = tmp_path / "results.arrays"
    directory.mkdir()
    (directory / "other").touch()
    (directory / "a.npy").touch()
    (directory / "link.npy").symlink_to(directory / "other")
    (directory / "folder.npy").mkdir()
    os.mkfifo(directory / "pipe.npy")
    sync_below(tmp_path, "*.arrays/*.npy")
    assert synced == [(directory / "a.npy").stat().st_ino, directory.stat().st_ino]


def test_where_nothing_matches_nothing_is_put_on_the_disk(tmp_path: Path) -> None:
    sync_below(tmp_path, "*.arrays/*.npy")
    sync_below(tmp_path / "missing", "*.arrays/*.npy")
