"""What an interpreter sees: its version and where it finds packages; asked once and kept on the disk.

Running an interpreter takes tens of milliseconds, so what it said is kept beside the environments, and holds as
long as nothing has changed that it went by: the program, its ``pyvenv.cfg``, the variables that Python heeds, and
the ``.pth`` files (https://docs.python.org/3/library/site.html).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qjob.atomic import write_whole
from qjob.errors import EnvironmentFailed

_TIMEOUT_S = 60.0
_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONUSERBASE", "PYTHONNOUSERSITE", "PYTHONPLATLIBDIR", "HOME")
_CUSTOMIZE = ("sitecustomize.py", "usercustomize.py")
_ASK = """
import json, os, site, sys, sysconfig
stdlib = sysconfig.get_path("stdlib")
ours = {stdlib, sysconfig.get_path("platstdlib")}
zipped = "python%d%d.zip" % sys.version_info[:2]
sites = site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
sys.stdout.write("\\n" + json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])),
    "abi": "%s %s" % (sysconfig.get_config_var("SOABI"), sysconfig.get_platform()),
    "stdlib": stdlib,
    "paths": [p for p in sys.path if p and p not in ours and not p.endswith((zipped, "lib-dynload"))],
    "sites": sites,
}))
"""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """An interpreter, as it says of itself in the job's environment variables.

    Attributes:
        python: the program, as the job names it.
        version: three numbers with dots.
        abi: what compiled packages have to fit.
        stdlib: the folder of the standard library.
        paths: where it finds packages, in its order; without the standard library.
        sites: those of them whose ``.pth`` files it heeds; also some that are not there yet.
        hooks: the state of those ``.pth`` files.
    """

    python: str
    version: str
    abi: str
    stdlib: str
    paths: tuple[str, ...]
    sites: tuple[str, ...]
    hooks: tuple[str, ...] = ()


def known_probe(directory: Path, python: str, environ: Mapping[str, str]) -> Probe | None:
    """Return what the interpreter said before, if nothing has changed since; runs nothing."""
    try:
        kept = json.loads(_file(directory, python, environ).read_bytes())
        probe = _from_json(kept)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return probe if probe.hooks == _hooks(probe.sites) else None


def make_probe(directory: Path, python: str, environ: Mapping[str, str]) -> Probe:
    """Ask the interpreter, and keep what it said; raises EnvironmentFailed and OSError."""
    probe = known_probe(directory, python, environ)
    if probe is not None:
        return probe
    probe = _from_json({"python": python, **_ask(python, environ)})
    probe = replace(probe, hooks=_hooks(probe.sites))
    file = _file(directory, python, environ)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(probe)).encode())
    return probe


def _ask(python: str, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        done = subprocess.run(
            [python, "-P", "-c", _ASK],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EnvironmentFailed(f"The interpreter {python} cannot be started: {error}") from error
    except (IndexError, ValueError) as error:
        said = done.stderr.decode("utf-8", "backslashreplace").strip()
        last = said.splitlines()[-1] if said else f"exit code {done.returncode}"
        raise EnvironmentFailed(
            f"The interpreter {python} does not say where its packages are: {last}", said
        ) from error
    return answer


def _file(directory: Path, python: str, environ: Mapping[str, str]) -> Path:
    """Return where the answer is kept: a name made of all that it went by; raises OSError."""
    real = os.path.realpath(python)
    stat = os.stat(real)
    variables = [environ.get(name) for name in _VARIABLES]
    identity = [python, real, stat.st_mtime_ns, stat.st_size, _venv_config(python), variables]
    return directory / "interpreters" / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:32]}.json"


def _venv_config(python: str) -> str:
    for folder in (os.path.dirname(os.path.dirname(python)), os.path.dirname(python)):
        try:
            return Path(folder, "pyvenv.cfg").read_text(errors="surrogateescape")
        except OSError:
            continue
    return ""


def _hooks(sites: tuple[str, ...]) -> tuple[str, ...]:
    found = []
    for site in sites:
        for name in _names(site):
            if name.endswith(".pth") or name in _CUSTOMIZE:
                found.append(_state(os.path.join(site, name)))
    return tuple(found)


def _state(path: str) -> str:
    try:
        stat = os.stat(path)
    except FileNotFoundError:  # a link to nowhere, which Python passes by
        return path
    return f"{path} {stat.st_size} {stat.st_mtime_ns}"


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _from_json(value: Mapping[str, Any]) -> Probe:
    return Probe(
        python=value["python"],
        version=value["version"],
        abi=value["abi"],
        stdlib=value["stdlib"],
        paths=tuple(value["paths"]),
        sites=tuple(value["sites"]),
        hooks=tuple(value.get("hooks", ())),
    )
