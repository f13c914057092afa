"""Why a job failed, in a sentence."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from qjob.runner.capture import LogCapture
from qjob.runner.instance import Instance
from qjob.runner.reasons import disk_reason, failure_reason, first_failure, kernel_oom_kills, time_limit_reason


def ended(code: int | None, reason: str = "", number: int = 0) -> Instance:
    capture = LogCapture.__new__(LogCapture)  # no pipe: only how it ended counts here
    return Instance(number=number, pid=1, capture=capture, report_fd=-1, exit_code=code, reason=reason)


@pytest.mark.parametrize(
    ("instance", "memory_ran_out", "said"),
    [
        (ended(1, "ValueError: x"), False, "AlgorithmError: ValueError: x, exit code: 1"),
        (ended(3), False, "The script ended with exit code 3 and gave no reason."),
        (ended(3), True, "The script ended with exit code 3 and gave no reason."),
        (ended(-signal.SIGKILL), False, "The script was killed by signal 9 (SIGKILL), which qjob did not send."),
        (ended(-signal.SIGKILL), True, "killed by the kernel because memory ran out (SIGKILL)"),
        (ended(-signal.SIGTERM), True, "The script was killed by signal 15 (SIGTERM), which qjob did not send."),
        (ended(-signal.SIGSEGV), True, "The script crashed in native code (signal 11, SIGSEGV)"),
        (ended(-signal.SIGABRT), False, "The script crashed in native code (signal 6, SIGABRT)"),
        (ended(-(signal.SIGRTMIN + 3)), False, "(a real-time signal)"),
    ],
)
def test_how_an_instance_failed(instance: Instance, memory_ran_out: bool, said: str) -> None:
    assert said in failure_reason(instance, 1, memory_ran_out)
    assert failure_reason(instance, 2, memory_ran_out).startswith("Instance 0: ")


def test_the_one_that_told_why_explains_the_failure() -> None:
    silent, told, well, running = ended(9), ended(1, "ValueError", 1), ended(0, number=2), ended(None, number=3)
    assert first_failure([silent, told, well, running]) is told
    assert first_failure([silent, well]) is silent
    assert first_failure([well, running]) is None
    assert first_failure([]) is None


def test_a_full_disk_is_called_by_its_name() -> None:
    full = disk_reason(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert full.startswith("The disk is full")
    assert "QJOB_HOME" in full
    quota = disk_reason(OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)))
    assert "quota" in quota.lower()
    assert "cannot be written" in disk_reason(OSError(errno.EIO, "Input/output error"))


def test_the_time_limit_is_named() -> None:
    assert "maxRuntimeInSeconds of 90 s" in time_limit_reason(90.0)


def test_the_kernels_count_is_a_number_wherever_we_are() -> None:
    assert kernel_oom_kills() >= 0
    assert isinstance(kernel_oom_kills(), int) or not Path("/proc/vmstat").exists()
