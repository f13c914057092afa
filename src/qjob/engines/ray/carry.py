"""``python -m qjob.engines.ray.carry SUBMISSION JOB``: what Ray starts on a node that has no state directory.

Unpacks the job into the directory of Ray's session there, runs it, and keeps its journal (`qjob.engines.ray.journal`)
for the submitter to fetch. What it has unpacked goes at the end; the journal stays, as Ray's own logs do.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from qjob.atomic import write_unsynced
from qjob.engines.ray.apart import apart
from qjob.engines.ray.journal import Journal
from qjob.engines.ray.packages import JOB, SHARE
from qjob.folder import CancelMark, JobFolder
from qjob.runner.__main__ import main as run
from qjob.sweep_folder import sweep_folder

DIRECTORY = "qjob"
"""Below the directory of a node's logs, where the journals are, and beside it, where the jobs run."""
_STOP_COMES_WITHIN_S = 0.3  # Ray starts a job that was stopped while it waited, and then tells it to end


class Carrier:
    """Carries one job; made first of all, to hear when Ray tells it to end."""

    def __init__(self) -> None:
        """Begin to listen."""
        self._began_at = time.monotonic()
        self._is_told_to_end = False
        signal.signal(signal.SIGTERM, self._hear)

    def run(self, submission: str, job_id: str, runner_options: Sequence[str]) -> int:
        """Run the job; return the runner's exit code. Raises OSError."""
        logs = _logs_directory()
        home = logs.with_name(DIRECTORY)
        folder = unpack(home, job_id, Path.cwd())
        journal = Journal(folder, logs / DIRECTORY / submission)
        time.sleep(max(0.0, self._began_at + _STOP_COMES_WITHIN_S - time.monotonic()))
        code = apart(lambda: self._run(folder, runner_options), lambda: _tell(journal))
        journal.finish()
        shutil.rmtree(folder.path, ignore_errors=True)  # the submitter's environment, too
        return code

    def _run(self, folder: JobFolder, runner_options: Sequence[str]) -> int:
        if self._is_told_to_end:
            folder.write_cancel_mark(CancelMark(time=datetime.now(UTC)))
        return run([str(folder.path), *runner_options])

    def _hear(self, *_: object) -> None:
        self._is_told_to_end = True


def unpack(home: Path, job_id: str, packages: Path) -> JobFolder:
    """Return the job's folder below a directory that is like a state directory; the job's package lies in ``packages``.

    Raises OSError.
    """
    folder = JobFolder(home / "jobs" / job_id)
    shutil.rmtree(folder.path, ignore_errors=True)
    folder.path.mkdir(mode=0o700, parents=True)
    _extract(packages / JOB, folder.path)
    spec = json.loads(folder.spec.read_bytes())
    if not spec["qjob"]["interpreter"]:
        spec["qjob"]["interpreter"] = sys.executable
        write_unsynced(folder.spec, json.dumps(spec).encode())
    point = spec["qjob"].get("sweep")
    if point is not None:
        _unpack_share(sweep_folder(folder.path.parent, point["sweep"]).path)
    return folder


def _unpack_share(sweep: Path) -> None:
    """Unpack what the jobs of a sweep share; once on a node, whoever of them comes first."""
    package = next(path for entry in sys.path if (path := Path(entry) / SHARE).exists())
    sweep.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{sweep.name}.", dir=sweep.parent))
    _extract(package, unfinished)
    with suppress(OSError):  # another job was first
        unfinished.rename(sweep)
    shutil.rmtree(unfinished, ignore_errors=True)


def _extract(package: Path, directory: Path) -> None:
    with tarfile.open(package) as archive:
        archive.extractall(directory, filter="tar")


def _tell(journal: Journal) -> None:
    try:
        journal.tell()
    except OSError as error:  # a full disk, say: the job itself may have the room that it needs
        print(f"qjob: the job's news cannot be kept: {error}", file=sys.stderr, flush=True)


def _logs_directory() -> Path:
    """Return the directory of Ray's logs on this node: that of the file which Ray has made this process's output."""
    return Path(os.readlink("/proc/self/fd/1")).parent


def main(arguments: Sequence[str]) -> int:
    """Carry one job; return the runner's exit code."""
    carrier = Carrier()
    parser = argparse.ArgumentParser(prog="python -m qjob.engines.ray.carry")
    parser.add_argument("submission", help="the submission id")
    parser.add_argument("job", help="the job's id")
    own, others = parser.parse_known_args(arguments)
    return carrier.run(own.submission, own.job, others)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
