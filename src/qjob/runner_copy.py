"""A copy of qjob below the state directory, for machines that have nothing but Python and that directory.

A job on a cluster runs by this copy: nothing has to be installed there, and what is upgraded here while jobs wait
does not change under them. Each content has a copy of its own, named by its hash, and is copied once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
_NOT_NEEDED = ("cli", "server")
_COMPILED = "__pycache__"
_BEING_COMPILED = "*.pyc.*"  # by another process, for some microseconds


def runner_copy(directory: Path) -> Path:
    """Return the directory below ``directory`` that makes this very qjob importable; it is made when it is not there.

    Harmless to repeat, and from several processes at once. Raises OSError.
    """
    copy = directory / _content_hash()
    if not (copy / "qjob" / "__init__.py").exists():
        _make(copy)
    return copy


def _make(copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{copy.name}.", dir=copy.parent))  # of this thread of this machine alone
    unfinished = made / copy.name
    try:
        # What is compiled goes along, with the times that make it count: the first job need not compile it.
        shutil.copytree(PACKAGE, unfinished / "qjob", ignore=shutil.ignore_patterns(*_NOT_NEEDED, _BEING_COMPILED))
        unfinished.rename(copy)
    except OSError:
        if not copy.is_dir():  # not made by another one meanwhile
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


@cache
def _content_hash() -> str:
    digest = hashlib.sha256()
    for folder, names, files in os.walk(PACKAGE):
        names[:] = sorted(set(names) - {*_NOT_NEEDED, _COMPILED})
        for file in sorted(files):
            path = Path(folder, file)
            digest.update(f"{path.relative_to(PACKAGE)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
