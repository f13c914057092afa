"""In a job: whether it still holds the device that takes one job at a time. Loads next to nothing.

A scheduler's own licence is no safe lease: after it has lost a node it gives the licence to the next job while the
old one may still run. So each job that gets such a device takes the next *fencing number* when it starts
(`qjob.runner.lease`), in the device's directory on the disk that all machines share, and asks before each task
whether a higher one was given. The idea is Martin Kleppmann's, "How to do distributed locking" (2016).
"""

from __future__ import annotations

import os

from qjob.errors import DeviceLost

TYPE_CHECKING = False  # type checkers take this name for true; importing it from typing would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

VARIABLE = "QJOB_DEVICE_LEASE"
"""In a job: ``<number> <directory of the device>`` of its lease, and not set where there is none."""
CURRENT = "current"
"""The file in a device's directory that has the newest number and the id of the job that holds it."""
_TASKS = ("run", "run_batch")


def check_device_lease() -> None:
    """Raise DeviceLost when somebody else has been given the device that this job has held; else do nothing.

    Objects from `qjob.runtime.get_device` ask before each task. Code that sends tasks in another way calls it itself.
    Without effect in a job that holds no device alone, and outside of jobs. Raises OSError when the device's
    directory cannot be read: then nothing is known, and no task should be sent.
    """
    told = os.environ.get(VARIABLE)
    if told is None:
        return
    number, _, directory = told.partition(" ")
    current, holder = read_current(directory)
    if current > int(number):
        raise DeviceLost(
            f"the device was given to job {holder} (lease {current}; this one has {number}): the scheduler takes this "
            "job for lost. No task is sent; what it saved is kept."
        )


def guarded(device: Any) -> Any:
    """Return a device's object so that it asks `check_device_lease` before each task that it sends."""
    if VARIABLE in os.environ:
        for name in _TASKS:
            if hasattr(device, name):
                setattr(device, name, _checked(getattr(device, name)))
    return device


def read_current(directory: str | os.PathLike[str]) -> tuple[int, str]:
    """Return the newest number and the id of the job that has it; 0 when nobody had the device yet.

    The file is opened anew each time: a network disk shows its newest content then. Raises OSError.
    """
    path = os.path.join(directory, CURRENT)
    try:
        with open(path, encoding="utf-8") as file:
            number, _, job = file.read().strip().partition(" ")
        return int(number), job
    except FileNotFoundError:
        return 0, ""
    except ValueError as error:
        raise OSError(f"{path} is damaged: it is to have the number and the job of the newest lease") from error


def _checked(send: Any) -> Any:
    def checked(*arguments: Any, **options: Any) -> Any:
        check_device_lease()
        return send(*arguments, **options)

    checked.__doc__ = send.__doc__
    return checked
