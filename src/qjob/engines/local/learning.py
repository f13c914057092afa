"""What jobs turned out to import besides what stands at the top of their source.

A source may import in its functions. Whether it does that in the end is seen when it runs: a warm job leaves the names
in its folder, and later jobs of the same source and entry point begin with these modules too.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from qjob.atomic import write_unsynced
from qjob.errors import FolderError
from qjob.folder import JobFolder
from qjob.model.spec import JobSpec

_MOST_SOURCES = 200
_MOST_MODULES = 50


class LateImports:
    """The modules, by source; kept in a file, as the dispatcher comes and goes."""

    def __init__(self, path: Path) -> None:
        """Go on with what is in the file; without one that can be read, begin anew."""
        self._path = path
        self._known: dict[str, list[str]] = {}
        with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
            self._known = {str(key): list(map(str, names)) for key, names in json.loads(path.read_bytes()).items()}

    def of(self, spec: JobSpec) -> tuple[str, ...]:
        """Return the modules that a job is likely to import late."""
        known = self._known.get(_key(spec), ())
        return tuple(name for name in spec.late_imports if name in known)

    def learn(self, folder: JobFolder) -> None:
        """Take in what a job that has ended left about its imports, if it did."""
        try:
            names = folder.late_imports.read_text(encoding="utf-8").split()
            key = _key(folder.read_spec())
        except (OSError, ValueError, FolderError):
            return  # most jobs leave nothing
        known = self._known.pop(key, [])
        self._known[key] = list(dict.fromkeys([*known, *names]))[:_MOST_MODULES]
        while len(self._known) > _MOST_SOURCES:
            del self._known[next(iter(self._known))]
        with contextlib.suppress(OSError):  # without room on the disk it is forgotten with the dispatcher
            write_unsynced(self._path, json.dumps(self._known, indent=2).encode() + b"\n")


def _key(spec: JobSpec) -> str:
    return f"{spec.python} {spec.source_uri} {spec.entry_point}"
