"""``python=``: a path, or a version found on this machine, checked by running it once."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from qjob.errors import InvalidInput

OLDEST = (3, 11)
"""What a job's first lines need: the interpreter's option ``-P``."""

_TIMEOUT_S = 20.0
_VERSION = re.compile(r"(?:python)?(\d+(?:\.\d+){0,2})")
_ASK = "import sys; sys.stdout.write('\\n%s\\n%s' % (sys.executable, '.'.join(map(str, sys.version_info[:3]))))"
_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class _Answer:
    """What an interpreter said of itself.

    Attributes:
        path: where it lies; within a virtual environment, that environment's.
        version: as three numbers; empty when it did not answer.
        problem: why it did not.
    """

    path: Path
    version: tuple[int, ...] = ()
    problem: str = ""

    @property
    def is_new_enough(self) -> bool:
        """Whether a job can run on it."""
        return self.version[:2] >= OLDEST

    def __str__(self) -> str:
        return f"{'.'.join(map(str, self.version))} ({self.path})"


def find_interpreter(wanted: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Path:
    """Return the absolute path of the interpreter that is wanted, after running it once.

    A path is a program or the folder of a virtual environment, and is kept as it is: its symbolic links are
    what makes it that environment's. A version (``3.12``, ``3.12.4``, ``python3.12``) is looked for as the running
    interpreter, on PATH, and among those that pyenv and uv have installed. Raises InvalidInput.
    """
    variables = os.environ if environ is None else environ
    given: object = wanted
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise InvalidInput(f"python={wanted!r}: a path or a version is expected, as in '3.12'.")
    text = os.fsdecode(wanted)
    version = _VERSION.fullmatch(text) if isinstance(wanted, str) else None
    if version is not None:
        return _of_version(text, tuple(map(int, version[1].split("."))), variables)
    return _of_path(text, variables)


def _of_path(text: str, variables: Mapping[str, str]) -> Path:
    path = Path(_program(text, variables))
    answer = _asked(path)
    if answer.problem:
        raise InvalidInput(f"python={text!r}: {answer.problem}; name a Python program or a virtual environment.")
    if not answer.is_new_enough:
        raise InvalidInput(f"python={text!r} is Python {answer}; a job needs {_oldest()} or newer.")
    # A word is looked up on PATH once; what answers there may be a launcher that goes by the working directory.
    return path if os.sep in text else answer.path


def _program(text: str, variables: Mapping[str, str]) -> str:
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.isdir(path):
        return os.path.join(path, "bin", "python")
    if os.sep not in text and not os.path.exists(path):
        return shutil.which(text, path=variables.get("PATH")) or path
    return path


def _of_version(text: str, version: tuple[int, ...], variables: Mapping[str, str]) -> Path:
    if version[:2] < OLDEST[: len(version)]:
        raise InvalidInput(f"python={text!r}: a job needs Python {_oldest()} or newer.")
    if sys.version_info[: len(version)] == version:
        return Path(sys.executable)
    for path in _unique(_places(version, variables)):
        answer = _asked(path)
        if answer.version[: len(version)] == version and answer.is_new_enough:
            return answer.path
    raise InvalidInput(f"python={text!r}: no such interpreter was found. {_what_there_is(variables)}")


def _places(version: tuple[int, ...], variables: Mapping[str, str]) -> Iterator[Path]:
    """Yield where a version may lie, in the order of preference; an empty version means any."""
    minor = ".".join(map(str, version[:2])) if len(version) > 1 else f"{version[0] if version else 3}.*"
    exact = ".".join(map(str, version)) or "3"
    for directory in variables.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(directory):
            yield from _newest(Path(directory), f"python{minor}")
            yield from (Path(directory, name) for name in ("python3", "python"))
    home = Path(variables.get("HOME") or os.path.expanduser("~"))
    data = Path(variables.get("XDG_DATA_HOME") or home / ".local" / "share")
    pyenv = Path(variables.get("PYENV_ROOT") or home / ".pyenv") / "versions"
    uv = Path(variables.get("UV_PYTHON_INSTALL_DIR") or data / "uv" / "python")
    yield from (each / "bin" / "python3" for each in _newest(pyenv, f"{exact}*"))
    yield from (each / "bin" / "python3" for each in _newest(uv, f"cpython-{exact}*"))
    yield from _newest(Path("/Library/Frameworks/Python.framework/Versions"), f"{minor}/bin/python3")


def _newest(directory: Path, pattern: str) -> list[Path]:
    found = [path for path in directory.glob(pattern) if not path.name.endswith("-config")]
    return sorted(found, key=lambda path: [int(number) for number in re.findall(r"\d+", path.name)], reverse=True)


def _unique(paths: Iterable[Path]) -> Iterator[Path]:
    seen = set()
    for path in paths:
        if path not in seen and os.access(path, os.X_OK) and path.is_file():
            seen.add(path)
            yield path


def _asked(path: Path) -> _Answer:
    try:
        done = subprocess.run(
            [path, "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
            encoding="utf-8",
            errors="surrogateescape",
        )
    except OSError as error:
        return _Answer(path=path, problem=f"{path} cannot be started ({error.strerror or error})")
    except subprocess.TimeoutExpired:
        return _Answer(path=path, problem=f"{path} did not say its version within {_TIMEOUT_S:g} s")
    *_, executable, version = ["", "", *done.stdout.splitlines()]
    if done.returncode or not re.fullmatch(r"\d+\.\d+\.\d+", version):
        said = f": {done.stderr.strip().splitlines()[-1]}" if done.stderr.strip() else ""
        return _Answer(path=path, problem=f"{path} is no Python{said}")
    return _Answer(path=Path(executable or path), version=tuple(map(int, version.split("."))))


def _what_there_is(variables: Mapping[str, str]) -> str:
    paths = _unique([Path(sys.executable), *_places((), variables)])
    answers = {answer.version: answer for answer in map(_asked, paths) if answer.is_new_enough}
    found = sorted(answers.values(), key=lambda answer: answer.version, reverse=True)[:_SHOWN]
    return f"There are {', '.join(map(str, found))}; name one of them, or a path."


def _oldest() -> str:
    return ".".join(map(str, OLDEST))
