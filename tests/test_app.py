"""The one place that builds services: what it makes of settings, and which engines there are."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from qjob.app import ENGINES, EngineCatalogue, open_service, shared_service
from qjob.config import Settings
from qjob.errors import HomeError, InvalidInput
from qjob.store.store import Query


def test_a_service_over_a_new_state_directory_makes_it(settings: Settings) -> None:
    service = open_service(settings)
    assert service.find(Query()) == []
    assert settings.index_file.exists()
    assert stat.S_IMODE(settings.home.stat().st_mode) == 0o700


def test_a_state_directory_that_cannot_be_is_refused(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for use in (open_service, shared_service):
        with pytest.raises(HomeError):
            use(replace(settings, home=tmp_path / "file", index=tmp_path / "file"))


def test_the_same_settings_have_one_service(settings: Settings, tmp_path: Path) -> None:
    first = shared_service(settings)
    assert shared_service(replace(settings, sources={"slots": "flag"})) is first
    assert shared_service(replace(settings, slots=7)) is not first
    assert shared_service(replace(settings, home=tmp_path / "other", index=tmp_path / "other")) is not first
    assert shared_service(settings) is first


def test_by_default_a_service_is_that_of_the_settings_that_hold_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is tested is that the environment counts, each time anew.
    monkeypatch.setenv("QJOB_HOME", str(tmp_path / "a"))
    first = shared_service()
    monkeypatch.setenv("QJOB_HOME", str(tmp_path / "b"))
    assert shared_service() is not first
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]
    monkeypatch.setenv("QJOB_HOME", str(tmp_path / "a"))
    assert shared_service() is first


def test_an_engine_is_built_once_and_only_when_it_is_asked_for(settings: Settings) -> None:
    engines = EngineCatalogue(settings)
    assert not settings.local_state.exists()
    assert engines("local") is engines("local")
    assert engines("local").name == "local"
    assert engines is not EngineCatalogue(settings)


@pytest.mark.parametrize("name", ["nope", "", "Local", "../local"])
def test_an_engine_that_there_is_not_is_refused_with_those_that_there_are(settings: Settings, name: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        EngineCatalogue(settings)(name)
    assert str(refusal.value) == f"engine {name!r}: there are {', '.join(sorted(ENGINES))}."


def test_building_a_service_loads_no_engine(settings: Settings, environment: dict[str, str]) -> None:
    program = (
        "import sys\n"
        "from qjob.app import open_service\n"
        "open_service()\n"
        "print([name for name in sys.modules if name.startswith('qjob.engines')])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
