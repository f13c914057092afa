"""Results copied to where a user wants them; nothing that is there already is lost by that."""

from __future__ import annotations

import errno
import filecmp
import mmap
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qjob.atomic import TEMPORARY_SUFFIX
from qjob.download import copy_results
from qjob.errors import FolderError

Tree = dict[str, bytes | str | None]
"""Paths, sorted: a file's bytes, a link's target, or None for a directory."""

SAVED: Tree = {
    "a'; echo ü": None,
    "a'; echo ü/empty": None,
    "a'; echo ü/x.bin": b"\0" * 100_000,
    "dangling": "/no/such/file",
    "link": "results.json",
    "link_to_folder": "a'; echo ü",
    "results.json": b"{}",
}


A_WHILE_AGO_NS = 1_700_000_000_123_456_789


def make(directory: Path, tree: Tree) -> Path:
    directory.mkdir(parents=True)
    for name, content in tree.items():
        path = directory / name
        if content is None:
            path.mkdir()
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
    return directory


def tree_of(directory: Path) -> Tree:
    found: Tree = {}
    for root, folders, files in os.walk(directory):
        for name in folders + files:
            path = Path(root) / name
            content = str(path.readlink()) if path.is_symlink() else None if path.is_dir() else path.read_bytes()
            found[str(path.relative_to(directory))] = content
    return found


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return make(tmp_path / "results", SAVED)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "deep" / 'a\'; echo "foo" ü'


def test_everything_is_copied_and_links_stay_links(results: Path, target: Path) -> None:
    os.utime(results / "results.json", (1, 1))
    assert copy_results(results, target) == target
    assert tree_of(target) == SAVED
    assert (target / "results.json").stat().st_mtime == 1


def test_it_may_be_repeated_and_changes_nothing_then(results: Path, target: Path) -> None:
    copy_results(results, target)
    (target / "mine").write_text("also here")
    before = {path: path.lstat().st_mtime_ns for path in target.rglob("*")}
    copy_results(results, target)
    assert {path: path.lstat().st_mtime_ns for path in target.rglob("*")} == before


def test_a_repeated_one_reads_no_file_again(results: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def must_not_read(*_: object, **__: object) -> bool:
        raise AssertionError("a file was compared byte by byte")

    (results / "results.json").write_bytes(b"{...}")
    os.utime(results / "results.json", ns=(1, A_WHILE_AGO_NS))
    copy_results(results, target)
    monkeypatch.setattr(filecmp, "cmp", must_not_read)  # the only reader of files that are there
    copy_results(results, target)


def write(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"[]")


def write_to_mapped(path: Path) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:2] = b"[]"


@pytest.mark.parametrize("change", [write, write_to_mapped])
def test_a_copy_that_was_changed_in_place_is_not_taken_for_ours_nor_changes_ours(
    results: Path, target: Path, change: Callable[[Path], None]
) -> None:
    os.utime(results / "results.json", ns=(1, A_WHILE_AGO_NS))  # the clock of some kernels ticks only every 10 ms
    copy_results(results, target)
    change(target / "results.json")
    assert (results / "results.json").read_bytes() == b"{}"
    with pytest.raises(FolderError, match="is not what this job saved"):
        copy_results(results, target)
    assert (target / "results.json").read_bytes() == b"[]"


@pytest.mark.parametrize("time_ns", [1_700_000_000_000_000_000, 0])
def test_a_time_in_whole_seconds_proves_nothing(results: Path, target: Path, time_ns: int) -> None:
    os.utime(results / "results.json", ns=(time_ns, time_ns))
    copy_results(results, target)
    write(target / "results.json")
    os.utime(target / "results.json", ns=(time_ns, time_ns))  # as a disk does that counts in seconds
    with pytest.raises(FolderError, match="is not what this job saved"):
        copy_results(results, target)


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="the kernel copies nothing here")
@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, None])
def test_where_the_kernel_cannot_copy_we_do(
    results: Path, target: Path, monkeypatch: pytest.MonkeyPatch, number: int | None
) -> None:
    copied: list[int] = []
    copy = os.copy_file_range

    def copy_some(source: int, to: int, count: int) -> int:
        """Copy some bytes, then say that this cannot be done, or that the file is over."""
        copied.append(count)
        if len(copied) % 2:
            return copy(source, to, 1)
        if number is None:
            return 0
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", copy_some)  # what other kernels and disks answer
    copy_results(results, target)
    assert tree_of(target) == SAVED
    assert len(copied) > 1


@pytest.mark.skipif(not hasattr(os, "copy_file_range"), reason="the kernel copies nothing here")
def test_a_disk_that_is_full_is_told(results: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)  # a full disk's answer
    with pytest.raises(FolderError, match="No space left"):
        copy_results(results, target)
    assert not (target / "results.json").exists()


def test_one_that_was_cut_short_is_finished(results: Path, target: Path) -> None:
    make(target, {"results.json": b"{}", f".x.bin{TEMPORARY_SUFFIX}": b"\0", "a'; echo ü": None})
    (target / "a'; echo ü" / f".x.bin{TEMPORARY_SUFFIX}").write_bytes(b"half")
    copy_results(results, target)
    (target / f".x.bin{TEMPORARY_SUFFIX}").unlink()
    assert tree_of(target) == SAVED


def test_unfinished_files_stay_behind(results: Path, target: Path) -> None:
    (results / "a'; echo ü" / f".results.json.0a{TEMPORARY_SUFFIX}").write_bytes(b"half")
    copy_results(results, target)
    assert tree_of(target) == SAVED


@pytest.mark.parametrize("saved", [{}, None])
def test_without_results_an_empty_directory_is_made(tmp_path: Path, target: Path, saved: Tree | None) -> None:
    if saved is not None:
        make(tmp_path / "results", saved)
    copy_results(tmp_path / "results", target)
    assert tree_of(target) == {}


IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "results.json": lambda path: path.write_bytes(b"{ }"),
    "a'; echo ü": lambda path: path.write_bytes(b""),
    "link": lambda path: path.write_bytes(b"{}"),
    "dangling": lambda path: path.symlink_to("/elsewhere"),
    "link_to_folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_anything_else_in_the_way_is_named_and_nothing_is_copied(results: Path, target: Path, name: str) -> None:
    target.mkdir(parents=True)
    IN_THE_WAY[name](target / name)
    before = tree_of(target)
    with pytest.raises(FolderError, match="is there already and is not what this job saved") as error:
        copy_results(results, target)
    assert str(target / name) in str(error.value)
    assert tree_of(target) == before


def test_a_folder_that_is_a_link_is_not_written_through(results: Path, target: Path, tmp_path: Path) -> None:
    make(tmp_path / "precious", {})
    make(target, {"a'; echo ü": str(tmp_path / "precious")})
    with pytest.raises(FolderError, match="is not what this job saved"):
        copy_results(results, target)
    assert tree_of(tmp_path / "precious") == {}


@pytest.mark.parametrize("kind", ["file", "link", "parent"])
def test_a_target_that_is_no_directory_is_named(results: Path, target: Path, tmp_path: Path, kind: str) -> None:
    if kind == "parent":
        target.parent.write_text("a file")
    else:
        target.parent.mkdir()
        if kind == "file":
            target.write_text("a file")
        else:
            target.symlink_to(make(tmp_path / "other", {}))
    with pytest.raises(FolderError) as error:
        copy_results(results, target)
    assert str(target) in str(error.value)
    assert not (tmp_path / "other" / "results.json").exists()


def test_what_is_no_file_is_named_and_nothing_is_copied(results: Path, target: Path) -> None:
    os.mkfifo(results / "pipe")
    with pytest.raises(FolderError, match="pipe is no file that can be copied"):
        copy_results(results, target)
    (results / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(results, os.O_RDONLY)
        try:
            listener.bind(f"/proc/self/fd/{here}/sock" if os.path.exists("/proc/self/fd") else str(results / "sock"))
        finally:
            os.close(here)
        with pytest.raises(FolderError, match="sock is no file"):
            copy_results(results, target)
    assert not target.exists()


@pytest.fixture
def not_root() -> Iterator[Path]:
    """A directory of somebody whom permissions bind; be that somebody."""
    path = Path(tempfile.mkdtemp(dir="/tmp"))
    path.chmod(0o777)
    root = os.getuid() == 0
    if root:
        os.seteuid(65534)
    yield path
    if root:
        os.seteuid(0)
    shutil.rmtree(path)


def test_what_cannot_be_read_is_an_error_and_not_left_out(not_root: Path) -> None:
    make(not_root / "results", {"open": b"1", "locked": None})
    (not_root / "results" / "locked").chmod(0)
    try:
        with pytest.raises(FolderError, match="locked"):
            copy_results(not_root / "results", not_root / "target")
    finally:
        (not_root / "results" / "locked").chmod(0o700)
    assert not (not_root / "target").exists()


def test_a_target_that_may_not_be_written_is_named(not_root: Path) -> None:
    make(not_root / "results", {"a": b"1"})
    make(not_root / "locked", {}).chmod(0o500)
    with pytest.raises(FolderError, match=r"cannot be written to .*locked/target: .*Permission denied"):
        copy_results(not_root / "results", not_root / "locked" / "target")
