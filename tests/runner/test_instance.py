"""What an instance tells the runner about its end."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from qjob.runner.bootstrap import report
from qjob.runner.capture import LogCapture
from qjob.runner.instance import Instance

EXIT_1 = 1 << 8  # as waitpid gives it


@pytest.fixture
def told() -> Iterator[Callable[[bytes], Instance]]:
    """Make an instance to which something was told."""
    fds: list[int] = []

    def make(data: bytes) -> Instance:
        read_fd, write_fd = os.pipe()
        fds.extend([read_fd, write_fd])
        os.set_blocking(read_fd, False)
        os.write(write_fd, data)
        capture = LogCapture.__new__(LogCapture)  # no log: only what is told counts here
        return Instance(number=0, pid=1, capture=capture, report_fd=read_fd)

    yield make
    for fd in fds:
        os.close(fd)


def reported(reason: str, trace: str) -> bytes:
    """Return the bytes of a report."""
    read_fd, write_fd = os.pipe()
    report(write_fd, reason, trace)
    os.close(write_fd)
    with os.fdopen(read_fd, "rb") as pipe:
        return pipe.read()


@pytest.mark.parametrize(
    ("data", "reason", "traceback"),
    [
        (b"", "", ""),
        (b"noise that a script wrote to every descriptor", "", ""),
        (reported("why", "Traceback\n"), "why", "Traceback\n"),
        (b"noise" + reported("why", "Traceback\n"), "why", "Traceback\n"),
        (reported("ψ", "→\0→"), "ψ", "→\0→"),
        (reported("a\0b", ""), "a\\0b", ""),
        (reported("\ud800", "\udcff"), "\\ud800", "\\udcff"),
        (reported("why", "→")[:-1], "why", "\ufffd"),  # killed while it told
    ],
)
def test_the_end_takes_in_all_that_was_told(
    told: Callable[[bytes], Instance], data: bytes, reason: str, traceback: str
) -> None:
    instance = told(data)
    instance.ended(EXIT_1)
    assert (instance.exit_code, instance.reason, instance.traceback) == (1, reason, traceback)


def test_what_is_heard_before_the_end_counts_as_well(told: Callable[[bytes], Instance]) -> None:
    instance = told(reported("why", "Traceback\n"))
    assert instance.hear()
    instance.ended(EXIT_1)
    assert (instance.reason, instance.traceback) == ("why", "Traceback\n")


def test_a_report_has_its_limits() -> None:
    data = reported("r" * 10**6, "head" + "t" * 10**6 + "tail")
    _, reason, trace = data.decode().split("\0")
    assert reason == "r" * 2000
    assert trace.startswith("head")
    assert trace.endswith("tail")
    assert len(trace) < 16_100


def test_a_report_that_nobody_can_hear_is_no_error() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    report(write_fd, "why", "")
    os.close(write_fd)
    report(write_fd, "why", "")
