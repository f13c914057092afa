"""Lease: the runner of a job takes the device that it holds alone, with a number that fences off earlier holders.

::

    <device>/numbers/0000000042   an empty file for each number that was given; made exclusively, never removed
    <device>/current              the newest number and its job's id
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from qjob.atomic import write_whole
from qjob.device_lease import CURRENT, VARIABLE, read_current

_DIGITS = 10
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
        numbers = directory / "numbers"
        numbers.mkdir(parents=True, exist_ok=True)
        lease = Lease(directory=directory, number=_next_number(numbers))
        while read_current(directory)[0] < lease.number:  # two at once: the higher number stays
            write_whole(directory / CURRENT, f"{lease.number} {job}\n".encode())
        return lease

    def variables(self) -> dict[str, str]:
        """Return the environment variable by which the job's processes know it."""
        return {VARIABLE: f"{self.number} {self.directory}"}


def _next_number(numbers: Path) -> int:
    """Return a number that nobody had; making a file exclusively is atomic on network disks too."""
    number = max(map(int, os.listdir(numbers)), default=0) + 1
    while True:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(numbers / f"{number:0{_DIGITS}}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return number
        number += 1
