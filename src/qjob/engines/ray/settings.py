"""RaySettings: what ``[engines.ray]`` in the settings says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qjob.errors import SettingsError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"


@dataclass(frozen=True, kw_only=True)
class RaySettings:
    """How the cluster is reached and used.

    Attributes:
        address: the URL of its dashboard, where the Job Submission API is.
        token: what a cluster with token authentication asks for; empty where there is none.
        shared: whether the state directory is there on the cluster's nodes too, at the same path.
        python: the interpreter of the runner on the nodes, and of the jobs where nothing is shared; None means the
            one that qjob itself runs in, which a shared disk has there too.
        poll_s: how often the cluster is asked about its jobs at most, in seconds.
        grows: whether the cluster may get nodes with resources that no node has now.
    """

    address: str = DEFAULT_ADDRESS
    token: str = field(default="", repr=False)
    shared: bool = True
    python: str | None = None
    poll_s: float = 2.0
    grows: bool = False


def read_ray_settings(table: Mapping[str, Any]) -> RaySettings:
    """Return the settings in a table; raises SettingsError with all that is wrong in it."""
    problems: list[str] = []
    values: dict[str, Any] = {}
    for name, value in table.items():
        try:
            field_name, read = _READERS[name]
            values[field_name] = read(value)
        except KeyError:
            problems.append(f"[engines.ray] has no {name!r}; there are {', '.join(_READERS)}.")
        except ValueError as error:
            problems.append(f"[engines.ray] {name} = {_shown(name, value)}: {error}.")
    if problems:
        raise SettingsError("\n".join(problems))
    return RaySettings(**values)


def _shown(name: str, value: Any) -> str:
    return "…" if name == "token" else repr(value)


def _address(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError(f"the URL of the cluster's dashboard is expected, as in {DEFAULT_ADDRESS}")
    return value.rstrip("/")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text is expected")
    return value.strip()


def _token_in(value: Any) -> str:
    path = Path(_text(value)).expanduser()
    try:
        return _text(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"it cannot be read: {error}") from error


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")
    return value


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ValueError("a number of seconds from 0 is expected")
    return float(value)


_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "address": ("address", _address),
    "token": ("token", _text),
    "token_file": ("token", _token_in),
    "shared": ("shared", _truth),
    "python": ("python", _text),
    "poll_s": ("poll_s", _seconds),
    "grows": ("grows", _truth),
}
"""Every key, the attribute that it sets, and what makes its value."""
