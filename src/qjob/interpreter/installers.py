"""uv and pip: which of them there is, what it is told, and what it said when it failed."""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from qjob.errors import EnvironmentFailed
from qjob.interpreter.distributions import distributions, normalised
from qjob.interpreter.probe import Probe

REQUIREMENTS = "requirements.txt"
"""The name of the file, in the working directory of the installer, that it is told to install."""

_KEPT_LINES = 400
_REASON_CHARS = 1500
_STUB = "qjob-stub"
_HAS_PIP = "import pip, sys; sys.exit(int(pip.__version__.split('.')[0]) < 23)"  # as old as its --python
_PLACES = ("index-url", "extra-index-url", "find-links", "no-index", "index-server")
_NOT_FOR_AN_INSTALLER = (
    "PYTHONHOME",
    "PYTHONINSPECT",  # with it, a Python that fails ends with exit code 0
    "PYTHONWARNINGS",  # pip has some of its own, and "error" is for the job's code
    "PIP_DRY_RUN",
    "PIP_HELP",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PIP_VERSION",  # some set it to a number, and it stands for --version
    "UV_SYSTEM_PYTHON",
    "UV_TARGET",
)
"""Variables that would have an installer install elsewhere, or nothing."""
_QUIET = {
    "NO_COLOR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_NO_INPUT": "1",
    "PIP_PROGRESS_BAR": "off",
    "PYTHONUNBUFFERED": "1",
    "UV_NO_PROGRESS": "1",
    "UV_PYTHON_DOWNLOADS": "never",
}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be installed where.

    Attributes:
        python: the interpreter of the new environment.
        site_packages: where its packages go.
        below: the interpreter that it is on top of.
        directory: the working directory, with the file `REQUIREMENTS`.
        environ: the job's environment variables.
        lock_fd: what an installer inherits, see `qjob.interpreter.cache.building`.
        own_python: this program's interpreter, whose pip is taken where there is none below.
        wheels: where else a pip may lie that came with Python.
    """

    python: str
    site_packages: Path
    below: Probe
    directory: Path
    environ: Mapping[str, str]
    lock_fd: int
    own_python: str = sys.executable
    wheels: Path = Path("/usr/share/python-wheels")  # Debian's


@dataclass(frozen=True, kw_only=True)
class Said:
    """How a program ended.

    Attributes:
        exit_code: as of a shell; 127 when it could not be started.
        output: the last lines of what it printed.
    """

    exit_code: int
    output: str


def install(task: Task) -> str:
    """Install with uv where it is, else with pip; return which it was. Raises EnvironmentFailed.

    uv's verdict on the requirements counts. When it cannot be used, for a reason that does not lie in them, pip has
    its turn.
    """
    uv = find_uv(task.environ, task.below.python)
    if uv is not None and pip_alone_knows_the_index(task.environ, task.below.python):
        tell("pip has been told of a package index and uv has not: pip it is")
        uv = None
    if uv is not None and _install_with_uv(uv, task):
        return "uv"
    _install_with_pip(task)
    return "pip"


def find_uv(environ: Mapping[str, str], python: str) -> str | None:
    """Return the path of uv: on PATH, beside the interpreter, or where its installer puts it."""
    home = environ.get("HOME", "")
    places = [environ.get("PATH", os.defpath), os.path.dirname(python)]
    places += [f"{home}/.local/bin", f"{home}/.cargo/bin"] if home else []
    return shutil.which("uv", path=os.pathsep.join(places))


def pip_alone_knows_the_index(environ: Mapping[str, str], python: str) -> bool:
    """Tell whether the user has said where packages come from, and has said it to pip only.

    uv reads neither pip's variables nor its files, and would ask the public index for what a private one has.
    """
    if any(name.startswith(("UV_INDEX", "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX", "UV_FIND_LINKS")) for name in environ):
        return False
    if _uv_files_tell(environ):
        return False
    names = {f"PIP_{place.replace('-', '_').upper()}" for place in _PLACES}
    return any(environ.get(name) for name in names) or any(map(_file_tells, _pip_files(environ, python)))


def resolver_words(output: str) -> str:
    """Return what an installer said that went wrong, from its output, on one line."""
    lines = [line for line in output.splitlines() if not line.startswith(("[notice]", "WARNING:", "warning:"))]
    start = next((n for n, line in enumerate(lines) if re.match(r"\s*(ERROR:|error:|×)", line)), max(0, len(lines) - 5))
    told = [line for line in lines[start:] if "for help visit" not in line]
    words = " ".join(re.sub(r"[×╰─▶│├]+", " ", " ".join(told)).split())
    return words if len(words) <= _REASON_CHARS else f"{words[:_REASON_CHARS]}…"


def run(command: Sequence[str], task: Task) -> Said:
    """Run a program, printing what it prints; it ends with this process when that is told to end."""
    kept: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        process = subprocess.Popen(
            command,
            cwd=task.directory,
            env=_environ(task),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            process_group=0,
            pass_fds=(task.lock_fd,),
        )
    except OSError as error:
        return Said(exit_code=127, output=f"error: {command[0]}: {error.strerror}")
    with _ended_with_us(process.pid), process:
        for line in process.stdout or ():
            kept.append(line)
            sys.stdout.write(line)
            sys.stdout.flush()
    return Said(exit_code=process.returncode, output="".join(kept))


def tell(text: str) -> None:
    """Print a line of ours into the job's log."""
    print(f"qjob: {text}", flush=True)


def pip_command(task: Task) -> list[str] | None:
    """Return how to run pip on an environment: the pip below it, this program's own, or one that came with Python."""
    if "pip" in distributions(task.below.paths):
        return [task.python, "-m", "pip"]
    if _runs([task.own_python, "-c", _HAS_PIP]):
        return [task.own_python, "-m", "pip", "--python", task.python]
    wheels = [*Path(task.below.stdlib, "ensurepip", "_bundled").glob("pip-*.whl"), *task.wheels.glob("pip-*.whl")]
    return [task.python, f"{wheels[0]}/pip"] if wheels else None


def _install_with_uv(uv: str, task: Task) -> bool:
    """Return whether uv has done it; False when pip is to try. Raises EnvironmentFailed for what uv is sure of."""
    install_command = [uv, "pip", "install", "--python", task.python, "--requirements", REQUIREMENTS]
    with _stubs(task):
        said = run(install_command, task)
        if said.exit_code and _was_the_network(said):
            tell("no index can be reached: trying with what uv has kept")
            offline = run([*install_command, "--offline"], task)
            said = said if offline.exit_code else offline
    if said.exit_code == 0:
        return True
    if said.exit_code == 1 or _was_the_network(said):
        raise _failure(said)
    tell("uv could not do it: trying pip")
    return False


def _was_the_network(said: Said) -> bool:
    return said.exit_code == 2 and ("Failed to fetch" in said.output or "Request failed after" in said.output)


def _install_with_pip(task: Task) -> None:
    pip = pip_command(task)
    if pip is None:
        raise EnvironmentFailed(
            f"The requirements cannot be installed: neither uv nor pip is there for {task.below.python}. Install uv "
            f"(https://docs.astral.sh/uv), or pip with '{task.below.python} -m ensurepip'."
        )
    said = run([*pip, "install", "--requirement", REQUIREMENTS], task)
    if said.exit_code:
        raise _failure(said)


def _failure(said: Said) -> EnvironmentFailed:
    words = resolver_words(said.output)
    reason = f"The requirements cannot be installed: {words}"
    return EnvironmentFailed(reason, said.output if words.endswith("…") else "")


def _runs(command: Sequence[str]) -> bool:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def _environ(task: Task) -> dict[str, str]:
    kept = {name: value for name, value in task.environ.items() if name not in _NOT_FOR_AN_INSTALLER}
    return kept | _QUIET


@contextlib.contextmanager
def _stubs(task: Task) -> Iterator[None]:
    """Let uv see the packages of the environment below, for which it looks in the new one only.

    For each a metadata folder is there while uv runs. What it does not replace is taken away again. The
    list of files in it (RECORD) names nothing but the stub's own, so that an upgrade removes no other.
    """
    for below in distributions(task.below.paths).values():
        _write_stub(below.folder, task.site_packages)
    try:
        yield
    finally:
        for installer in task.site_packages.glob("*.dist-info/INSTALLER"):
            if installer.read_text().strip() == _STUB:
                shutil.rmtree(installer.parent)


def _write_stub(below: Path, site_packages: Path) -> None:
    metadata = next((file for name in ("METADATA", "PKG-INFO") if (file := below / name).is_file()), None)
    if metadata is None:
        return
    stub = site_packages / _stub_name(metadata.read_text(encoding="utf-8", errors="replace"))
    stub.mkdir(exist_ok=True)
    shutil.copyfile(metadata, stub / "METADATA")
    (stub / "INSTALLER").write_text(_STUB)
    names = ["METADATA", "INSTALLER", "RECORD"]
    if (below / "direct_url.json").is_file():
        shutil.copyfile(below / "direct_url.json", stub / "direct_url.json")
        names.append("direct_url.json")
    (stub / "RECORD").write_text("".join(f"{stub.name}/{name},,\n" for name in names))


def _stub_name(metadata: str) -> str:
    """Return the name of the folder by what is in it: older installers wrote other names."""
    found = dict(re.findall(r"^(Name|Version):\s*(\S+)", metadata, re.MULTILINE)[:2])
    return (
        f"{normalised(found.get('Name', '')).replace('-', '_')}-{found.get('Version', '0').replace('-', '_')}.dist-info"
    )


@contextlib.contextmanager
def _ended_with_us(group: int) -> Iterator[None]:
    def end(number: int, _: FrameType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _pip_files(environ: Mapping[str, str], python: str) -> list[Path]:
    """Return pip's configuration files, https://pip.pypa.io/en/stable/topics/configuration/."""
    if environ.get("PIP_CONFIG_FILE"):
        return [Path(environ["PIP_CONFIG_FILE"])]
    home = Path(environ.get("HOME", "/"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = [Path(each, "pip", "pip.conf") for each in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")]
    mac = home / "Library" / "Application Support" / "pip" / "pip.conf"
    own = [home / ".pip" / "pip.conf", config / "pip" / "pip.conf", mac]
    return [*shared, Path("/etc/pip.conf"), *own, Path(python).parents[1] / "pip.conf"]


def _file_tells(path: Path) -> bool:
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        return False
    return any(parser.has_option(section, place) for section in parser.sections() for place in _PLACES)


def _uv_files_tell(environ: Mapping[str, str]) -> bool:
    config = environ.get("XDG_CONFIG_HOME") or f"{environ.get('HOME', '')}/.config"
    for path in (Path(environ.get("UV_CONFIG_FILE") or f"{config}/uv/uv.toml"), Path("/etc/uv/uv.toml")):
        with contextlib.suppress(OSError):
            if re.search(r"index|find-links", path.read_text(errors="replace")):
                return True
    return False
