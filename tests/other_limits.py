"""What a shell with other limits is to those whom it starts, for this process, for a while."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

UMASK = 0o027
FILES = 321
TELLS = """
import os, resource
print(f"{os.umask(0):o} {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}")
"""
"""A script that prints its own."""
TOLD = "27 321\n"
"""What it prints where it has those."""


@contextmanager
def other_limits() -> Iterator[None]:
    """Have another umask, and another soft limit of open files."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    umask = os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, files[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
        os.umask(umask)
