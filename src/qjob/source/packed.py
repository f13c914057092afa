"""PackedSource: a user's code, ready to be copied into a job's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qjob.errors import InvalidInput
from qjob.source.tree import SourceFile, copy_files

SUFFIX = ".py"
REQUIREMENTS = "requirements.txt"
MAX_TEXT_BYTES = 1 << 20
_TEXT_SUFFIXES = (SUFFIX, ".ipynb", ".sh", ".json", ".yaml", ".yml", ".toml", ".ini", ".cfg")


@dataclass(frozen=True, kw_only=True)
class PackedSource:
    """A source that can be copied into a job's folder: where its files lie, not their contents.

    Attributes:
        name: the entry of the job's ``source/`` that holds the code: the name of the file or folder. A bundle
            has the name of its archive.
        uri: the ``file://`` URI of the original.
        is_directory: whether it is a folder, or a bundle.
        is_bundle: whether it is an archive that has code in several entries; these lie in ``source/`` itself.
        place: the folder below ``source/`` from which the relative paths go; empty for ``source/`` itself.
        files: the files to take along.
        directories: the folders to take along, relative; each after the one that holds it.
        left_out: what is not taken along, relative; a folder ends in ``/``, and what is below it is not listed.
        module: the module that was named, where an installed one was.
        git_commit: the commit of the repository that holds it, if one does.
    """

    name: str
    uri: str
    is_directory: bool
    is_bundle: bool = False
    place: str = ""
    files: tuple[SourceFile, ...]
    directories: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    module: str | None = None
    git_commit: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether what lies beside a single file is none of its business."""
        return self.module is not None

    def write_to(self, directory: Path) -> None:
        """Copy the source to ``directory/<name>``; the directory is made if need be.

        Raises OSError: FileExistsError when the name is taken there, FileNotFoundError when a file has
        gone since it was packed; what was copied until then stays. Nothing is synced to the disk.
        """
        target = directory / self.place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.mkdir(exist_ok=not self.place)
        copy_files(self.files, self.directories, str(target))

    def below_source(self, relative: str) -> str:
        """Return the path from ``source/`` of what has a path relative to `place`."""
        return f"{self.place}/{relative}" if self.place else relative

    def resolved(self, path: str) -> str:
        """Return where a path below ``source/`` leads; a folder's links have become what they lead to."""
        return path

    def read(self, file: SourceFile) -> bytes:
        """Return what a file holds; raises OSError."""
        return Path(file.absolute).read_bytes()

    def texts(self) -> Iterator[bytes]:
        """Yield what the files hold that look like code or settings; large ones are passed over.

        Raises OSError.
        """
        for file in self.files:
            if is_text(file.relative) and os.path.getsize(file.absolute) <= MAX_TEXT_BYTES:
                yield self.read(file)

    def root_requirements(self) -> bytes | None:
        """Return the ``requirements.txt`` at the root of the source; None when there is none.

        The root of an archive is its own top, and then the one folder in it. Raises InvalidInput when it cannot
        be read.
        """
        return self._content(REQUIREMENTS) if self.is_directory else None

    def _content(self, path: str) -> bytes | None:
        found = next((file for file in self.files if file.relative == path), None)
        try:
            return None if found is None else self.read(found)
        except OSError as error:
            raise InvalidInput(f"source {self.name!r}: {path!r} cannot be read: {error.strerror}.") from error


def is_text(path: str) -> bool:
    """Say whether a file is code or settings, by its name."""
    return path.endswith(_TEXT_SUFFIXES)
