"""The entries of an archive, as they will lie in a job's folder: nothing of an archive is believed.

Decided here is what tarfile's ``data`` filter decides when it extracts, for every kind of archive and before
anything is written: paths and links stay inside, and there are files, folders and links only.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from enum import Enum

MAX_ENTRIES = 200_000
MAX_BYTES = 1 << 30
MAX_RATIO = 100
"""Beyond `MAX_BYTES` an archive may grow by this much when it is unpacked, which code and data do not."""
_MAX_NAME_BYTES = 255  # of Linux' and macOS' file systems
_MAX_PATH_BYTES = 3000  # leaves room for the job's own folder in the 4096 of PATH_MAX
_MAX_HOPS = 40  # Linux' own limit


class Kind(Enum):
    """What an entry is; the values are for messages."""

    FILE = "a file"
    DIRECTORY = "a folder"
    LINK = "a symbolic link"
    COPY = "a hard link"
    DEVICE = "a device or a named pipe"
    UNKNOWN = "of an unknown kind"


class Refused(Exception):
    """An archive is not unpacked; the message says why, without the full stop."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry.

    Attributes:
        path: where it lies, from the archive's top; as the archive has it until `Plan.add` has looked.
        kind: what it is.
        size: of a file, in bytes, as the archive declares it.
        executable: whether a file can be executed by its owner.
        target: where a link leads; of a hard link the path of another entry.
    """

    path: str
    kind: Kind
    size: int = 0
    executable: bool = False
    target: str = ""


@dataclass(kw_only=True)
class Plan:
    """What an archive will be unpacked to.

    Attributes:
        archive_bytes: how large the archive is.
        entries: what there will be by its path, each folder before what is in it.
        numbers: which entry of the archive, counted from 0, a file's content is; of two of a path the later.
        count: how many entries were looked at.
        bytes: how large all files are.
    """

    archive_bytes: int
    entries: dict[str, Entry] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    count: int = 0
    bytes: int = 0

    def add(self, entry: Entry) -> Entry | None:
        """Take in the archive's next entry and return it as it will be; None for the top itself.

        Raises Refused when it would lie or lead outside, is no file, folder or link, contradicts an
        earlier one, or makes the archive too large.
        """
        number, self.count = self.count, self.count + 1
        self._check_limits(entry)
        path = safe_path(entry.path)
        if not path:
            return None
        checked = self._checked(entry, path)
        self._add_folders_around(path)
        earlier = self.entries.get(path)
        if earlier is not None and earlier.kind is not checked.kind:
            raise Refused(f"it has {path!r} twice, as {earlier.kind.value} and as {checked.kind.value}")
        self.entries[path] = checked
        self.numbers[path] = number
        return checked

    def resolved(self, path: str) -> str:
        """Return where a path leads when every link on it is followed; itself when it leads nowhere."""
        found = path
        for _ in range(_MAX_HOPS):
            link = self._first_link(found)
            if link is None:
                return found
            entry = self.entries[link]
            around = posixpath.dirname(link) if entry.kind is Kind.LINK else ""
            found = posixpath.normpath(posixpath.join(around, entry.target) + found[len(link) :])
        return path

    def leads_to(self, path: str) -> Kind | None:
        """Return what lies where a path leads; None when nothing does."""
        entry = self.entries.get(self.resolved(path))
        return None if entry is None else entry.kind

    def one_entry(self) -> str | None:
        """Return the one Python file, or folder with Python files, at the top; of data alone the one folder."""
        code = {path.partition("/")[0] for path, entry in self.entries.items() if _is_code(entry)}
        names = code or {path.partition("/")[0] for path in self.entries}
        name = next(iter(names)) if len(names) == 1 else None
        return name if code or name is None or self.entries[name].kind is Kind.DIRECTORY else None

    def _check_limits(self, entry: Entry) -> None:
        if max(self.count, len(self.entries)) > MAX_ENTRIES:
            raise Refused(f"it has more than {MAX_ENTRIES:,} entries")
        self.bytes += max(entry.size, 0)
        limit = max(MAX_BYTES, MAX_RATIO * self.archive_bytes)
        if entry.size < 0 or self.bytes > limit:
            raise Refused(
                f"it would unpack to more than {limit:,} bytes, which is {MAX_RATIO} times its size or one gibibyte"
            )

    def _checked(self, entry: Entry, path: str) -> Entry:
        match entry.kind:
            case Kind.DEVICE | Kind.UNKNOWN:
                raise Refused(f"its entry {path!r} is {entry.kind.value}, and only files, folders and links are taken")
            case Kind.LINK:
                return Entry(path=path, kind=Kind.LINK, target=_safe_target(path, entry.target))
            case Kind.COPY:
                return Entry(path=path, kind=Kind.COPY, target=self._original(path, safe_path(entry.target)))
        return Entry(path=path, kind=entry.kind, size=entry.size, executable=entry.executable)

    def _original(self, path: str, target: str) -> str:
        """Return the path of the file that a hard link is another name of."""
        original = self.entries.get(target)
        if original is None or original.kind not in (Kind.FILE, Kind.COPY) or target == path:
            raise Refused(f"its entry {path!r} is a hard link to {target!r}, which is no file before it in the archive")
        return original.target if original.kind is Kind.COPY else target

    def _add_folders_around(self, path: str) -> None:
        missing = []
        while (path := posixpath.dirname(path)) and path not in self.entries:
            missing.append(path)
        if path and self.entries[path].kind is not Kind.DIRECTORY:
            raise Refused(f"it has an entry below {path!r}, which is {self.entries[path].kind.value}")
        self.entries.update((each, Entry(path=each, kind=Kind.DIRECTORY)) for each in reversed(missing))

    def _first_link(self, path: str) -> str | None:
        """Return the outermost part of a path that is a link."""
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            part = "/".join(parts[:depth])
            if part in self.entries and self.entries[part].kind in (Kind.LINK, Kind.COPY):
                return part
        return None


def safe_path(name: str) -> str:
    """Return an entry's path without ``.`` and double slashes, empty for the archive's top; raises Refused."""
    if name.startswith("/"):
        raise Refused(f"its entry {name!r} has an absolute path")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Refused(f"its entry {name!r} leads up by '..'")
    if "\0" in name:
        raise Refused(f"its entry {name!r} has a null character in its name")
    too_long = any(len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts)
    if too_long or len(os.fsencode(name)) > _MAX_PATH_BYTES:
        raise Refused(f"its entry {name[:60]!r}… has a longer name than a file can have")
    return "/".join(parts)


def _is_code(entry: Entry) -> bool:
    return entry.kind is not Kind.DIRECTORY and entry.path.endswith(".py")


def _safe_target(path: str, target: str) -> str:
    """Return where a symbolic link at ``path`` may lead, relative to the folder around it.

    With ``..`` at the beginning only, it can go up real folders and nowhere else: no entry lies below a link.
    """
    normal = posixpath.normpath(target)
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), normal))
    if not target or "\0" in target or normal.startswith("/") or joined.split("/")[0] == "..":
        raise Refused(f"its entry {path!r} is a link to {target!r}, outside of the archive")
    if len(os.fsencode(normal)) > _MAX_PATH_BYTES:
        raise Refused(f"its entry {path!r} is a link to a longer path than there can be")
    return normal
