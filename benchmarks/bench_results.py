"""Arrays saved as a job's results, and read back; the same as a checkpoint."""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import qjob
from qjob.runtime import load_job_checkpoint, load_job_result, save_job_checkpoint, save_job_result
from room import SCRIPTS, fresh_home, size
from rounds import interleaved, milliseconds
from row import Row, compared, not_measured, ratio_at_most

_ARRAYS = 4
_NUMPY = "numpy.save, numpy.load(mmap_mode='r')"
_SYNCED = "numpy.save and fsync, numpy.load"
_OPENED = "numpy.load(mmap_mode='r')"
_SCRIPT = str(SCRIPTS / "save_arrays.py")
_Arrays = dict[str, Any]
_Way = Callable[[_Arrays], _Arrays]


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare results and checkpoints with files that NumPy writes and maps."""
    size_mb = size(full=1000, quick=250, smoke=1, is_quick=quick)
    name = f"{size_mb:,} MB of arrays, saved as results and read back"
    if importlib.util.find_spec("numpy") is None:
        yield not_measured(name, "it takes numpy beside qjob", ratio_at_most(1.5))
        return
    arrays = _arrays(size_mb)
    directory = root / "results"
    yield from _saved(name, arrays, directory, rounds=3 if quick else 5)
    with fresh_home(root):
        yield _of_a_job(size_mb, directory, rounds=5 if quick else 11)


def _saved(name: str, arrays: _Arrays, directory: Path, rounds: int) -> Iterator[Row]:
    checkpoint = name.replace("results", "a checkpoint")
    faults: dict[str, str] = {}
    ways: dict[str, _Way] = {
        name: _as_results,
        checkpoint: _as_checkpoint,
        _NUMPY: functools.partial(_by_numpy, directory),
        _SYNCED: functools.partial(_by_numpy_synced, directory),
    }
    os.environ |= {"AMZN_BRAKET_JOB_RESULTS_DIR": str(directory), "AMZN_BRAKET_CHECKPOINT_DIR": str(directory)}
    measures = {what: functools.partial(_took_s, way, arrays, directory, what, faults) for what, way in ways.items()}
    found = interleaved(measures, rounds)
    del os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], os.environ["AMZN_BRAKET_CHECKPOINT_DIR"]
    for ours, anchor, goal in ((name, _NUMPY, ratio_at_most(1.5)), (checkpoint, _SYNCED, None)):
        yield compared(
            ours,
            "ms",
            milliseconds(found[ours]),
            milliseconds(found[anchor]),
            anchor_name=anchor,
            goal=goal,
            note="the same arrays" if ours not in faults else "",
            fault=faults.get(ours, ""),
        )


def _of_a_job(size_mb: int, directory: Path, rounds: int) -> Row:
    """Compare what a job has saved, asked for by whoever submitted it, with a file that is mapped."""
    name = f"result() of {size_mb:,} MB, of a job that has ended"
    os.environ |= {"BENCH_MB": str(size_mb), "BENCH_ARRAYS": str(_ARRAYS)}
    job = qjob.submit(_SCRIPT)
    job.wait()
    del os.environ["BENCH_MB"], os.environ["BENCH_ARRAYS"]
    _make_empty(directory)
    _write(directory, expected := _arrays(size_mb))
    found = interleaved({name: lambda: _time_s(job.result), _OPENED: lambda: _time_s(lambda: _read(directory))}, rounds)
    fault = "" if _is_same(job.result(), expected) else "the arrays are not those that were saved"
    return compared(
        name, "ms", milliseconds(found[name]), milliseconds(found[_OPENED]), anchor_name=_OPENED, fault=fault
    )


def _arrays(size_mb: int) -> _Arrays:
    """Return so many megabytes (of 10^6 bytes) of numbers in some arrays; scripts/save_arrays.py makes the same."""
    numpy = import_module("numpy")
    count = size_mb * 125_000 // _ARRAYS
    return {f"psi{number}": numpy.arange(count, dtype=float) + number for number in range(_ARRAYS)}


def _as_results(arrays: _Arrays) -> _Arrays:
    save_job_result(arrays)
    return load_job_result()


def _as_checkpoint(arrays: _Arrays) -> _Arrays:
    save_job_checkpoint(arrays, "bench")
    return load_job_checkpoint(checkpoint_file_suffix="bench")


def _by_numpy(directory: Path, arrays: _Arrays) -> _Arrays:
    _write(directory, arrays)
    return _read(directory)


def _by_numpy_synced(directory: Path, arrays: _Arrays) -> _Arrays:
    _write(directory, arrays)
    for path in directory.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    return _read(directory)


def _write(directory: Path, arrays: _Arrays) -> None:
    numpy = import_module("numpy")
    for name, array in arrays.items():
        numpy.save(directory / f"{name}.npy", array)


def _read(directory: Path) -> _Arrays:
    numpy = import_module("numpy")
    return {path.stem: numpy.load(path, mmap_mode="r") for path in directory.iterdir()}


def _took_s(
    way: Callable[[_Arrays], _Arrays], arrays: _Arrays, directory: Path, what: str, faults: dict[str, str]
) -> float:
    """Measure a way on an idle disk, and note when what it reads is not what it saved."""
    _make_empty(directory)
    os.sync()
    read: list[_Arrays] = []
    took_s = _time_s(lambda: read.append(way(arrays)))
    if not _is_same(read[0], arrays):
        faults[what] = "the arrays read are not those that were saved"
    return took_s


def _make_empty(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()


def _is_same(ours: _Arrays, expected: _Arrays) -> bool:
    numpy = import_module("numpy")
    return ours.keys() == expected.keys() and all(numpy.array_equal(ours[key], expected[key]) for key in expected)


def _time_s(act: Callable[[], object]) -> float:
    started = time.monotonic()
    act()
    return time.monotonic() - started
