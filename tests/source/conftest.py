"""What the tests of `qjob.source` share."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

NASTY_NAMES = ["a'; echo foo", "line\nbreak", "\udcff\udcfe", "Schrödinger ψ", " space ", "$HOME", "a%20b#c?d", "-rf"]
NOBODY = 65534
T = TypeVar("T")


@pytest.fixture(params=NASTY_NAMES, ids=ascii)
def nasty_name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A name that a file may have, without a '.' in it."""
    name = str(request.param)
    try:
        (tmp_path / name).touch()
    except OSError as error:  # macOS takes no bytes that are not UTF-8
        pytest.skip(f"this file system does not take the name: {error}")
    (tmp_path / name).unlink()
    return name


@pytest.fixture
def within() -> Callable[..., Any]:
    """Call a function and return what it returns; fail when it takes longer than some seconds."""

    def call(seconds: float, function: Callable[..., T], *arguments: object) -> T:
        outcome: list[Callable[[], T]] = []

        def run() -> None:
            try:
                value = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is looked for
                outcome.append(lambda error=error: _raise(error))  # type: ignore[misc]
            else:
                outcome.append(lambda: value)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(seconds)
        assert outcome, f"{function} took longer than {seconds} s"
        return outcome[0]()

    return call


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter; pytest's own is closed to all but its owner."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


@pytest.fixture
def without_privileges(open_folder: Path) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """A context in which this process is not root, who may read everything."""

    @contextlib.contextmanager
    def dropped() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        if not hasattr(os, "setresuid"):
            pytest.skip("root can read everything, and this system has no setresuid to be somebody else")
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            if not os.access(open_folder, os.X_OK):
                pytest.skip(f"nobody but root can enter {open_folder}")
            yield
        finally:
            os.setresuid(0, 0, 0)

    return dropped


def _raise(error: BaseException) -> Any:
    raise error
