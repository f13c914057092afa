"""What the local engine takes and what it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qjob.engine import Presence
from qjob.engines.local.engine import LocalEngine
from qjob.errors import EngineUnavailable
from qjob.model.spec import InputChannel
from qjob.testing import make_folder, make_spec


@pytest.fixture
def engine(tmp_path: Path) -> LocalEngine:
    """An engine that was never used: nothing is on the disk yet."""
    return LocalEngine(tmp_path / "local", tmp_path / "jobs", slots=2)


@pytest.mark.parametrize("slots", [1, 2, 1000])
def test_any_number_of_slots_may_be_asked_for(engine: LocalEngine, slots: int) -> None:
    assert engine.check(make_spec(options={"slots": slots})) == []


@pytest.mark.parametrize("slots", [0, -1, 1.5, "2", True, None, 2**63])
def test_what_is_no_number_of_slots_is_told(engine: LocalEngine, slots: Any) -> None:
    [problem] = engine.check(make_spec(options={"slots": slots}))
    assert problem.startswith(f"option slots={slots!r}: a whole number from 1 ")


def test_all_problems_are_told_at_once(engine: LocalEngine, tmp_path: Path) -> None:
    channel = InputChannel(name="data", uri="s3://bucket/key")
    problems = engine.check(make_spec(options={"slots": 0, "gpus": 1}, inputs=(channel,)))
    assert len(problems) == 3
    assert not (tmp_path / "local").exists(), "a check leaves nothing behind"


def test_a_job_of_another_machine_is_not_known_here(engine: LocalEngine) -> None:
    seen = engine.observe(["elsewhere/0123"])["elsewhere/0123"]
    assert (seen.presence, seen.message) == (Presence.UNKNOWN, "it runs on elsewhere")
    with pytest.raises(EngineUnavailable, match="runs on elsewhere: cancel it there"):
        engine.cancel(["elsewhere/0123"])


def test_a_queue_without_room_is_later_for_a_job_that_has_begun(tmp_path: Path) -> None:
    """An earlier submit went through and nobody noted it; "never" would be untrue."""
    (tmp_path / "local").write_text("in the way")
    engine = LocalEngine(tmp_path / "local", tmp_path / "jobs", slots=2)
    folder = make_folder(tmp_path / "jobs", make_spec())
    folder.events.touch()
    with pytest.raises(EngineUnavailable, match=r"queue\.db cannot be used"):
        engine.submit([(folder, folder.read_spec())])
