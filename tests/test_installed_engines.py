"""Engines that installed packages bring: found by their entry points, never in the way of ours or of other jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qjob.app import ENGINES, ENTRY_POINTS, EngineCatalogue
from qjob.config import Settings
from qjob.errors import EngineUnavailable, InvalidInput

PLAYED = "from qjob.testing import FakeEngine\n\n\ndef make(settings):\n    return FakeEngine()\n"
MODULE = "qjob_brought_by_a_test"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty directory of installed packages, on the path of this process."""
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(path)
    yield path
    sys.modules.pop(MODULE, None)


@pytest.fixture
def engines(settings: Settings) -> EngineCatalogue:
    """The engines of a state directory."""
    return EngineCatalogue(settings)


def install(site: Path, engine: str, text: str | None, value: str = f"{MODULE}:make") -> None:
    """Install a package as pip does: its module, and beside it what is known of it."""
    about = site / f"qjob_{engine}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: qjob-{engine}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{engine} = {value}\n")
    if text is not None:
        (site / f"{MODULE}.py").write_text(text)


def test_an_engine_that_is_installed_is_one_of_all(site: Path, engines: EngineCatalogue) -> None:
    install(site, "played", PLAYED)
    assert engines.names() == sorted({*ENGINES, "played"})
    assert MODULE not in sys.modules
    assert engines("played") is engines("played")
    assert engines("played").name == "fake"


def test_it_is_handed_the_settings(site: Path, engines: EngineCatalogue, settings: Settings) -> None:
    install(site, "played", "def make(settings):\n    return settings\n")
    handed: object = engines("played")
    assert handed is settings


def test_ours_win(site: Path, engines: EngineCatalogue) -> None:
    for name in ENGINES:
        install(site, name, PLAYED)
    assert engines.names() == sorted(ENGINES)
    assert engines("local").name == "local"
    assert MODULE not in sys.modules


def test_those_that_there_are_are_named_with_the_installed_ones(site: Path, engines: EngineCatalogue) -> None:
    install(site, "played", PLAYED)
    with pytest.raises(InvalidInput, match=f"there are {', '.join(sorted({*ENGINES, 'played'}))}"):
        engines("plaid")


@pytest.mark.parametrize(
    ("text", "value", "said"),
    [
        ("import no_such_module", f"{MODULE}:make", "ModuleNotFoundError: No module named 'no_such_module'"),
        (None, f"{MODULE}:make", f"ModuleNotFoundError: No module named '{MODULE}'"),
        ("", f"{MODULE}:make", "AttributeError: "),
        ("def make(", f"{MODULE}:make", "SyntaxError: "),
        ("1 / 0", f"{MODULE}:make", "ZeroDivisionError: "),
        (PLAYED, f"{MODULE} make", "AttributeError: "),
        ("make = 1", f"{MODULE}:make", "TypeError: "),
        ("def make(settings):\n    return settings['home']", f"{MODULE}:make", "TypeError: "),
    ],
)
def test_a_broken_package_is_named_with_the_remedy(
    site: Path, engines: EngineCatalogue, text: str | None, value: str, said: str
) -> None:
    install(site, "played", text, value)
    assert "played" in engines.names()
    with pytest.raises(InvalidInput) as refusal:
        engines("played")
    assert said in str(refusal.value)
    assert "engine 'played'" in str(refusal.value)
    assert str(refusal.value).endswith("pip uninstall qjob-played.")


def test_what_the_engine_itself_has_to_say_is_said(site: Path, engines: EngineCatalogue) -> None:
    text = "from qjob.errors import EngineUnavailable\n\n\ndef make(settings):\n    raise EngineUnavailable('no key')\n"
    install(site, "played", text)
    with pytest.raises(EngineUnavailable, match="no key"):
        engines("played")


def test_a_package_that_breaks_hides_no_job(site: Path, environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "job.py").touch()
    environment = environment | {"PYTHONPATH": str(site)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "qjob.cli", *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    install(site, "played", PLAYED)
    job = run("submit", "--engine", "played", "job.py").stdout.strip()
    assert os.path.isdir(Path(environment["QJOB_HOME"]) / "jobs" / job)
    install(site, "played", "import no_such_module")
    listed = run("ls")
    assert listed.returncode == 0, listed.stderr
    assert job in listed.stdout
    assert "qjob-played" in listed.stderr
    again = run("submit", "--engine", "played", "job.py")
    assert again.returncode == 2
    assert "pip uninstall qjob-played" in again.stderr
    assert "Traceback" not in again.stderr + listed.stderr
