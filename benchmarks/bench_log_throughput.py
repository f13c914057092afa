"""How fast a job may write, and whether all of it is in the log."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import qjob
from room import SCRIPTS, fresh_home
from rounds import interleaved
from row import Goal, Row, compared, ratio_at_least

_TO_FILE = "python script > file"
_TO_DISK = "python script > file, and fsync"
_THROUGH_CAT = "python -u script | cat > file"
_Writer = Callable[[Path, Path], None]


def run(root: Path, *, quick: bool) -> Iterator[Row]:
    """Compare a job's output with a shell's redirection; each time from the start to the last byte."""
    size = 64_000_000 if quick else 1_000_000_000
    with fresh_home(root):
        yield from _rows("log, blocks of 64 KiB", SCRIPTS / "blocks.py", size, root / "plain.txt")
        # A quarter does: lines are so much slower that a job's start counts for nothing.
        yield from _rows("log, print of 100 bytes", SCRIPTS / "lines.py", size // 4, root / "plain.txt")


def _rows(name: str, script: Path, size: int, plain: Path) -> Iterator[Row]:
    os.environ["BENCH_BYTES"] = str(size)
    damage: list[str] = []

    def ours() -> float:
        return _our_speed(script, plain, damage)

    anchors = {_TO_FILE: _to_file, _TO_DISK: _to_disk, _THROUGH_CAT: _through_cat}
    measures = {anchor: lambda write=write: _speed(write, script, plain) for anchor, write in anchors.items()}
    found = interleaved(measures | {name: ours}, rounds=5)
    size_read = plain.stat().st_size
    note = "; ".join(damage) or f"all {size_read:,} bytes are in the log"
    for anchor in anchors:
        goal = _goal(damage) if anchor == _TO_FILE else None
        yield compared(name, "MB/s", found[name], found[anchor], anchor_name=anchor, goal=goal, note=note)
    del os.environ["BENCH_BYTES"]
    plain.unlink()


def _goal(damage: list[str]) -> Goal:
    """Return what is aimed at; out of reach when bytes were lost, however fast the rest went."""
    goal = ratio_at_least(0.5)
    return Goal(text=goal.text, holds=lambda *_: False) if damage else goal


def _our_speed(script: Path, plain: Path, damage: list[str]) -> float:
    """Run the script as a job; note in ``damage`` if its log is not what it wrote to a file."""
    started = time.monotonic()
    job = qjob.submit(script)
    job.wait()
    took_s = time.monotonic() - started
    log = Path(job.metadata()["qjob"]["folder"]) / "logs" / "0.log"
    size = log.stat().st_size
    if not plain.exists():
        _to_disk(script, plain)
    if _digest(log) != _digest(plain):
        damage.append(f"the log is not what was written: {size} bytes of {plain.stat().st_size}")
    qjob.delete(job)
    return size / 1e6 / took_s


def _speed(write: _Writer, script: Path, plain: Path) -> float:
    plain.unlink(missing_ok=True)
    started = time.monotonic()
    write(script, plain)
    took_s = time.monotonic() - started
    _sync(plain)  # or whoever is measured next would wait for the disk in its place
    return plain.stat().st_size / 1e6 / took_s


def _to_file(script: Path, plain: Path) -> None:
    with plain.open("wb") as file:
        subprocess.run([sys.executable, script], check=True, stdout=file)


def _to_disk(script: Path, plain: Path) -> None:
    _to_file(script, plain)
    _sync(plain)


def _through_cat(script: Path, plain: Path) -> None:
    with (
        plain.open("wb") as file,
        subprocess.Popen([sys.executable, "-u", script], stdout=subprocess.PIPE) as writer,
    ):
        subprocess.run(["cat"], check=True, stdin=writer.stdout, stdout=file)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()
