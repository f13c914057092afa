"""The paths of Braket's job container, ``/opt/ml`` and ``/opt/braket``, for scripts that hard-code them.

They are mounted for one job alone, in a mount namespace of its own (mount_namespaces(7)) that ends with the
job's last process. Root may do that; everybody else in a user namespace (user_namespaces(7)), where these are
allowed. A tmpfs takes the place of ``/opt``, with all that lies there bound back into it: the disk is not touched,
and programs below ``/opt`` stay where they are. On Linux only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import posixpath
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from qjob.folder import JobFolder
from qjob.model.spec import JobSpec

_OPT = "/opt"
_WHAT = "/opt/braket and /opt/ml cannot be mounted for a job alone"
_OTHER_SYSTEM = f"{_WHAT}: only Linux can do that; use the functions of braket.jobs, which know where things lie."
_REMEDIES = {
    errno.EPERM: "neither mounts nor user namespaces are allowed here; see user_namespaces(7), and on Ubuntu "
    "allow them by 'sysctl kernel.apparmor_restrict_unprivileged_userns=0'",
    errno.ENOSPC: "there are no more user namespaces to be had; raise the sysctl user.max_user_namespaces",
}
_REMEDIES[errno.EACCES] = _REMEDIES[errno.EPERM]
_CLONE_NEWNS = 0x00020000  # <sched.h>
_CLONE_NEWUSER = 0x10000000
_MS_RDONLY = 1  # <sys/mount.h>
_MS_NOSUID = 2
_MS_NODEV = 4
_MS_REMOUNT = 32
_MS_BIND = 4096
_MS_REC = 16384
_MS_SLAVE = 1 << 19
_TMPFS_FLAGS = _MS_NOSUID | _MS_NODEV
_libc = ctypes.CDLL(None, use_errno=True)


class Act(Enum):
    """What a step does."""

    TMPFS = auto()
    FOLDER = auto()
    BIND = auto()
    KEEP_FOLDER = auto()
    KEEP_FILE = auto()
    LINK = auto()
    READ_ONLY = auto()


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of a plan.

    Attributes:
        act: what it does.
        path: where.
        source: what is bound or kept there, or where the link leads.
    """

    act: Act
    path: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Node:
    """What lies at a path of this machine.

    Attributes:
        is_folder: whether it is a folder, and no link to one.
        target: where it leads when it is a link.
    """

    is_folder: bool = False
    target: str | None = None


Listing = Callable[[str], Mapping[str, Node]]
"""What lies in a folder of this machine, by name. Raises OSError."""


def mount_container_paths(folder: JobFolder, spec: JobSpec) -> str | None:
    """Make the container's paths appear to this process and its descendants; return the problem, or None.

    To be called in the process that becomes the instance, with one thread and its signals at their defaults.
    It keeps its user and group, its parent-death signal and its working directory. Nothing has changed when
    there is a problem, unless it is one of checkpointConfig's localPath: then all other paths are there.
    """
    if sys.platform != "linux":
        return _OTHER_SYSTEM
    try:
        root = os.path.realpath(_OPT)
        wanted, problem = _wanted(root, folder, spec)
        steps = plan_mounts(root, wanted, list_folder)
    except OSError as error:
        return _problem(error)
    # In a child first: a job shall not start with half of it.
    return _tried(partial(_carry_out, root, steps)) or _carry_out(root, steps) or problem


def container_paths_problem() -> str | None:
    """Say in a sentence why the container's paths cannot be mounted for a job here; None when they can.

    It is tried in a child process, and nothing of it lasts.
    """
    if sys.platform != "linux":
        return _OTHER_SYSTEM
    try:
        root = os.path.realpath(_OPT)
        steps = plan_mounts(root, {f"{root}/ml/output": ""}, list_folder)
    except OSError as error:
        return _problem(error)
    return _tried(partial(_carry_out, root, steps))


def plan_mounts(root: str, wanted: Mapping[str, str], listing: Listing) -> tuple[Step, ...]:
    """Return the steps that make the wanted paths appear below ``root``, the folder that ``/opt`` leads to.

    ``wanted`` has for each path what is to be seen there; an empty text is an empty folder. A path that is not
    below ``root`` must be there. All else below ``root`` stays, but new entries can be made below ``ml`` and
    ``braket`` only: they are lost with the job, which in the container is so as well.
    """
    inside = {path: source for path, source in wanted.items() if path.startswith(f"{root}/")}
    outside = [Step(act=Act.BIND, path=path, source=source) for path, source in wanted.items() if path not in inside]
    ml, braket = f"{root}/ml", f"{root}/braket"
    here = dict(listing(root))
    if here.get("braket", Node()).is_folder:
        inside |= {path.replace(ml, braket, 1): source for path, source in inside.items() if path.startswith(f"{ml}/")}
        link = []
    else:
        here.pop("braket", None)
        link = [Step(act=Act.LINK, path=braket, source="ml")]
    return (
        Step(act=Act.TMPFS, path=root),
        *link,
        *_filled(root, inside, here, listing, (ml, braket)),
        Step(act=Act.READ_ONLY, path=root),
        *outside,
    )


def list_folder(path: str) -> dict[str, Node]:
    """Return what lies in a folder, by name; raises OSError."""
    with os.scandir(path) as entries:
        return {entry.name: _node(entry) for entry in entries}


def _node(entry: os.DirEntry[str]) -> Node:
    if entry.is_symlink():
        return Node(target=os.readlink(entry.path))
    return Node(is_folder=entry.is_dir())


def _filled(
    folder: str, wanted: Mapping[str, str], here: Mapping[str, Node], listing: Listing, writable: Sequence[str]
) -> list[Step]:
    """Return the steps that fill a folder, as yet empty, with what is wanted and what else lay there."""
    start = len(folder) + 1
    names = dict.fromkeys(path[start:].partition("/")[0] for path in wanted if path.startswith(f"{folder}/"))
    steps = [_kept(f"{folder}/{name}", node) for name, node in here.items() if name not in names]
    for path in (f"{folder}/{name}" for name in names):
        if wanted.get(path):
            steps.append(Step(act=Act.BIND, path=path, source=wanted[path]))
            continue
        steps.append(Step(act=Act.FOLDER, path=path))
        if path in writable:
            steps.append(Step(act=Act.TMPFS, path=path))
        is_here = here.get(path[start:], Node()).is_folder and path not in wanted
        steps += _filled(path, wanted, listing(path) if is_here else {}, listing, writable)
    return steps


def _kept(path: str, node: Node) -> Step:
    if node.target is not None:
        return Step(act=Act.LINK, path=path, source=node.target)
    return Step(act=Act.KEEP_FOLDER if node.is_folder else Act.KEEP_FILE, path=path, source=path)


def _wanted(root: str, folder: JobFolder, spec: JobSpec) -> tuple[dict[str, str], str | None]:
    """Return the paths of a job with what is to be seen there, and what is wrong with localPath."""
    ml = f"{root}/ml"
    wanted = {
        f"{ml}/model": str(folder.results),
        f"{ml}/input/data": str(folder.input) if spec.inputs else "",
        f"{ml}/input/config/hyperparameters.json": str(folder.hyperparameters),
        f"{ml}/checkpoints": str(folder.checkpoints),
        f"{ml}/output": "",
        f"{ml}/code/customer_code/extracted": str(folder.source),
    }
    local = posixpath.normpath(spec.checkpoint_config.localPath)
    if not local.startswith("/"):
        return wanted, None
    path = _below_root(local, root)
    if wanted.get(path) == str(folder.checkpoints):
        return wanted, None
    problem = _local_path_problem(local, path, root, wanted)
    return (wanted if problem else wanted | {path: str(folder.checkpoints)}), problem


def _below_root(path: str, root: str) -> str:
    """Return where a path in the container lies on this machine."""
    for start, real in ((f"{_OPT}/braket/", f"{root}/ml/"), (f"{_OPT}/", f"{root}/")):
        if path.startswith(start):
            return real + path.removeprefix(start)
    return path


def _local_path_problem(local: str, path: str, root: str, wanted: Mapping[str, str]) -> str | None:
    what = f"checkpointConfig.localPath {local!r} cannot be mounted for the job alone"
    if path.startswith(f"{root}/"):
        if any(f"{path}/".startswith(f"{each}/") or f"{each}/".startswith(f"{path}/") for each in wanted):
            return f"{what}: the container has something else there; name another folder below /opt."
        return None
    hides_the_rest = f"{root}/".startswith(f"{os.path.realpath(path)}/")
    if os.path.isdir(path) and not os.listdir(path) and not hides_the_rest:
        return None
    return f"{what}: it is neither below /opt nor an empty folder elsewhere; name one that is."


def _carry_out(root: str, steps: Sequence[Step]) -> str | None:
    """Take the steps, in a new mount namespace; return the problem, or None."""
    working_directory = os.getcwd()
    try:
        _enter_namespace()
        behind = os.open(root, os.O_PATH | os.O_CLOEXEC)  # what lies there can be reached by this when it is hidden
        for step in steps:
            _ACTS[step.act](step.path, _reachable(step.source, root, behind))
        os.close(behind)
        os.chdir(working_directory)  # which may lie below /opt
    except OSError as error:
        return _problem(error)
    return None


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        _unshare(_CLONE_NEWNS)
    except PermissionError:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNS)
        # Everybody is who he was. Others' files have the owner "nobody", as their ids have no name in here.
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            _write(f"/proc/self/{name}", text)
    # What the machine mounts later shows in here, and nothing from here shows there.
    _mount("none", "/", "", _MS_REC | _MS_SLAVE)


def _reachable(source: str, root: str, behind: int) -> str:
    """Return the path of what lies below ``root`` when this is hidden; any other path as it is."""
    return f"/proc/self/fd/{behind}{source[len(root) :]}" if source.startswith(f"{root}/") else source


def _mount_tmpfs(path: str, _source: str) -> None:
    _mount("qjob", path, "tmpfs", _TMPFS_FLAGS, "mode=0755")


def _make_folder(path: str, _source: str) -> None:
    os.mkdir(path, 0o755)


def _bind(path: str, source: str) -> None:
    if os.path.isdir(source):
        _bind_folder(path, source)
    else:
        _bind_file(path, source)


def _bind_folder(path: str, source: str) -> None:
    os.makedirs(path, 0o755, exist_ok=True)
    _mount(source, path, "", _MS_BIND | _MS_REC)


def _bind_file(path: str, source: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
    _mount(source, path, "", _MS_BIND)


def _link(path: str, target: str) -> None:
    os.symlink(target, path)


def _make_read_only(path: str, _source: str) -> None:
    _mount("none", path, "", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _TMPFS_FLAGS)


_ACTS: Mapping[Act, Callable[[str, str], None]] = {
    Act.TMPFS: _mount_tmpfs,
    Act.FOLDER: _make_folder,
    Act.BIND: _bind,
    Act.KEEP_FOLDER: _bind_folder,
    Act.KEEP_FILE: _bind_file,
    Act.LINK: _link,
    Act.READ_ONLY: _make_read_only,
}


def _unshare(flags: int) -> None:
    if _libc.unshare(flags) != 0:
        _raise_errno("unshare")


def _mount(source: str, path: str, kind: str, flags: int, options: str = "") -> None:
    texts = [os.fsencode(text) for text in (source, path, kind)]
    if _libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(options)) != 0:
        _raise_errno(path)


def _raise_errno(where: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), where)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _problem(error: OSError) -> str:
    remedy = _REMEDIES.get(error.errno or 0)
    return f"{_WHAT} ({error})" + (f": {remedy}." if remedy else ".")


def _tried(attempt: Callable[[], str | None]) -> str | None:
    """Make an attempt in a child process, and return what it says."""
    read_fd, write_fd = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads here: the child takes no lock of theirs
        pid = os.fork()
    if pid == 0:
        try:
            os.write(write_fd, (attempt() or "").encode("utf-8", "backslashreplace"))
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write_fd)
    with open(read_fd, encoding="utf-8", errors="replace") as told:
        problem = told.read()
    _, status = os.waitpid(pid, 0)
    return problem or (f"{_WHAT}: the attempt ended with status {status}." if status else None)
