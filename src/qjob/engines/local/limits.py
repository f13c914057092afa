"""Limits: the umask and the resource limits with which a job is submitted, and then runs, as what a shell starts does.

The dispatcher was started by whoever submitted first, perhaps from a shell with other limits.
"""

from __future__ import annotations

import json
import os
import re
import resource
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a process hands on to those that it starts.

    Attributes:
        umask: the mask of new files.
        resources: by the number of each resource, its soft and its hard limit; see getrlimit(2).
    """

    umask: int
    resources: Mapping[int, tuple[int, int]]

    @property
    def takes_a_new_program(self) -> bool:
        """Whether a fork of this process cannot have them: a thread's stack is settled when a program begins."""
        return self.resources[resource.RLIMIT_STACK] != resource.getrlimit(resource.RLIMIT_STACK)

    @classmethod
    def now(cls) -> Limits:
        """Return those of this process."""
        return cls(umask=_umask(), resources={number: resource.getrlimit(number) for number in _NUMBERS})

    @classmethod
    def from_text(cls, text: str) -> Limits:
        """Return what `to_text` has written."""
        umask, resources = json.loads(text)
        return cls(umask=umask, resources={number: (soft, hard) for number, soft, hard in resources})

    def to_text(self) -> str:
        """Return them in a line."""
        resources = [(number, *limits) for number, limits in self.resources.items()]
        return json.dumps([self.umask, resources], separators=(",", ":"))

    def apply(self) -> None:
        """Give them to this process; where it may not have that much, what it may have."""
        os.umask(self.umask)
        for number, (soft, hard) in self.resources.items():
            most = resource.getrlimit(number)[1]
            try:
                resource.setrlimit(number, (soft, hard))
            except (ValueError, OSError):  # only root may raise a hard limit
                resource.setrlimit(number, (_least(soft, most), _least(hard, most)))


def _umask() -> int:
    """Return the umask; where the system tells of it without setting it, as that is the whole process's."""
    try:
        return int(re.findall(r"^Umask:\s*(\d+)", _STATUS.read_text(), re.MULTILINE)[0], 8)
    except (OSError, IndexError):
        umask = os.umask(0o077)
        os.umask(umask)
        return umask


def _least(*limits: int) -> int:
    """Return the strictest of limits; RLIM_INFINITY is none."""
    return min((limit for limit in limits if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
