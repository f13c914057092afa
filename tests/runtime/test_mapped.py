"""Arrays in files are mapped into memory: read when they are used, changed only here, gone with the last of them."""

from __future__ import annotations

import errno
import gc
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qjob.errors import DamagedResult
from qjob.runtime import arrays, side_files
from qjob.runtime.mapped import map_private, map_to_read
from qjob.runtime.persisted import add_values, read_values

np: Any = pytest.importorskip("numpy")

BIG = 1 << 16
"""Items of eight bytes of an array that is mapped."""


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a file with some bytes."""
    (tmp_path / "file").write_bytes(b"abcd" * 5000)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    yield fd
    os.close(fd)


def test_what_is_written_to_a_private_mapping_stays_here(file: int) -> None:
    memory = map_private(file, 20_000)
    memory[:2] = b"xy"
    assert bytes(memory[:4]) == b"xycd"
    assert os.pread(file, 4, 0) == b"abcd"


def test_a_mapping_to_read_cannot_be_written_to(file: int) -> None:
    memory = map_to_read(file, 20_000)
    assert bytes(memory[-4:]) == b"abcd"
    with pytest.raises(TypeError):
        memory[:2] = b"xy"


@pytest.mark.parametrize("map_file", [map_private, map_to_read])
def test_what_cannot_be_mapped_says_why(map_file: Callable[[int, int], memoryview], tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.ENODEV)):
            map_file(directory, 100)
    finally:
        os.close(directory)


@pytest.mark.skipif(sys.platform != "linux", reason="the mappings of a process are listed by Linux")
def test_a_mapping_is_gone_with_the_last_array_of_it(tmp_path: Path) -> None:
    add_values(tmp_path / "results.json", {"a": np.arange(BIG)}, None)
    part = read_values(tmp_path / "results.json", False)["a"][-10:]
    assert "results.arrays" in Path("/proc/self/maps").read_text()
    assert part[-1] == BIG - 1
    del part
    gc.collect()
    assert "results.arrays" not in Path("/proc/self/maps").read_text()


def test_more_arrays_can_be_read_than_files_be_open(tmp_path: Path) -> None:
    add_values(tmp_path / "results.json", {str(number): np.full(BIG, number) for number in range(60)}, None)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = max(int(name) for name in os.listdir("/dev/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 20, before[1]))
    try:
        values = read_values(tmp_path / "results.json", False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert [array[-1] for array in values.values()] == list(range(60))


def test_where_no_memory_is_lent_for_changes_an_array_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_lent(*_: object) -> memoryview:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    add_values(tmp_path / "results.json", {"a": np.asfortranarray(np.arange(BIG).reshape(2, -1))}, None)
    monkeypatch.setattr(arrays, "map_private", none_lent)  # what a system answers that lends no more than it has
    array = read_values(tmp_path / "results.json", False)["a"]
    assert array[0, 1] == 1
    with pytest.raises(ValueError, match="read-only"):
        array *= 2
    with pytest.raises(ValueError, match="WRITEABLE flag"):
        array.flags.writeable = True


HEADERS = {
    "objects": b"{'descr': '|O', 'fortran_order': False, 'shape': (65536,), }",
    "more than there is": b"{'descr': '<f8', 'fortran_order': False, 'shape': (65537,), }",
    "less than nothing": b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }",
    "beyond all memory": b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_a_big_file_with_a_false_header_is_damaged(tmp_path: Path, header: bytes) -> None:
    results = tmp_path / "results.json"
    add_values(results, {"a": np.zeros(BIG)}, None)
    [path] = side_files.arrays_directory(results).iterdir()
    size = path.stat().st_size
    head = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n"
    path.write_bytes(head.ljust(size, b"\0"))
    with pytest.raises(DamagedResult, match="is damaged"):
        read_values(results, False)


def test_field_names_in_unicode_are_read_as_well(tmp_path: Path) -> None:
    records = np.zeros(BIG, dtype=[("θ", "f8")])
    with pytest.warns(UserWarning, match="format 3.0"):
        add_values(tmp_path / "results.json", {"a": records}, None)
    read = read_values(tmp_path / "results.json", False)["a"]
    assert read.dtype == records.dtype
    assert read.shape == records.shape
