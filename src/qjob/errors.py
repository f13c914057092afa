"""Every exception of qjob.

::

    QjobError
    ├── InvalidInput            (ValueError)    what was asked cannot be; nothing was started
    │   └── CannotBePickled     (RuntimeError)  a decorated function or an argument of its call cannot
    ├── SettingsError           (ValueError)    a setting has a value that it cannot have
    ├── HomeError                               $QJOB_HOME cannot be used
    ├── JobNotFound             (LookupError)   no job goes by that id, name or ARN
    ├── AmbiguousJob            (LookupError)   an id prefix fits more than one job
    ├── JobStateError                           the job's state does not allow it (cancel after the end)
    ├── JobFailed               (RuntimeError)  the job ended FAILED
    ├── JobCancelled            (RuntimeError)  the job ended CANCELLED
    ├── ResultTimeout           (TimeoutError)  the job had not ended when the time to wait was over
    ├── ResultError             (RuntimeError)  the job ended well, its results cannot be read
    │   └── DamagedResult                       because their file is damaged
    ├── EnvironmentFailed                       a job's requirements cannot be installed
    ├── FolderError                             a file of a job's folder is missing or cannot be read
    ├── StoreError                              the index cannot be used
    │   ├── StoreCorrupt                        it is damaged: ``qjob reindex`` rebuilds it
    │   ├── StoreMissing                        it is gone, job folders are there: ``qjob reindex``
    │   └── StoreTooNew                         a newer qjob wrote it
    ├── DeviceLost              (RuntimeError)  in a job: the device was given to another one
    ├── EngineError
    │   ├── SubmitError                         never: nothing was started, and will not be
    │   └── EngineUnavailable                   later: the engine cannot be reached now
    └── MissingExtra            (ImportError)   an optional dependency is not installed

The classes with a built-in base can be caught by it, so that code written for Braket's promises
(``RuntimeError`` from ``result()``, ``TimeoutError`` after the timeout) needs no change.
"""

from __future__ import annotations

from collections.abc import Iterable


class QjobError(Exception):
    """Base of everything that qjob raises on purpose."""


class InvalidInput(QjobError, ValueError):
    """What was asked cannot be done as asked; nothing was started and nothing was left behind.

    Attributes:
        problems: one sentence each, naming the value, the rule and the remedy. All of them at once.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        super().__init__("\n".join(self.problems))


class CannotBePickled(InvalidInput, RuntimeError):
    """A function or an argument cannot go along into a job; a RuntimeError, as published."""


class SettingsError(QjobError, ValueError):
    """A setting is unknown, or its value is of the wrong kind."""


class HomeError(QjobError):
    """The state directory cannot be created, read or written, or lies where it must not lie."""


class JobNotFound(QjobError, LookupError):
    """No job on record goes by that id, id prefix, name or ARN."""


class AmbiguousJob(QjobError, LookupError):
    """An id prefix fits several jobs."""


class JobStateError(QjobError):
    """The job is in a state that does not allow the operation; the message names the state."""


class JobFailed(QjobError, RuntimeError):
    """The job ended FAILED; the message has the reason and the end of the user's traceback."""


class JobCancelled(QjobError, RuntimeError):
    """The job ended CANCELLED."""


class ResultTimeout(QjobError, TimeoutError):
    """The job had not ended when the time to wait for it was over."""


class ResultError(QjobError, RuntimeError):
    """The job's results are there but cannot be read as asked."""


class DamagedResult(ResultError):
    """A file of results or a checkpoint is not what was written; an earlier one may be."""


class EnvironmentFailed(QjobError):
    """An environment cannot be made; it becomes the job's failure, and is raised to no caller of qjob.

    Attributes:
        reason: in a sentence, with the installer's own words.
        output: the end of what the installer printed, where the reason has not all of what matters.
    """

    def __init__(self, reason: str, output: str = "") -> None:
        self.reason = reason
        self.output = output
        super().__init__(reason)


class FolderError(QjobError):
    """A file of a job's folder is missing, damaged or cannot be written."""


class StoreError(QjobError):
    """The index of all jobs cannot be used."""


class StoreCorrupt(StoreError):
    """The index file is damaged; the job folders are not touched by that."""


class StoreMissing(StoreError):
    """There are job folders, but no index over them."""


class StoreTooNew(StoreError):
    """The index was written by a newer version of qjob."""


class DeviceLost(QjobError, RuntimeError):
    """The scheduler has given this job's device to another one: no task may be sent any more."""


class EngineError(QjobError):
    """An engine could not do what was asked of it."""


class SubmitError(EngineError):
    """The engine refused the job: nothing was started, and nothing will be."""


class EngineUnavailable(EngineError):
    """The engine cannot be reached now; the same call may go through later."""


class MissingExtra(QjobError, ImportError):
    """An optional dependency is not installed; the message says which command installs it."""
