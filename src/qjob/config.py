"""Settings: what can be configured, read once from flags, environment and files, frozen, and passed down.

Order, the first that says something wins: flags, the environment (``QJOB_SLOTS`` for ``slots``), the project
(``qjob.toml``, or ``[tool.qjob]`` in ``pyproject.toml``, in the working directory or above), the user
(``~/.config/qjob/config.toml``), the defaults. docs/configuration.md lists every setting.
"""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TextIO

from qjob.errors import HomeError, SettingsError

_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")  # how /proc/mounts writes blanks and backslashes, see fstab(5)
_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs"})


@dataclass(frozen=True, kw_only=True)
class Device:
    """What is known of one device.

    Attributes:
        capacity: how many jobs it takes at a time.
        slurm: the options of sbatch by which a job asks Slurm for it, as ``--licenses=qpu1:1``; None when Slurm
            does not know it, and empty when jobs there need not ask.
        ray: the custom resource by which a job asks Ray for it, as ``qpu=1``.
        lease: the directory in which its holders are numbered; default: below ``home``. It has to be the same for
            all users of the device.
    """

    capacity: int = 1
    slurm: str | None = None
    ray: str | None = None
    lease: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be configured.

    Attributes:
        home: the state directory: job folders and, by default, the index.
        index: the directory of the index and of the local queue; it must lie on a local disk.
        engine: the engine of ``qjob run`` and ``qjob submit`` when none is named.
        slots: how many instances run on this machine at a time.
        grace_s: seconds between SIGTERM and SIGKILL when a job is ended early.
        idle_s: seconds after which a dispatcher with nothing to do ends.
        warm: whether jobs may start in a process that has their imports already.
        devices: by ARN, what is known of devices.
        engines: by name, the engines' own words.
        sources: where each setting came from, for ``qjob config``.
    """

    home: Path
    index: Path
    engine: str = "local"
    slots: int = 1
    grace_s: float = 10.0
    idle_s: float = 300.0
    warm: bool = True
    devices: Mapping[str, Device] = field(default_factory=dict)
    engines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def jobs(self) -> Path:
        """The directory of all job folders."""
        return self.home / "jobs"

    @property
    def environments(self) -> Path:
        """The environments of Python that jobs share; `JobFolder.environments` is the same, as a runner sees it."""
        return self.home / "environments"

    @property
    def index_file(self) -> Path:
        """The index over them."""
        return self.index / "index.db"

    @property
    def local_state(self) -> Path:
        """The local engine's own directory."""
        return self.engine_state("local")

    @property
    def leases(self) -> Path:
        """The directories in which the holders of devices are numbered, on the disk that all machines share."""
        return self.home / "devices"

    @property
    def runners(self) -> Path:
        """Copies of what a job needs of qjob, for machines that have only this directory."""
        return self.home / "runners"

    def engine_state(self, engine: str) -> Path:
        """The directory of an engine's own on this machine."""
        return self.index / engine


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Settings:
    """Read the settings.

    Args:
        flags: settings that were given by hand, by name; None means not given.
        environment: the environment variables; default: this process's.
        directory: where the search for a project's file begins; default: the working directory.

    Raises:
        SettingsError: with every value that cannot be, and where it stands.
    """
    variables = os.environ if environment is None else environment
    layers = [
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
        ("environment", _from_environment(variables)),
        *_project_file(_working_directory() if directory is None else directory),
        *_user_file(variables),
        ("default", _defaults(variables)),
    ]
    return _build(layers)


def prepare_home(settings: Settings, mounts: str | None = None) -> None:
    """Make the state directories, readable by their owner alone.

    Args:
        settings: which they are.
        mounts: the text of /proc/mounts; default: what it says now, nothing where there is none.

    Raises:
        HomeError: when they cannot be made or written, or the index would lie on a network disk.
    """
    for directory in (settings.home, settings.jobs, settings.index):
        try:
            str(directory).encode()
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except UnicodeEncodeError as error:
            raise HomeError(_home_problem(directory, "its path is no UTF-8, as the index needs it to be")) from error
        except OSError as error:
            raise HomeError(_home_problem(directory, error.strerror or str(error))) from error
        if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
            raise HomeError(_home_problem(directory, "it may not be read and written"))
    kind = file_system(settings.index, _read_mounts() if mounts is None else mounts)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise HomeError(
            f"{settings.index} lies on a network disk ({kind}), where SQLite's locks do not hold: set "
            'QJOB_INDEX (or index = "…" in ~/.config/qjob/config.toml) to a directory on a local disk. '
            "The job folders may stay where they are."
        )


def submitter_environment() -> dict[str, str]:
    """Return this process's environment variables, for a job that is submitted from here."""
    return dict(os.environ)


def wants_colour(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Return whether to write colours to a stream: a terminal or Jupyter, unless NO_COLOR says otherwise."""
    variables = os.environ if environment is None else environment
    if variables.get("NO_COLOR"):
        return False
    if variables.get("CLICOLOR_FORCE", "") not in ("", "0"):
        return True
    in_notebook = "JPY_PARENT_PID" in variables and not hasattr(stream, "buffer")  # Jupyter's has no bytes below it
    return in_notebook or stream.isatty()


def file_system(path: Path, mounts: str) -> str | None:
    """Return the kind of file system that a path lies on, by a text in the form of /proc/mounts."""
    best, kind = "", None
    real = str(path.resolve())
    for line in mounts.splitlines():
        point = _OCTAL_ESCAPE.sub(_unescaped, line.split()[1])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, line.split()[2]
    return kind


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))


def _defaults(variables: Mapping[str, str]) -> dict[str, Any]:
    data = variables.get("XDG_DATA_HOME") or str(_user_home(variables) / ".local" / "share")
    return {"home": str(Path(data) / "qjob"), "slots": os.cpu_count() or 1}


def _from_environment(variables: Mapping[str, str]) -> dict[str, Any]:
    names = {f"QJOB_{name.upper()}": name for name in _READERS if name not in _TABLES}
    return {names[key]: value for key, value in variables.items() if key in names and value}


def _working_directory() -> Path | None:
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None  # it was removed, and what it configured with it


def _project_file(directory: Path | None) -> list[tuple[str, dict[str, Any]]]:
    if directory is None:
        return []
    for folder in (directory, *directory.parents):
        own, shared = folder / "qjob.toml", folder / "pyproject.toml"
        if own.is_file():
            return [_layer(own, _read_toml(own))]
        if shared.is_file() and (table := _qjob_table(shared)) is not None:
            return [_layer(shared, table)]
    return []


def _qjob_table(pyproject: Path) -> dict[str, Any] | None:
    """Return ``[tool.qjob]``; most projects have none, and to see that takes no parser."""
    if b"qjob" not in _read_bytes(pyproject):
        return None
    tool = _read_toml(pyproject).get("tool")
    table = tool.get("qjob") if isinstance(tool, dict) else None
    if table is None or isinstance(table, dict):
        return table
    raise SettingsError(f"{pyproject}: tool.qjob = {table!r}: a table is expected, as in [tool.qjob].")


def _user_file(variables: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    config = variables.get("XDG_CONFIG_HOME") or str(_user_home(variables) / ".config")
    path = Path(config) / "qjob" / "config.toml"
    try:
        return [_layer(path, _read_toml(path))] if path.is_file() else []
    except PermissionError as error:  # another user's home, as HOME is after some kinds of sudo
        raise SettingsError(f"{path} cannot be read: {error.strerror}; set HOME to your own home directory.") from error


def _layer(path: Path, table: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return what a file says; a relative path in it is meant from where the file lies."""
    paths = [name for name in table if _READERS.get(name) is _path]
    return str(path), {**table, **{name: _from_directory(path.parent, table[name]) for name in paths}}


def _from_directory(directory: Path, value: Any) -> Any:
    if not isinstance(value, str) or not value or value.startswith("~"):
        return value
    return str(directory / value)


def _user_home(variables: Mapping[str, str]) -> Path:
    return Path(variables.get("HOME") or os.path.expanduser("~"))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return copy.deepcopy(_parsed(_read_bytes(path)))
    except ValueError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from error


@functools.lru_cache(maxsize=8)
def _parsed(toml: bytes) -> dict[str, Any]:
    """Return what a text says; a process that submits many jobs parses it once. Raises ValueError."""
    import tomllib  # only where there is a file: it costs more than all else here

    return tomllib.loads(toml.decode())


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error


def _build(layers: list[tuple[str, dict[str, Any]]]) -> Settings:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems: list[str] = []
    for origin, layer in layers:
        for name, value in layer.items():
            if name not in _READERS:
                problems.append(f"{origin}: {name!r} is no setting; there are {', '.join(_READERS)}.")
            elif name not in values:
                sources[name] = origin
                values[name] = _read(name, value, origin, problems)
    if problems:
        raise SettingsError("\n".join(problems))
    if sources["home"] == "flag" and sources.get("index") != "flag":
        values["index"] = values["home"]  # an index that was set for another home knows other jobs
        sources["index"] = "flag"
    values.setdefault("index", values["home"])
    defaults = {f.name: "default" for f in fields(Settings) if f.name not in (*sources, "sources")}
    return Settings(**values, sources=sources | defaults)


def _read(name: str, value: Any, origin: str, problems: list[str]) -> Any:
    try:
        return _READERS[name](value)
    except (ValueError, TypeError) as error:
        problems.append(f"{origin}: {name} = {value!r}: {error}.")
        return None


def _path(value: Any) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("a path is expected")
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("nobody knows where that home directory is; write the path out") from error


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a word is expected")
    return value


def _count(value: Any) -> int:
    try:
        number = int(value)
    except (ValueError, TypeError):
        number = 0
    if number < 1 or isinstance(value, bool | float):
        raise ValueError("a whole number from 1 is expected")
    return number


def _seconds(value: Any) -> float:
    try:
        number = float(value)
    except (ValueError, TypeError):
        number = -1.0
    if not 0 <= number < float("inf") or isinstance(value, bool):
        raise ValueError("a number of seconds from 0 is expected")
    return number


def _truth(value: Any) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("true or false is expected")
    return words[str(value).lower()]


def _devices(value: Any) -> dict[str, Device]:
    if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
        raise ValueError('tables are expected, as in [devices."arn:…"]')
    return {arn: _device(arn, table) for arn, table in value.items()}


def _device(arn: str, table: Mapping[str, Any]) -> Device:
    known = [each.name for each in fields(Device)]
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ValueError(f"device {arn!r} has no {', '.join(unknown)}; there are {', '.join(known)}")
    lease = table.get("lease")
    return Device(
        capacity=_count(table.get("capacity", 1)),
        slurm=_optional_text(table, "slurm"),
        ray=_optional_text(table, "ray"),
        lease=None if lease is None else _path(lease),
    )


def _optional_text(table: Mapping[str, Any], name: str) -> str | None:
    value = table.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} = {value!r}: a text is expected")
    return value


def _engine_tables(value: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(table, dict) for table in value.values()):
        raise ValueError("tables are expected, as in [engines.slurm]")
    return value


def _home_problem(directory: Path, reason: str) -> str:
    return (
        f"The state directory {directory} cannot be used: {reason}. Make it writable, or set QJOB_HOME to "
        "a directory that is."
    )


def _read_mounts() -> str:
    try:
        return Path("/proc/mounts").read_text(errors="surrogateescape")
    except FileNotFoundError:
        return ""


_READERS: dict[str, Callable[[Any], Any]] = {
    "home": _path,
    "index": _path,
    "engine": _word,
    "slots": _count,
    "grace_s": _seconds,
    "idle_s": _seconds,
    "warm": _truth,
    "devices": _devices,
    "engines": _engine_tables,
}
"""Every setting, and what makes its value of what stands in a file or a variable."""

_TABLES = ("devices", "engines")
"""Those that no variable can hold."""
