"""What qjob is compared with is installed once, in an environment of its own; or a line says why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Module = Callable[[str], Any]


@pytest.fixture
def peer(module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, with an environment in which `pip` is a script that writes down what it is told."""
    peer = module("peer")
    peer.python_with.cache_clear()
    monkeypatch.setattr(peer, "ENVIRONMENT", tmp_path / ".venv-bench")  # the real one takes the network
    monkeypatch.delenv(peer.NO_PEERS, raising=False)
    return peer


def make_python(peer: Any, code: str) -> Path:
    python: Path = peer.ENVIRONMENT / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{code}\n")
    python.chmod(0o700)
    return python


def test_a_package_is_installed_once(peer: Any) -> None:
    told = peer.ENVIRONMENT / "told"
    python = make_python(peer, f"echo \"$@\" >> '{told}'")
    assert [peer.python_with("ray[default]"), peer.python_with("ray[default]")] == [str(python)] * 2
    peer.python_with.cache_clear()  # as in another run
    peer.python_with("ray[default]")
    assert told.read_text() == "-m pip install --quiet ray[default]\n"


def test_without_a_network_the_last_line_of_pip_is_the_reason(peer: Any) -> None:
    make_python(peer, "echo 'Retrying' >&2; echo 'ERROR: no route' >&2; exit 1")
    with pytest.raises(peer.PeerMissing, match=r"^pip cannot install submitit>=1.5: ERROR: no route$"):
        peer.python_with("submitit>=1.5")
    assert not list(peer.ENVIRONMENT.glob(".has-*"))


def test_nothing_is_installed_when_that_is_not_wanted(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(peer.NO_PEERS, "--no-peers was given")
    with pytest.raises(peer.PeerMissing, match=r"^--no-peers was given$"):
        peer.python_with("submitit>=1.5")
    assert not peer.ENVIRONMENT.exists()


_ECHO = """
import json, sys
print(0, flush=True)
for line in sys.stdin:
    print(json.dumps([json.loads(line)]), flush=True)
"""


def test_a_program_is_asked_line_by_line(peer: Any) -> None:
    with peer.program([sys.executable, "-c", _ECHO]) as running:
        assert running.ask({"a": "ü\n"}) == [{"a": "ü\n"}]
        assert running.ask(2) == [2]


def test_a_program_that_ends_early_is_a_peer_that_is_missing(peer: Any) -> None:
    with pytest.raises(peer.PeerMissing, match="its output says why"), peer.program([sys.executable, "-c", "pass"]):
        pass
