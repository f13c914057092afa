"""How a runner ended, in words; and what it takes along."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from living import end_all, wait_until
from qjob.engines.local.supervised import Supervised, find_runner, start_runner
from qjob.folder import JobFolder
from qjob.runner.run import EXIT_FOLDER, EXIT_TAKEN
from qjob.testing import make_folder, make_spec


@pytest.mark.parametrize(
    ("code", "killed", "said"),
    [
        (None, True, "its runner was killed while nobody watched"),
        (-9, True, "its runner was killed by signal 9 (SIGKILL)"),
        (-40, True, "its runner was killed by signal 40"),
        (EXIT_FOLDER, False, "its folder could not be written to (is the disk full?)"),
        (EXIT_TAKEN, False, "its runner ended with exit code 75"),
        (1, False, "its runner ended with exit code 1"),
    ],
)
def test_how_a_runner_ended(code: int | None, killed: bool, said: str) -> None:
    runner = Supervised(job_id="a", pid=2**22 + 1, started=None, is_child=True, exit_code=code)
    assert runner.how_it_ended().startswith(said)
    assert runner.was_killed() == killed
    assert runner.lost_to_another() == (code == EXIT_TAKEN)
    runner.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[JobFolder]:
    yield make_folder(tmp_path / "jobs", make_spec("sleep"))
    end_all(tmp_path)


@pytest.mark.live
def test_a_runner_takes_along_nothing_but_stdio(folder: JobFolder, tmp_path: Path) -> None:
    with (tmp_path / "inherited").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        runner = start_runner(folder)
        wait_until(lambda: folder.log(0).exists() and folder.log(0).read_bytes())
        targets = [os.readlink(link) for link in Path(f"/proc/{runner.pid}/fd").iterdir()]
        assert file.name not in targets
        assert str(folder.events) in targets
        assert runner.started is not None
        assert not runner.has_ended()
        found = find_runner(folder)
        assert found is not None
        assert (found.pid, found.started, found.is_child) == (runner.pid, runner.started, False)
        os.kill(runner.pid, 9)
        wait_until(runner.has_ended)
        assert found.has_ended()
        assert runner.exit_code == -9
        assert find_runner(folder) is None
        runner.close()
        found.close()


@pytest.mark.live
def test_a_folder_in_which_nobody_is_at_work(folder: JobFolder) -> None:
    assert find_runner(folder) is None
    folder.events.touch()
    assert find_runner(folder) is None
