"""Files of results and checkpoints with arrays beside them: merged, versioned, read while they change, killed."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qjob import runtime
from qjob.atomic import TEMPORARY_SUFFIX
from qjob.errors import MissingExtra, ResultError
from qjob.runtime import side_files
from qjob.runtime.alone import alone_in
from qjob.runtime.formats import PersistedJobDataFormat
from qjob.runtime.persisted import add_values, read_checkpoint, read_values, replace_values, versions

np: Any = pytest.importorskip("numpy")

PLAINTEXT = PersistedJobDataFormat.PLAINTEXT
PICKLED_V4 = PersistedJobDataFormat.PICKLED_V4
BIG = 5000
"""Items of an array that has a file of its own."""
LARGE = 1 << 21
"""Items of an array that a save of results leaves to the system to put on the disk."""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The name of a file of results, in a directory with an awkward name."""
    (tmp_path / "a'; ü").mkdir()
    return tmp_path / "a'; ü" / "results.json"


@pytest.fixture
def checkpoint(results: Path) -> Path:
    """The name of a checkpoint, in the same directory."""
    return results.with_name("vqe.json")


def arrays_of(document: Path) -> list[str]:
    """Return the names of the files of a document's arrays that are there."""
    directory = side_files.arrays_directory(document)
    return sorted(path.name for path in directory.iterdir()) if directory.exists() else []


# --- arrays

ARRAYS: dict[str, Any] = {
    "numbers": np.arange(BIG) / 7,
    "big-endian": np.arange(BIG, dtype=">i4"),
    "complex": np.arange(BIG) * 1j,
    "long": np.arange(BIG, dtype=np.longdouble) / 7,
    "column by column": np.asfortranarray(np.arange(2.0 * BIG).reshape(2, BIG)),
    "every other": np.arange(2 * BIG)[::2],
    "texts": np.array(["ü", "abc"] * BIG),
    "bytes": np.array([b"a", b"bcd"] * BIG),
    "times": np.arange(BIG).astype("M8[us]"),
    "durations": np.arange(BIG).astype("m8[D]"),
    "records": np.zeros(BIG, dtype=[("a", "i4"), ("b", "f8", (2,))]),
    "few numbers": np.array([[1.5, np.nan], [-0.0, np.inf]]),
    "few of each": [
        np.array([1, 2], t) for t in ("?", "i1", "u8", "f2", "f4", ">f8", "c8", "c16", ">c16", "g", "G", "U")
    ],
    "few columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "few times": np.array(["2024-02-29", "NaT"], "M8[D]"),
    "few bytes": np.array([b"\xff"]),
    "few records": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "none": np.zeros((0, 3)),
    "none of records": np.zeros((2, 0), dtype=[("a", "i4")]),
    "one": np.array(1.5),
    "one complex": np.array(1j),
    "one time": np.array("2024-02-29", "M8[D]"),
}


@pytest.mark.parametrize("value", ARRAYS.values(), ids=ARRAYS.keys())
def test_arrays_come_back_as_they_were(value: Any, results: Path) -> None:
    add_values(results, {"value": value}, None)
    read = read_values(results, False)["value"]
    pairs = [(value, read)] if isinstance(value, np.ndarray) else zip(value, read, strict=True)
    for was, is_now in pairs:
        assert type(is_now) is np.ndarray
        assert (is_now.dtype, is_now.shape) == (was.dtype, was.shape)
        assert is_now.flags.f_contiguous == was.flags.f_contiguous or was.base is not None
        assert is_now.tobytes() == was.tobytes()


def test_a_big_array_is_a_file_and_a_small_one_is_text(results: Path) -> None:
    add_values(results, {"big": np.arange(BIG), "small": np.arange(3)}, None)
    plain = runtime.read_plain(results)
    assert plain["small"] == [0, 1, 2]
    assert plain["big"]["dtype"] == "int64"
    assert plain["big"]["shape"] == [BIG]
    assert np.load(results.parent / plain["big"]["file"]).tolist() == list(range(BIG))


def test_a_big_array_is_mapped_and_changes_stay_in_memory(results: Path) -> None:
    add_values(results, {"a": np.zeros(1 << 18)}, None)
    array = read_values(results, False)["a"]
    assert not array.flags.owndata
    array[0] = 7
    array *= 2
    assert array[0] == 14
    assert read_values(results, False)["a"][0] == 0


def test_an_array_that_is_mapped_outlives_its_file(results: Path) -> None:
    add_values(results, {"a": np.full(1 << 18, 3)}, None)
    array = read_values(results, False)["a"]
    add_values(results, {"a": 1}, None)
    assert arrays_of(results) == []
    assert array[-1] == 3


def test_an_array_that_was_read_can_be_saved_again(results: Path) -> None:
    add_values(results, {"a": np.arange(1 << 18)}, None)
    add_values(results, read_values(results, False), None)
    assert read_values(results, False)["a"][-1] == (1 << 18) - 1
    assert len(arrays_of(results)) == 1


def test_arrays_stay_until_nothing_names_them(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG), "b": [np.ones(BIG)]}, None)
    first = arrays_of(results)
    add_values(results, {"c": {"d": np.ones(BIG)}}, None)
    assert len(arrays_of(results)) == 3
    add_values(results, {"b": 1, "c": 2}, None)
    assert len(arrays_of(results)) == 1
    assert set(arrays_of(results)) < set(first)
    add_values(results, {"a": 1}, None)
    assert [path.name for path in results.parent.iterdir()] == ["results.json"]


def test_somebody_elses_files_stay(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    mine = results.parent / "results.arrays" / "mine.npy"
    mine.touch()
    add_values(results, {"a": 1}, None)
    assert arrays_of(results) == ["mine.npy"]


def test_what_a_killed_save_has_left_goes_with_the_next(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    for left in ("results.arrays/0123456789ab-0.npy", f"results.arrays/.0123456789ab-1.npy{TEMPORARY_SUFFIX}"):
        (results.parent / left).touch()
    (results.parent / f".results.json.0123{TEMPORARY_SUFFIX}").touch()
    add_values(results, {"b": 1}, None)
    assert len(arrays_of(results)) == 1
    assert len(list(results.parent.iterdir())) == 2


def test_a_save_that_fails_leaves_no_arrays_and_all_earlier_ones(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    before = {path: path.read_bytes() for path in results.parent.rglob("*") if path.is_file()}
    with pytest.raises(TypeError, match=r"\['b'\]\[1\]"):
        add_values(results, {"b": [np.ones(BIG), object()]}, None)
    with pytest.raises(TypeError, match="digits"):
        add_values(results, {"b": [np.ones(BIG), 10**5000]}, None)
    assert {path: path.read_bytes() for path in results.parent.rglob("*") if path.is_file()} == before


_SAVE_TOO_MUCH = """
import resource, sys
import numpy as np
from pathlib import Path
from qjob.runtime.persisted import add_values
path = Path(sys.argv[1])
add_values(path, {"a": np.zeros(5000)}, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    add_values(path, {"b": np.ones(5000), "c": np.ones(50_000)}, None)
except OSError as error:
    print("OSError, as it must be")
"""


@pytest.mark.fault
def test_a_save_that_finds_no_room_leaves_no_arrays(results: Path, in_new_process: Callable[..., str]) -> None:
    assert in_new_process(_SAVE_TOO_MUCH, results) == "OSError, as it must be\n"
    assert list(read_values(results, False)) == ["a"]
    assert len(arrays_of(results)) == 1


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The inodes of the files that are put on the disk, in turn."""
    inodes: list[int] = []
    sync = os.fsync

    def noting(fd: int) -> None:
        inodes.append(os.fstat(fd).st_ino)
        sync(fd)

    monkeypatch.setattr(os, "fsync", noting)  # nothing short of cutting the power shows what it has done
    return inodes


def inodes_of(document: Path) -> list[int]:
    """Return the inodes of the array, its directory, the directory of that, and the document: the order to sync in."""
    array = document.parent / str(runtime.read_plain(document)["a"]["file"])
    return [path.stat().st_ino for path in (array, array.parent, document.parent, document)]


@pytest.mark.parametrize("items", [BIG, LARGE])
def test_a_checkpoint_is_on_the_disk_before_it_is_named_and_then_its_name(
    checkpoint: Path, synced: list[int], items: int
) -> None:
    replace_values(checkpoint, {"a": np.zeros(items)}, PLAINTEXT, 3)
    assert synced == [*inodes_of(checkpoint), checkpoint.parent.stat().st_ino]


def test_results_with_small_arrays_are_on_the_disk_before_they_are_named(results: Path, synced: list[int]) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    assert synced == inodes_of(results)


def test_results_with_large_arrays_do_not_wait_for_the_disk(results: Path, synced: list[int]) -> None:
    add_values(results, {"a": np.zeros(LARGE)}, None)
    assert synced == inodes_of(results)[-1:]


def test_pickling_takes_the_arrays_in(results: Path) -> None:
    add_values(results, {"a": np.arange(1 << 18), "b": {1j}}, None)
    add_values(results, {"c": 1}, PICKLED_V4)
    values = read_values(results, True)
    assert type(values["a"]) is np.ndarray
    assert values["a"][-1] == (1 << 18) - 1
    assert values["b"] == {1j}
    assert arrays_of(results) == []


# --- damage


def test_a_missing_array_is_reported_with_what_to_do(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    shutil.rmtree(results.parent / "results.arrays")
    with pytest.raises(ResultError, match=r"-0\.npy is missing.*copy the directories \*\.arrays along"):
        read_values(results, False)
    assert "file" in runtime.read_plain(results)["a"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"no array", b"PK\x03\x04"])
def test_a_damaged_array_is_reported(content: bytes, results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    [name] = arrays_of(results)
    (results.parent / "results.arrays" / name).write_bytes(content)
    with pytest.raises(ResultError, match=r"-0\.npy is damaged"):
        read_values(results, False)


def test_an_array_that_is_cut_short_is_reported(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    [name] = arrays_of(results)
    os.truncate(results.parent / "results.arrays" / name, 1000)
    with pytest.raises(ResultError, match=r"-0\.npy is damaged"):
        read_values(results, False)


@pytest.mark.parametrize(
    "name",
    ["x.npy", "../a.arrays/0123456789ab-0.npy", "/a.arrays/0123456789ab-0.npy", "a.arrays/../x.npy", "a.arrays/"],
)
def test_only_files_of_arrays_are_opened(name: str, results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    document = json.loads(results.read_text())
    document["qjob"]["types"]["a"]["file"] = name
    results.write_text(json.dumps(document))
    with pytest.raises(ResultError, match="cannot be a file of its arrays"):
        read_values(results, False)


def test_a_pipe_in_the_place_of_an_array_keeps_nobody_waiting(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    [name] = arrays_of(results)
    path = results.parent / "results.arrays" / name
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ResultError, match="is not a file"):
        read_values(results, False)


def test_arrays_of_objects_are_not_unpickled(results: Path) -> None:
    add_values(results, {"a": np.zeros(BIG)}, None)
    [name] = arrays_of(results)
    np.save(results.parent / "results.arrays" / name, np.array([object]), allow_pickle=True)
    with pytest.raises(ResultError, match="is damaged"):
        read_values(results, False)


_WITHOUT_NUMPY = """
import sys
from pathlib import Path
sys.modules["numpy"] = None  # importing it fails now
from qjob.runtime import read_persisted, read_plain
try:
    print(read_persisted(Path(sys.argv[1]), False))
except ImportError as error:
    print(type(error).__name__, error)
print(read_plain(Path(sys.argv[1]))["small"])
"""


def test_without_numpy_one_error_names_all_arrays(results: Path, in_new_process: Callable[..., str]) -> None:
    add_values(results, {"fine": 1, "small": np.arange(2), "big": [np.zeros(BIG)]}, None)
    error, plain = in_new_process(_WITHOUT_NUMPY, results).splitlines()
    assert error.startswith(MissingExtra.__name__)
    assert "'small', 'big' cannot be read without numpy: pip install numpy; " in error
    assert "read_plain" in error
    assert plain == "[0, 1]"


def test_without_numpy_single_numbers_are_pythons(results: Path, in_new_process: Callable[..., str]) -> None:
    add_values(results, {"small": np.float64(0.5), "z": np.complex64(1j), "n": [np.int64(3)]}, None)
    assert in_new_process(_WITHOUT_NUMPY, results).splitlines()[0] == "{'small': 0.5, 'z': 1j, 'n': [3]}"


# --- versions of a checkpoint


def save_versions(checkpoint: Path, numbers: Iterator[int] | range, kept: int = 3) -> None:
    """Save checkpoints that hold a number and a big array of it."""
    for number in numbers:
        replace_values(checkpoint, {"step": number, "state": np.full(BIG, number)}, PLAINTEXT, kept)


@pytest.mark.parametrize(("kept", "steps"), [(1, [9]), (2, [9, 8]), (3, [9, 8, 7]), (20, list(range(9, -1, -1)))])
def test_the_last_versions_are_kept_whole(kept: int, steps: list[int], checkpoint: Path) -> None:
    save_versions(checkpoint, range(10), kept)
    files = [checkpoint, *versions(checkpoint)]
    assert [file.name for file in files[:3]] == ["vqe.json", "vqe.json.1", "vqe.json.2"][: min(kept, 3)]
    read = [read_values(file, False) for file in files]
    assert [values["step"] for values in read] == steps
    assert [values["state"][-1] for values in read] == steps
    assert len(arrays_of(checkpoint)) == len(steps)


def test_keeping_fewer_removes_the_others(checkpoint: Path) -> None:
    save_versions(checkpoint, range(5), kept=5)
    save_versions(checkpoint, range(5, 6), kept=2)
    assert [read_values(file, False)["step"] for file in [checkpoint, *versions(checkpoint)]] == [5, 4]


def test_versions_of_another_checkpoint_are_not_touched(checkpoint: Path) -> None:
    best = checkpoint.with_name("vqe_best.json")
    for number in range(4):
        save_versions(checkpoint, range(number, number + 1), kept=2)
        save_versions(best, range(10 * number, 10 * number + 1), kept=3)
    assert [read_values(file, False)["step"] for file in [checkpoint, *versions(checkpoint)]] == [3, 2]
    assert [read_values(file, False)["step"] for file in [best, *versions(best)]] == [30, 20, 10]


@pytest.mark.parametrize("suffix", ["h2/r=0.7", "/tmp/x", "a\0b"])
def test_a_suffix_that_no_file_name_can_have_is_told(suffix: str) -> None:
    with pytest.raises(ValueError, match="is to be part of a file's name; leave '/' out of it"):
        runtime.save_job_checkpoint({"step": 1}, suffix)


def test_a_failed_save_moves_no_versions(checkpoint: Path) -> None:
    save_versions(checkpoint, range(3))
    with pytest.raises(TypeError):
        replace_values(checkpoint, {"step": object()}, PLAINTEXT, 3)
    assert [read_values(file, False)["step"] for file in [checkpoint, *versions(checkpoint)]] == [2, 1, 0]


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"{}", b'{"dataDictionary": {"step": 2}, "dataFo'])
def test_an_earlier_version_is_taken_for_a_damaged_one(content: bytes, checkpoint: Path) -> None:
    save_versions(checkpoint, range(3))
    checkpoint.unlink()  # it shares its bytes with no version
    checkpoint.write_bytes(content)
    with pytest.warns(RuntimeWarning, match=r"vqe\.json.*vqe\.json\.1, which is older, is taken instead"):
        assert read_checkpoint(checkpoint, False)["step"] == 1


def test_the_newest_that_is_whole_is_taken(checkpoint: Path) -> None:
    save_versions(checkpoint, range(3))
    for file in (checkpoint, *versions(checkpoint)[:1]):
        array = read_plain_state(file)
        array.unlink()
    with pytest.warns(RuntimeWarning, match=r"is missing.*vqe\.json\.2"):
        assert read_checkpoint(checkpoint, False)["state"][0] == 0


def read_plain_state(file: Path) -> Path:
    """Return the file of the array of a checkpoint."""
    return file.parent / str(runtime.read_plain(file)["state"]["file"])


def test_when_all_are_damaged_the_newest_is_named(checkpoint: Path) -> None:
    save_versions(checkpoint, range(3))
    shutil.rmtree(side_files.arrays_directory(checkpoint))
    with pytest.raises(ResultError, match=r"is missing, which .*vqe\.json names"):
        read_checkpoint(checkpoint, False)


def test_a_whole_checkpoint_brings_no_warning_and_a_pickled_one_no_other(checkpoint: Path) -> None:
    save_versions(checkpoint, range(2))
    replace_values(checkpoint, {"step": 2}, PICKLED_V4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_checkpoint(checkpoint, True) == {"step": 2}
        with pytest.raises(ResultError, match="allow_pickle=True"):
            read_checkpoint(checkpoint, False)


def test_on_a_disk_without_links_versions_are_copies(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", no_links)  # what such a disk answers
    save_versions(checkpoint, range(4))
    assert [read_values(file, False)["step"] for file in [checkpoint, *versions(checkpoint)]] == [3, 2, 1]


# --- several at once


def test_instances_that_save_at_the_same_time_lose_nothing(results: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from qjob.runtime.persisted import add_values\n"
        "for i in range(10): add_values(Path(sys.argv[1]), {f'{sys.argv[2]}-{i}': np.full(5000, i)}, None)"
    )
    started = [subprocess.Popen([sys.executable, "-c", code, str(results), str(rank)]) for rank in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    values = read_values(results, False)
    assert {key: array[0] for key, array in values.items()} == {f"{r}-{i}": i for r in range(3) for i in range(10)}
    assert len(arrays_of(results)) == 30


def test_threads_that_save_at_the_same_time_lose_nothing(results: Path) -> None:
    threads = [threading.Thread(target=add_values, args=(results, {str(i): np.full(BIG, i)}, None)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {key: array[0] for key, array in read_values(results, False).items()} == {str(i): i for i in range(8)}


def test_where_a_directory_cannot_be_locked_a_file_in_it_is(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    lock = fcntl.flock

    def as_on_nfs(fd: int, operation: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EBADF, "not open for writing")
        lock(fd, operation)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)  # what NFS answers
    add_values(results, {"a": 1}, None)
    assert sorted(path.name for path in results.parent.iterdir()) == [f".lock{TEMPORARY_SUFFIX}", "results.json"]


class Nested(dict[str, Any]):
    """Data during whose saving a signal comes, whose handler saves as well."""

    def items(self) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        return super().items()


def test_a_signal_handler_may_save_while_a_save_is_under_way(results: Path) -> None:
    def handler(*_: object) -> None:
        add_values(results, {"inner": np.ones(BIG)}, None)

    earlier = signal.signal(signal.SIGUSR1, handler)
    try:
        add_values(results, Nested(outer=np.zeros(BIG)), None)
    finally:
        signal.signal(signal.SIGUSR1, earlier)
    assert read_values(results, False)["outer"][0] == 0


def test_a_save_within_a_save_leaves_the_arrays_that_the_outer_one_has_written(results: Path) -> None:
    name = side_files.new_name(results, "0123456789ab", 0)
    with alone_in(results.parent), side_files.written(results, {name: np.zeros(BIG)}):
        add_values(results, {"inner": np.ones(BIG)}, None)
        assert len(arrays_of(results)) == 2
        assert (results.parent / name).exists()


def test_an_interrupt_just_after_the_document_is_there_takes_no_arrays_from_it(results: Path) -> None:
    def save() -> None:
        with side_files.written(results, {name: np.zeros(BIG)}):
            results.write_text(json.dumps({"of": name}))
            raise KeyboardInterrupt

    name = side_files.new_name(results, "0123456789ab", 0)
    with pytest.raises(KeyboardInterrupt):
        save()
    assert arrays_of(results) == [name.rpartition("/")[2]]


def test_while_one_is_alone_in_a_directory_nobody_saves_there(results: Path) -> None:
    saved = threading.Event()

    def save() -> None:
        add_values(results, {"a": 1}, None)
        saved.set()

    thread = threading.Thread(target=save)
    with alone_in(results.parent) as is_alone:
        assert is_alone
        thread.start()
        assert not saved.wait(0.2)
        assert not results.exists()
    thread.join()
    assert saved.is_set()


# --- reading while it is saved, and sudden death

_SAVE_FOR_EVER = """
import itertools, sys
from pathlib import Path
import numpy as np
from qjob.runtime.formats import PersistedJobDataFormat
from qjob.runtime.persisted import add_values, replace_values
results, checkpoint = Path(sys.argv[1]), Path(sys.argv[2])
for step in itertools.count(int(sys.argv[3])):
    values = {"step": step, "state": np.full(20_000, step), "other": [np.full(5000, step), 1j * step]}
    add_values(results, values | {f"key {step % 7}": np.full(5000, step % 7)}, None)
    replace_values(checkpoint, values, PersistedJobDataFormat.PLAINTEXT, 3)
    print(step, flush=True)
"""


def _assert_whole(values: dict[str, Any]) -> int:
    step: int = values["step"]
    assert set(values["state"].tolist()) == {step}
    assert set(values["other"][0].tolist()) == {step}
    assert values["other"][1] == 1j * step
    for key in (key for key in values if key.startswith("key ")):
        assert set(values[key].tolist()) == {int(key.split()[1])}
    return step


def test_results_can_be_read_at_any_moment(results: Path, checkpoint: Path) -> None:
    with _saving(results, checkpoint, 0) as process:
        seen = {_assert_whole(read_values(path, False)) for _ in range(300) for path in (results, checkpoint)}
        process.kill()
    assert len(seen) > 3


@pytest.mark.fault
def test_a_killed_job_leaves_an_earlier_or_a_later_state(results: Path, checkpoint: Path) -> None:
    moments = random.Random(20240229)
    step = 0
    for _ in range(25):
        with _saving(results, checkpoint, step + 1) as process:
            time.sleep(moments.uniform(0, 0.03))  # not waiting for anything: this is the random moment
            process.kill()
            assert process.stdout is not None
            reported = [int(line) for line in process.stdout.read().split()]
        at_least = max([*reported, step + 1])
        for path in (results, checkpoint):
            assert at_least <= _assert_whole(read_values(path, False)) <= at_least + 1
        kept = [_assert_whole(read_values(path, False)) for path in (checkpoint, *versions(checkpoint))]
        assert kept == sorted(kept, reverse=True)
        step = kept[0]
    add_values(results, {"end": 1}, None)
    replace_values(checkpoint, {"end": 1}, PLAINTEXT, 1)
    assert arrays_of(checkpoint) == []
    assert len(arrays_of(results)) == len(side_files.names_in(results.read_bytes()))
    assert not [path for path in results.parent.rglob("*") if path.name.endswith(TEMPORARY_SUFFIX)]


def _saving(results: Path, checkpoint: Path, first_step: int) -> subprocess.Popen[bytes]:
    """Start a process that saves for ever, and wait for its first save."""
    command = [sys.executable, "-c", _SAVE_FOR_EVER, str(results), str(checkpoint), str(first_step)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process
