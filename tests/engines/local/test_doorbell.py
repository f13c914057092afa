"""Whoever can ring knows that somebody is at home."""

from __future__ import annotations

import os
import select
from pathlib import Path

import pytest

from qjob.engines.local.doorbell import Doorbell, silence


@pytest.fixture
def doorbell(tmp_path: Path) -> Doorbell:
    return Doorbell(tmp_path / "door bell ü\n'")


def rings(bell: int) -> bool:
    poll = select.poll()
    poll.register(bell, select.POLLIN)
    return bool(poll.poll(0))


def test_nobody_hears_before_somebody_is_at_home(doorbell: Doorbell) -> None:
    assert not doorbell.ring()
    bell = doorbell.answer()
    assert not rings(bell)
    assert doorbell.ring()
    assert rings(bell)
    os.close(bell)
    assert not doorbell.ring()


def test_a_ring_is_kept_until_it_is_silenced(doorbell: Doorbell) -> None:
    bell = doorbell.answer()
    doorbell.ring()
    doorbell.ring()
    silence(bell)
    assert not rings(bell)
    silence(bell)
    assert doorbell.ring()
    assert rings(bell)
    os.close(bell)


def test_a_bell_that_nobody_silences_may_be_rung_for_ever(doorbell: Doorbell) -> None:
    bell = doorbell.answer()
    assert all(doorbell.ring() for _ in range(70_000))  # more than a pipe holds
    silence(bell)
    assert not rings(bell)
    os.close(bell)


def test_a_ringer_that_leaves_is_no_end(doorbell: Doorbell) -> None:
    bell = doorbell.answer()
    doorbell.ring()
    silence(bell)
    with pytest.raises(BlockingIOError):
        os.read(bell, 1)
    os.close(bell)


def test_the_next_one_at_home_hears_what_the_last_one_did_not(doorbell: Doorbell) -> None:
    first = doorbell.answer()
    second = doorbell.answer()
    doorbell.ring()
    os.close(first)
    assert rings(second)
    os.close(second)


def test_a_door_that_one_may_not_use_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"Not a directory|Is a directory"):
        Doorbell(tmp_path).ring()
