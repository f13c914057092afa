"""Lease: the runner of a job takes the device that it holds alone, with a number that fences off earlier holders.

::

    <device>/numbers/0000000042   a file for each number that was given, with the job's id; made exclusively, and kept
    <device>/current              the newest number and its job's id

Jobs of several users take turns there. So what one makes the others may use as far as they may use ``<device>``,
whatever the umask of the one.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qjob.atomic import write_whole
from qjob.device_lease import CURRENT, VARIABLE, read_current

_DIGITS = 10
_UMASK = 0o022
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


def lease_directory(root: Path, device: str) -> Path:
    """Return the directory of a device below the one of all devices."""
    return root / _UNSAFE.sub("_", device)


@dataclass(frozen=True, kw_only=True)
class Lease:
    """The lease that a job holds.

    Attributes:
        directory: the device's.
        number: higher than that of everybody who had the device before.
    """

    directory: Path
    number: int

    @staticmethod
    def take(directory: Path, job: str) -> Lease:
        """Take the next number for a job; from then on no earlier holder may send a task. Raises OSError."""
        try:
            with _readable_for_all():
                return _taken(directory, job)
        except PermissionError as error:
            remedy = f"everybody who uses the device must be able to make and rename files in {directory}"
            raise PermissionError(error.errno, f"{error.strerror} ({remedy})", error.filename) from error

    def variables(self) -> dict[str, str]:
        """Return the environment variable by which the job's processes know it."""
        return {VARIABLE: f"{self.number} {self.directory}"}


@contextlib.contextmanager
def _readable_for_all() -> Iterator[None]:
    """Make files from here on that other users can read; by the umask, so that they never see one that they cannot."""
    umask = os.umask(_UMASK)
    try:
        yield
    finally:
        os.umask(umask)


def _taken(directory: Path, job: str) -> Lease:
    numbers = _numbers_of(directory)
    lease = Lease(directory=directory, number=_next_number(numbers, job))
    # Whoever writes looks again after that: of two at once the slower one must not put back a lower number.
    while True:
        newest = _newest(numbers)
        number, holder = read_current(directory)
        if number >= newest and (number != lease.number or holder == job):
            return lease
        write_whole(directory / CURRENT, b"%d %s\n" % (newest, (numbers / _name(newest)).read_bytes()))


def _numbers_of(directory: Path) -> Path:
    """Return the directory of the numbers, which is made with the rights that the device's has."""
    numbers = directory / "numbers"
    if not numbers.is_dir():
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / f".numbers.{os.urandom(6).hex()}"
        unfinished.mkdir()
        unfinished.chmod(stat.S_IMODE(directory.stat().st_mode))
        try:
            unfinished.rename(numbers)
        except OSError:
            unfinished.rmdir()
            if not numbers.is_dir():  # else somebody was first
                raise
    return numbers


def _next_number(numbers: Path, job: str) -> int:
    """Return a number that nobody had; making a file exclusively is atomic on network disks too."""
    number = _newest(numbers) + 1
    while True:
        with contextlib.suppress(FileExistsError):
            fd = os.open(numbers / _name(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
            with open(fd, "wb") as file:
                file.write(job.encode())
            return number
        number += 1


def _newest(numbers: Path) -> int:
    return max(map(int, os.listdir(numbers)), default=0)


def _name(number: int) -> str:
    return f"{number:0{_DIGITS}}"
