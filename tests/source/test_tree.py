"""Copies: byte by byte the same, whatever way the system copies them."""

from __future__ import annotations

import errno
import os
import random
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from qjob.source.tree import TakeAll, copy_files, read_file, read_tree

SIZES = [0, 1, 4096, 1_000_003, 5 * 1024 * 1024]


def copy(source: Path, target: Path) -> Path:
    tree = read_file(str(source), "copy")
    copy_files(tree.files, tree.directories, str(target))
    return target / "copy"


@pytest.fixture
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system, from where the kernel may not copy by itself."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system to copy from")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def test_a_file_may_hold_more_than_its_size_says(tmp_path: Path) -> None:
    original = Path("/proc/self/limits")
    if not original.exists():
        pytest.skip("there is no /proc, where files with content have the size 0")
    assert original.stat().st_size == 0
    assert copy(original, tmp_path).read_bytes().startswith(b"Limit")


def test_a_file_with_holes_has_them_as_zeros(tmp_path: Path) -> None:
    with (tmp_path / "original").open("wb") as file:
        file.write(b"begin")
        file.seek(3_000_000)
        file.write(b"end")
    assert copy(tmp_path / "original", tmp_path).read_bytes() == (tmp_path / "original").read_bytes()


@pytest.fixture(params=["the same", "another"])
def any_file_system(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder to copy from on the file system that the copy is on, and one on another."""
    folder = tmp_path if request.param == "the same" else request.getfixturevalue("other_file_system")
    assert isinstance(folder, Path)
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_content_is_copied(tmp_path: Path, any_file_system: Path, size: int) -> None:
    content = random.Random(size).randbytes(size)
    (any_file_system / "original").write_bytes(content)
    assert copy(any_file_system / "original", tmp_path).read_bytes() == content


def test_a_disk_that_takes_no_more_is_an_error(tmp_path: Path, any_file_system: Path) -> None:
    (any_file_system / "original").write_bytes(b"x" * 10_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))  # plays the full disk
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
            copy(any_file_system / "original", tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_tree_is_always_listed_in_the_same_order(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a", "c/x/y", "B"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    tree = read_tree(str(tmp_path), TakeAll())
    assert [file.relative for file in tree.files] == ["B", "a", "b/1", "b/2", "c/x/y"]
    assert tree.directories == ("b", "c", "c/x")
    assert tree.left_out == tree.problems == ()
