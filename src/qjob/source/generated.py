"""GeneratedSource: code that is written by us, for a job that begins with a function and not with a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

GENERATED = "decorator_job_"
"""What the names of all generated sources begin with, as Braket's."""


@dataclass(frozen=True, kw_only=True)
class GeneratedSource:
    """A folder of code that lies in memory; beside `qjob.source.packed.PackedSource`, which lies on the disk.

    Attributes:
        name: the name of the folder, the one entry below the job's ``source/``.
        uri: where it came from, as a URI.
        contents: what each file holds, by its path below the folder.
        git_commit: the commit of the repository that holds the original, if one does.
        imports: the modules that it imports, by name.
    """

    name: str
    uri: str
    contents: Mapping[str, bytes]
    git_commit: str | None = None
    imports: tuple[str, ...] = ()

    @property
    def is_directory(self) -> bool:
        """Always true."""
        return True

    @property
    def left_out(self) -> tuple[str, ...]:
        """Nothing: all of it was written for the job."""
        return ()

    def texts(self) -> Iterable[bytes]:
        """Return what the files hold, with the texts and constants of the user's functions as they are."""
        return self.contents.values()

    def root_requirements(self) -> bytes | None:
        """Return None: what the job needs is asked for by itself."""
        return None

    def write_to(self, directory: Path) -> None:
        """Write the folder to ``directory/<name>``; raises OSError."""
        for relative, content in self.contents.items():
            path = directory / self.name / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
