"""`hybrid_job`: a decorator that makes a job of a function.

This module is imported by every script that decorates, in jobs too: what a call needs is imported by the call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping

TYPE_CHECKING = False  # typing's own constant, without the milliseconds that its import costs every job
if TYPE_CHECKING:
    import os
    from logging import Logger
    from types import ModuleType
    from typing import Any

    from qjob.braket.local import LocalQuantumJob
    from qjob.job import Job
    from qjob.model.config import (
        CheckpointConfig,
        InstanceConfig,
        OutputDataConfig,
        S3DataSourceConfig,
        StoppingCondition,
    )
    from qjob.runtime import PersistedJobDataFormat

_NOT_JUST_CALLED = {
    0x20: "a generator function",  # the flags of inspect.CO_*
    0x80: "a coroutine function",
    0x100: "a coroutine function",
    0x200: "an asynchronous generator function",
}


def hybrid_job(
    *bare: object,
    device: str | None = None,
    include_modules: str | ModuleType | Iterable[str | ModuleType] | None = None,
    dependencies: str | os.PathLike[str] | list[str] | None = None,
    local: bool = False,
    job_name: str | None = None,
    image_uri: str | None = None,
    input_data: str | Mapping[str, Any] | S3DataSourceConfig | None = None,
    wait_until_complete: bool = False,
    instance_config: InstanceConfig | None = None,
    distribution: str | None = None,
    copy_checkpoints_from_job: str | Job | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    role_arn: str | None = None,
    stopping_condition: StoppingCondition | None = None,
    output_data_config: OutputDataConfig | None = None,
    aws_session: object = None,
    tags: Mapping[str, str] | None = None,
    logger: Logger | None = None,
    quiet: bool | None = None,
    reservation_arn: str | None = None,
    data_format: PersistedJobDataFormat | str = "plaintext",
    engine: str | None = None,
    options: Mapping[str, Any] | None = None,
    python: str | os.PathLike[str] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., LocalQuantumJob]]:
    """Make a job of a function: whoever calls it gets the job's handle, and the function runs in the job.

    The function and the arguments of each call are pickled, by cloudpickle, together with all that they use
    of code that the job could not import: the script or notebook itself, and modules beside it. In the job
    the working directory is that of the results; local input data is linked there at the paths it had, as
    long as they do not lead out of the job's folder. What the function returns, if not None, is saved by
    `save_job_result`. Decorating does nothing but that; the function itself is ``__wrapped__``.

    The arguments of a call are recorded as hyperparameters: shortened to 2,500 characters and without the
    characters that Braket forbids; as they are they stand in the job's ``source/<folder>/hyperparameters.json``.

    Args:
        device: the device that the job is for, see `qjob.submit`; None: no device.
        include_modules: modules, or their names, to take along whole: such as the function imports itself.
        dependencies: what to install for the job: the path of a requirements file, or its lines.
        local: without meaning: every job runs where ``engine`` says.
        job_name: default: the function's name and the time.
        input_data: a path, or ``{channel: path}``.
        wait_until_complete: whether to follow the log to the job's end; a job that FAILED raises nothing,
            its reason goes to ``logger``.
        instance_config: how many processes run the function.
        distribution: recorded.
        copy_checkpoints_from_job: a job whose checkpoints this one starts with.
        checkpoint_config: recorded; the checkpoints lie in the job's folder.
        stopping_condition: the longest run.
        tags: free ``{str: str}``.
        logger: told why a job failed that was waited for; default: ``qjob.braket``.
        quiet: do not say what a job waits for.
        data_format: how the return value is saved: ``"plaintext"``, or ``"pickle"``.
        engine: where the job runs; default: the setting of that name.
        options: the engine's own words.
        python: the interpreter that runs it; of the same version as this one, as code is pickled.
        image_uri, role_arn, output_data_config, aws_session, reservation_arn: ignored, with a warning.

    Raises TypeError when used without parentheses, on what cannot be just called, or for ``include_modules``
    that are none. A call raises
    CannotBePickled (an InvalidInput and a RuntimeError), and whatever `qjob.submit` raises; nothing was
    started then.
    """
    if bare:
        raise TypeError("hybrid_job takes keyword arguments only: write @hybrid_job(device=None) above the function")
    asked = {
        "device": device or "local:none/none",
        "include_modules": _module_names(include_modules),
        "dependencies": dependencies,
        "job_name": job_name,
        "image_uri": image_uri,
        "input_data": input_data,
        "wait_until_complete": wait_until_complete,
        "instance_config": instance_config,
        "distribution": distribution,
        # By name, as these two hold what cannot be pickled when a job calls this function in its turn.
        "copy_checkpoints_from_job": getattr(copy_checkpoints_from_job, "arn", copy_checkpoints_from_job),
        "aws_session": None if aws_session is None else "given",
        "checkpoint_config": checkpoint_config,
        "role_arn": role_arn,
        "stopping_condition": stopping_condition,
        "output_data_config": output_data_config,
        "tags": tags,
        "logger": logger,
        "quiet": bool(quiet),
        "reservation_arn": reservation_arn,
        "data_format": data_format,
        "engine": engine,
        "options": options,
        "python": python,
    }
    return functools.partial(_decorated, asked)


def _decorated(options: dict[str, Any], function: Callable[..., Any]) -> Callable[..., LocalQuantumJob]:
    _check(function)

    @functools.wraps(function)
    def create_job(*args: Any, **kwargs: Any) -> LocalQuantumJob:
        from qjob.braket.decorator import create_job

        return create_job(function, args, kwargs, options)

    create_job.hybrid_job_options = options  # type: ignore[attr-defined]  # for `qjob.sweep`, which calls the function at many points
    return create_job


def _check(function: object) -> None:
    if not callable(function):
        raise TypeError(f"hybrid_job makes a job of a function, and {function!r} is none")
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    for flag, kind in _NOT_JUST_CALLED.items():
        if code is not None and code.co_flags & flag:
            raise TypeError(
                f"{function.__name__!r} is {kind}, which does nothing when it is called; "  # type: ignore[attr-defined]
                "decorate a function that runs it, with asyncio.run(...) or a loop"
            )


def _module_names(modules: Any) -> tuple[str, ...]:
    if modules is None:
        return ()
    if isinstance(modules, str) or hasattr(modules, "__name__"):
        modules = [modules]
    if not hasattr(modules, "__iter__"):
        raise TypeError(f"include_modules={modules!r}: modules or their names are expected, as in ['my_ansatz']")
    return tuple(getattr(module, "__name__", module) for module in modules)
