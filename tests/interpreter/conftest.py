"""Real environments without a network: wheels written by hand, an interpreter to build on, and its installers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from qjob.interpreter.launch import Launch, command


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """A folder of wheels; each has one module that knows its version, and a program of its name."""

    folder: Path

    def make(self, name: str, version: str, *requires: str) -> Path:
        """Write a wheel; return it."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}.py": f"version = {version!r}\n\ndef main():\n    print(__name__, version)\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {each}\n" for each in requires),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name}-says = {name}:main\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        wheel = self.folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return wheel


@dataclass(frozen=True, kw_only=True)
class Started:
    """An instance that was started as the runner starts one."""

    process: subprocess.Popen[bytes]
    log: Path
    report_fd: int
    was_ready: bool

    def finished(self) -> Finished:
        """Wait for its end."""
        self.process.wait(timeout=60)
        with os.fdopen(self.report_fd, encoding="utf-8") as report:
            _, _, told = report.read().partition("\0")
        reason, _, trace = told.partition("\0")
        return Finished(
            exit_code=self.process.returncode,
            output=self.log.read_text(),
            reason=reason,
            trace=trace,
            was_ready=self.was_ready,
        )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What became of an instance."""

    exit_code: int
    output: str
    reason: str
    trace: str
    was_ready: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """A job's files and an interpreter, all below a folder with a nasty name."""

    path: Path
    python: Path
    wheels: Wheels
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        """The root of the job's code."""
        return self.path / "source" / "my code"

    @property
    def environments(self) -> Path:
        """Where environments are kept."""
        return self.path / "environments"

    def put_below(self, wheel: Path) -> None:
        """Install a wheel into the interpreter below."""
        site_packages = next((self.python.parents[1] / "lib").glob("python*/site-packages"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site_packages)

    def start(self, requirements: str, code: str = "", *, find_links: bool = True, **environ: str) -> Started:
        """Start an instance that runs ``code``; what is installed comes from the wheels."""
        file = self.path / "requirements.txt"
        file.write_text((f"--no-index\n--find-links {self.wheels.folder}\n" if find_links else "") + requirements)
        read_fd, write_fd = os.pipe()
        os.set_inheritable(write_fd, True)
        launch = Launch(
            python=str(self.python),
            arguments=["-P", "-c", code],
            requirements=file,
            source=self.source,
            environments=self.environments,
            report_fd=write_fd,
            environ=self.environ | environ,
        )
        what = command(launch)
        log = self.path / f"{write_fd}-{len(os.listdir(self.path))}.log"
        with log.open("wb") as file_of_log:
            process = subprocess.Popen(
                what.argv,
                env=what.environ,
                cwd=self.source.parent,
                stdout=file_of_log,
                stderr=subprocess.STDOUT,
                close_fds=False,
            )
        for fd in (write_fd, what.held_fd):
            if fd is not None:
                os.close(fd)
        return Started(process=process, log=log, report_fd=read_fd, was_ready=what.held_fd is not None)

    def run(self, requirements: str, code: str = "", *, find_links: bool = True, **environ: str) -> Finished:
        """Run an instance to its end."""
        return self.start(requirements, code, find_links=find_links, **environ).finished()


@pytest.fixture
def wheels(tmp_path: Path) -> Wheels:
    """An empty folder for wheels."""
    folder = tmp_path / "whéels of mine"
    folder.mkdir()
    return Wheels(folder=folder)


@pytest.fixture(scope="session")
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment without anything, not even pip; to be copied."""
    path = tmp_path_factory.mktemp("venv") / "v"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
    return path


@pytest.fixture
def place(tmp_path: Path, wheels: Wheels, empty_venv: Path) -> Place:
    """A place without any installer on its PATH; pip is there nevertheless, that of the tests' interpreter."""
    path = tmp_path / "it's; a pläce"  # no \", which the programs that pip writes do not bear
    shutil.copytree(empty_venv, path / "below", symlinks=True)
    (path / "source" / "my code").mkdir(parents=True)
    (path / "bin").mkdir()
    environ = {
        "PATH": f"{path / 'bin'}:/usr/bin:/bin",
        "HOME": str(path),
        "LC_ALL": "C.UTF-8",
        "PIP_CONFIG_FILE": os.devnull,
        "UV_CACHE_DIR": str(tmp_path / "uv cache"),
    }
    return Place(path=path, python=path / "below" / "bin" / "python", wheels=wheels, environ=environ)


@pytest.fixture
def uv(place: Place) -> None:
    """Give the place uv, which is quick: for what does not depend on the installer."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert uv is not None, "uv is missing: pip install -e '.[dev]'"
    (place.path / "bin" / "uv").symlink_to(os.path.realpath(uv))


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest) -> str:
    """Which installer the place has; uv is a development dependency, so that both are always tried."""
    name: str = request.param
    if name == "uv":
        request.getfixturevalue("uv")
    return name


@pytest.fixture
def gated(place: Place) -> Callable[[], tuple[Path, Path]]:
    """Put a package into the source whose build says that it has begun, and waits to be let through."""

    def put() -> tuple[Path, Path]:
        begun, gate = place.path / "begun", place.path / "gate"
        os.mkfifo(gate)
        package = place.source / "gated pkg"
        package.mkdir()
        (package / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            '[project]\nname = "gated"\nversion = "1.0"\n'
        )
        wheel = place.wheels.make("gated", "1.0")
        (package / "backend.py").write_text(
            "import pathlib, shutil\n"
            "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
            f"    pathlib.Path({str(begun)!r}).touch()\n"
            f"    open({str(gate)!r}).read()\n"
            f"    return pathlib.Path(shutil.copy({str(wheel)!r}, directory)).name\n"
        )
        return begun, gate

    return put
