"""Receiver: makes a job's folder here hold what its journal on a node tells; see `qjob.engines.ray.journal`."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from qjob.atomic import TEMPORARY_SUFFIX, write_unsynced, write_whole
from qjob.engines.ray.client import Cluster
from qjob.engines.ray.journal import ADDED, GONE, INDEX, WHOLE, Entry, read_index
from qjob.errors import EngineUnavailable
from qjob.file_lock import file_lock
from qjob.folder import JobFolder
from qjob.model.outcome import Outcome, outcome_from_json
from qjob.model.status import JobStatus

_FEW_LINES = 64
_MORE = 16
_DIRECTORIES = ("logs", "results", "checkpoints")
_FILES = ("events.jsonl", "runner.log", "outcome.json")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a job's journal lies.

    Attributes:
        node_id: the node, in Ray's words.
        directory: relative to the directory of the node's logs.
    """

    node_id: str
    directory: str


class Receiver:
    """Fetches journals, each from where it was left, by whichever process comes first."""

    def __init__(
        self, state: Path, cluster: Cluster, interval_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        """Keep in a directory what was fetched already; fetch nothing twice within an interval, in seconds."""
        self._state = state
        self._cluster = cluster
        self._interval_s = interval_s
        self._clock = clock

    def receive(self, source: Source, folder: JobFolder, *, at_once: bool) -> None:
        """Write into the folder what is new; nothing when that was done within the interval, unless ``at_once``.

        Harmless to repeat, and from several processes. Raises EngineUnavailable.
        """
        mark = self._state / f"{folder.id}.json"
        if folder.outcome.exists() or not (at_once or self._is_due(mark)):
            return
        with file_lock(mark.with_suffix(".lock"), wait=False) as is_mine:
            if not is_mine:
                return
            last = _read_number(mark)
            for entry in _that_count(self._news(source, last)):
                self._apply(source, folder, entry)
                write_unsynced(mark, json.dumps(entry.number).encode())
            os.utime(mark) if mark.exists() else mark.write_text("0")
        if folder.outcome.exists():
            mark.unlink(missing_ok=True)
            mark.with_suffix(".lock").unlink(missing_ok=True)

    def _is_due(self, mark: Path) -> bool:
        try:
            return not 0 <= self._clock() - mark.stat().st_mtime < self._interval_s
        except FileNotFoundError:
            return True

    def _news(self, source: Source, last: int) -> list[Entry]:
        """Return the entries after one; from the end of the index, as far back as it takes."""
        lines = _FEW_LINES
        while True:
            try:
                text = b"".join(self._cluster.read(source.node_id, f"{source.directory}/{INDEX}", lines))
            except FileNotFoundError:  # the job has not told anything yet
                return []
            entries = _entries_of(text)
            if not entries or entries[0].number <= last + 1:
                return [entry for entry in entries if entry.number > last]
            lines *= _MORE

    def _apply(self, source: Source, folder: JobFolder, entry: Entry) -> None:
        path = _safe(folder, entry.path)
        if entry.kind == GONE:
            if path.is_file():  # it may be gone already, and what was a file may be a directory now
                path.unlink()
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        parts = self._cluster.read(source.node_id, f"{source.directory}/{entry.number}") if entry.size else iter([])
        try:
            if path == folder.outcome:
                _write_outcome(folder, b"".join(parts))
            elif entry.kind == ADDED:
                _write_at(path, entry.offset, parts)
            else:
                _replace(path, parts)
        except FileNotFoundError:  # a newer piece has taken its place: a later entry tells of it
            return


def _entries_of(text: bytes) -> list[Entry]:
    try:
        return read_index(text)
    except (ValueError, TypeError) as error:
        raise EngineUnavailable(f"The Ray cluster tells of a job's files what nobody can read: {error}.") from error


def _that_count(entries: list[Entry]) -> list[Entry]:
    """Leave out what a later entry replaces as a whole."""
    last = {entry.path: entry.number for entry in entries if entry.kind in (WHOLE, GONE)}
    return [entry for entry in entries if entry.number >= last.get(entry.path, 0)]


def _safe(folder: JobFolder, name: str) -> Path:
    """Return the path of a file in the folder; a node tells of no others, and nothing else is written here."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not (name in _FILES or path.parts[0] in _DIRECTORIES):
        raise EngineUnavailable(f"The Ray cluster tells of a file {name!r} that no job has.")
    return folder.path / path


def _write_outcome(folder: JobFolder, data: bytes) -> None:
    """Write how it ended. Ray has told a cancelled job's runner to end, which has no mark there to know why."""
    outcome = outcome_from_json(json.loads(data))
    mark = folder.read_cancel_mark()
    if mark is not None and outcome.status is JobStatus.FAILED and outcome.ended_at >= mark.time:
        folder.write_outcome(_cancelled(outcome))
    else:
        write_whole(folder.outcome, data)


def _cancelled(outcome: Outcome) -> Outcome:
    return replace(outcome, status=JobStatus.CANCELLED, reason=None)


def _write_at(path: Path, offset: int, parts: Iterable[bytes]) -> None:
    """Write bytes where they belong; again, when a process was killed before it had noted that."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        for part in parts:
            os.pwrite(fd, part, offset)
            offset += len(part)
    finally:
        os.close(fd)


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    """Replace a file by bytes that need not fit into memory."""
    if path.is_dir() and not path.is_symlink():  # it was one there, too, and has become a file
        shutil.rmtree(path)
    # Without the file's own name, which may be as long as a name can be.
    temporary = path.parent / f".{os.urandom(6).hex()}{TEMPORARY_SUFFIX}"
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_number(mark: Path) -> int:
    try:
        return int(json.loads(mark.read_bytes()))
    except (OSError, ValueError):
        return 0
