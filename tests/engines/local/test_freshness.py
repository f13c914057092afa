"""What has changed on the disk is seen, for every job that was submitted after it had."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from qjob.engines.local.freshness import Freshness, imported_paths

CHANGES: dict[str, Callable[[Path], object]] = {
    "longer": lambda file: file.write_text("longer"),
    "touched": lambda file: os.utime(file, ns=(1, 1)),
    "replaced": lambda file: file.with_name("new").rename(file),
    "removed": lambda file: file.unlink(),
    "one more": lambda file: file.with_name("other.py").touch(),
}
LONG_AGO_NS = 1


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "module.py").write_text("it")
    (tmp_path / "new").write_text("it")
    os.utime(tmp_path, ns=(1, 1))  # a change within one tick of the clock would leave the folder's time
    return tmp_path / "module.py"


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_for_a_job_that_was_submitted_after_it(file: Path, change: str) -> None:
    freshness = Freshness([str(file), str(file.parent)])
    assert not freshness.is_lost(time.time_ns())
    CHANGES[change](file)
    assert freshness.is_lost(time.time_ns())


def test_a_job_that_was_there_at_the_last_look_needs_no_other(file: Path) -> None:
    freshness = Freshness([str(file)])
    assert not freshness.is_lost(LONG_AGO_NS)
    file.unlink()
    assert not freshness.is_lost(LONG_AGO_NS)
    assert freshness.is_lost(time.time_ns())


def test_a_look_is_good_for_a_moment_only(file: Path) -> None:
    freshness = Freshness([str(file)])
    assert not freshness.is_lost(LONG_AGO_NS)
    file.unlink()
    end = time.monotonic() + 5
    while not freshness.is_lost(LONG_AGO_NS):
        assert time.monotonic() < end


def test_the_files_of_modules_and_the_folders_of_the_path_count() -> None:
    assert {pytest.__file__, *sys.path} <= imported_paths()
