"""Why a job failed, in a sentence that a physicist understands. Pure but for the kernel's OOM counter."""

from __future__ import annotations

import errno
import signal
from collections.abc import Sequence
from pathlib import Path

from qjob.runner.instances import Ended

SCHEDULER_LIMIT_REASON = (
    "The scheduler's time limit was near, so the job was ended; its results and checkpoints so far are kept."
)
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


def first_failure(instances: Sequence[Ended]) -> Ended | None:
    """Return the instance whose failure explains the job's: one that told why, before one that did not."""
    failed = [instance for instance in instances if instance.exit_code]
    return min(failed, key=lambda instance: not instance.reason, default=None)


def failure_reason(instance: Ended, instances: int, memory_ran_out: bool) -> str:
    """Return why the instance failed; with its number where there are several."""
    reason = _reason(instance, memory_ran_out)
    return reason if instances == 1 else f"Instance {instance.number}: {reason}"


def disk_reason(error: OSError) -> str:
    """Return why the job was ended when its folder could not be written to."""
    if error.errno == errno.ENOSPC:
        return (
            f"The disk is full ({error.strerror}): the job's log cannot be kept, so the job was ended. "
            "Make room, or set QJOB_HOME to a larger disk."
        )
    return f"The job's log cannot be written: {error}"


def time_limit_reason(limit_s: float) -> str:
    """Return why the job was ended at its time limit."""
    return (
        f"The job ran longer than its maxRuntimeInSeconds of {limit_s:g} s and was ended; "
        "its results and checkpoints so far are kept."
    )


def kernel_oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since it started."""
    try:
        text = Path("/proc/vmstat").read_bytes()
    except OSError:
        return 0
    count = text.partition(b"\noom_kill ")[2].partition(b"\n")[0]
    return int(count or 0)


def _reason(instance: Ended, memory_ran_out: bool) -> str:
    code = instance.exit_code or 0
    if code < 0:
        return _signal_reason(-code, memory_ran_out)
    if instance.reason:
        # The form that Braket's service gives a script's own failure.
        return f"AlgorithmError: {instance.reason}, exit code: {code}"
    return f"The script ended with exit code {code} and gave no reason."


def _signal_reason(number: int, memory_ran_out: bool) -> str:
    name = _signal_name(number)
    if number == signal.SIGKILL and memory_ran_out:
        return (
            f"The script was killed by the kernel because memory ran out ({name}): "
            "it needed more than this machine has."
        )
    if number in _CRASHES:
        return (
            f"The script crashed in native code (signal {number}, {name}); "
            "the log ends with the Python stack at that moment."
        )
    return f"The script was killed by signal {number} ({name}), which qjob did not send."


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "a real-time signal"
