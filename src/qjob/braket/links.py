"""In the job: links that let local input data be read at the paths that it had where the job was submitted."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from qjob.runtime import get_input_data_dir

_OF_THE_JOB = frozenset({"checkpoints", "input", "logs", "source"})
"""Directories beside the results, where no links of ours have any business."""


@contextmanager
def linked(inputs: Sequence[Mapping[str, str]]) -> Iterator[None]:
    """Link input data below the working directory for as long as this lasts; files of the user's stay.

    Each of ``inputs`` has a ``channel``, the ``path`` that was given for it, and the ``name`` of its file, empty
    for a folder. Instances of a job share the links, and the last one removes them. What cannot be linked is
    said in the log: a path that leads out of the job's folder, or where something else is.
    """
    if not inputs:
        yield
        return
    fd = os.open(get_input_data_dir(inputs[0]["channel"]), os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        links = [link for each in inputs if (link := _linked(each)) is not None]
        try:
            yield
        finally:
            if _is_last(fd):
                _remove(links)
    finally:
        os.close(fd)


def _linked(each: Mapping[str, str]) -> tuple[Path, Path] | None:
    """Link one channel; return the link and its target, None when there is nothing to link."""
    link, target = Path(each["path"]), Path(get_input_data_dir(each["channel"]), each["name"])
    problem = _problem(link, target)
    if problem is not None:
        print(f"{link} {problem}; in this job its data is get_input_data_dir({each['channel']!r})")
        return None
    if link.is_absolute():
        return None
    link.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # another instance was here before
        link.symlink_to(target)
    print(link, "->", target, flush=True)
    return link, target


def _problem(link: Path, target: Path) -> str | None:
    if link.is_absolute():
        return None if link.exists() else "is not there any more"
    job_folder, where = Path.cwd().parent, _absolute(link)
    if not where.is_relative_to(job_folder):
        return "leads out of the job's folder"
    taken = where.relative_to(job_folder).parts[:1]
    if not _OF_THE_JOB.isdisjoint(taken) or (os.path.lexists(link) and not _leads_to(link, target)):
        return "is something else here"
    return None


def _absolute(path: Path) -> Path:
    return Path(os.path.normpath(Path.cwd() / path))


def _leads_to(link: Path, target: Path) -> bool:
    return link.is_symlink() and link.readlink() == target


def _is_last(fd: int) -> bool:
    # A lock that is taken as another kind may get lost on the way or not, depending on the system; so it is
    # given up first: of two that leave at once, one then is the last.
    fcntl.flock(fd, fcntl.LOCK_UN)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove(links: Sequence[tuple[Path, Path]]) -> None:
    """Remove links that are still ours, and the directories that they leave empty."""
    for link, target in links:
        if _leads_to(link, target):
            link.unlink()
        for parent in link.parents:
            if not Path.cwd().is_relative_to(_absolute(parent)):
                with contextlib.suppress(OSError):  # it has files of the user's, or is gone
                    parent.rmdir()
