"""LocalQuantumJob: Braket's way to create a job on this machine, and `qjob.job.Job` in every other respect."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from logging import Logger, getLogger
from typing import Any

from qjob.braket.advice import warn
from qjob.braket.default_names import name_for_image, now_ms
from qjob.errors import InvalidInput, JobFailed
from qjob.job import Job, submit
from qjob.model.config import (
    CheckpointConfig,
    InstanceConfig,
    OutputDataConfig,
    S3DataSourceConfig,
    StoppingCondition,
)
from qjob.model.record import QueueInfo
from qjob.service import Service
from qjob.source.generated import GeneratedSource

_ARN_PREFIX = "local:job/"
"""Of the ARNs that Braket's own LocalQuantumJob has; a name follows."""


class LocalQuantumJob(Job):
    """A hybrid job that runs here, with Braket's constructor and ``create``."""

    def __init__(
        self, arn: str, aws_session: object = None, quiet: bool = False, *, service: Service | None = None
    ) -> None:
        """Take up a job by its ARN, id, a unique prefix of that, or its name (the newest).

        Args:
            arn: which job.
            aws_session: ignored; here because AwsQuantumJob has it.
            quiet: do not say what the job waits for when its log is followed.
            service: whom to ask, by default the one of the settings.

        Raises JobNotFound or AmbiguousJob.
        """
        super().__init__(arn.removeprefix(_ARN_PREFIX), service=service)
        self._quiet = quiet

    @classmethod
    def create(
        cls,
        device: str,
        source_module: str | os.PathLike[str] | GeneratedSource,
        entry_point: str | None = None,
        image_uri: str | None = None,
        job_name: str | None = None,
        code_location: str | None = None,
        role_arn: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        input_data: str | Mapping[str, Any] | S3DataSourceConfig | None = None,
        output_data_config: OutputDataConfig | None = None,
        checkpoint_config: CheckpointConfig | None = None,
        aws_session: object = None,
        local_container_update: bool = True,
        *,
        wait_until_complete: bool = False,
        instance_config: InstanceConfig | None = None,
        distribution: str | None = None,
        stopping_condition: StoppingCondition | None = None,
        copy_checkpoints_from_job: str | Job | None = None,
        tags: Mapping[str, str] | None = None,
        logger: Logger | None = None,
        quiet: bool = False,
        reservation_arn: str | None = None,
        engine: str | None = None,
        options: Mapping[str, Any] | None = None,
        dependencies: str | os.PathLike[str] | list[str] | None = None,
        python: str | os.PathLike[str] | None = None,
    ) -> LocalQuantumJob:
        """Submit a job and return its handle at once, or after its end with ``wait_until_complete``.

        The parameters are those of Braket's LocalQuantumJob, in its order, then those that only its AwsQuantumJob
        has, then our own. Nothing that is passed is changed, and it can be used again.

        Args:
            device: an ARN, or ``local:<provider>/<simulator>``.
            source_module: a Python file, a folder, a ``.tar.gz`` of either, or the name of an installed package.
            entry_point: ``module`` or ``module:function``; default: the source itself.
            job_name: 1 to 50 letters, digits and hyphens; need not be unique.
            hyperparameters: the job gets them as strings.
            input_data: a path, or ``{channel: path}``; exactly what is named, and not what begins like it.
            checkpoint_config: recorded; the checkpoints lie in the job's folder.
            wait_until_complete: print the log until the job has ended. A job that FAILED raises nothing, as
                published; its reason goes to ``logger``.
            instance_config: how many processes run it; the rest is recorded.
            distribution: recorded.
            stopping_condition: the longest run.
            copy_checkpoints_from_job: a job, by handle, id, name or ARN, whose checkpoints this one starts with.
            tags: free ``{str: str}``.
            logger: told why a job failed that was waited for; default: ``qjob.braket``.
            quiet: do not say what the job waits for.
            engine: where it runs; default: the setting of that name.
            options: the engine's own words.
            dependencies: what to install for it: the path of a requirements file, or its lines.
            python: the interpreter that runs it.
            image_uri, code_location, role_arn, output_data_config, aws_session, local_container_update,
                reservation_arn: without meaning here; those given are named in one warning.

        Raises:
            InvalidInput: with everything that is wrong; nothing was started.
            SubmitError: if the engine refused the job.
        """
        _warn_of_ignored(
            image_uri=image_uri,
            code_location=code_location,
            role_arn=role_arn,
            output_data_config=output_data_config,
            aws_session=aws_session,
            local_container_update=None if local_container_update else False,
            reservation_arn=reservation_arn,
            **_ignored_fields(instance_config, checkpoint_config),
        )
        submitted = submit(
            _resolved(source_module),
            entry_point=entry_point,
            device=device,
            engine=engine,
            options=options,
            name=name_for_image(image_uri, now_ms()) if job_name is None else job_name,
            hyperparameters=hyperparameters,
            input_data=input_data,
            instance_config=instance_config,
            distribution=distribution,
            stopping_condition=stopping_condition,
            checkpoint_config=checkpoint_config,
            copy_checkpoints_from_job=_other_job(copy_checkpoints_from_job),
            tags=tags,
            dependencies=dependencies,
            python=python,
        )
        job = cls(submitted.id, quiet=quiet)
        if wait_until_complete:
            job._follow_to_the_end(logger or getLogger("qjob.braket"))
        return job

    @property
    def run_log(self) -> str:
        """What the job has printed until now."""
        pieces = self._service.log(self.id).pieces(final=True)
        return b"".join(piece.data for piece in pieces).decode("utf-8", "backslashreplace")

    def _tell_waiting(self) -> Callable[[QueueInfo], None]:
        return _say_nothing if self._quiet else super()._tell_waiting()

    def __reduce__(self) -> tuple[type[LocalQuantumJob], tuple[str]]:
        return type(self), (self.arn,)

    def __repr__(self) -> str:
        return f"LocalQuantumJob('arn':'{self.arn}')"

    def _follow_to_the_end(self, logger: Logger) -> None:
        print(f"Initializing Braket Job: {self.arn}", flush=True)
        try:
            self.logs(wait=True)
        except JobFailed as error:
            logger.error(str(error))


def _say_nothing(_: QueueInfo) -> None:
    """Be quiet."""


def _resolved(source: str | os.PathLike[str] | GeneratedSource) -> Any:
    """Return the source with links resolved, as published: a link goes by the name of what it leads to."""
    if isinstance(source, str | os.PathLike) and os.path.exists(source):
        return os.path.realpath(source)
    return source


def _other_job(given: str | Job | None) -> str | Job | None:
    """Return what names the job whose checkpoints are wanted; Braket's local ARNs have its name."""
    if given is None or isinstance(given, Job):
        return given
    if not isinstance(given, str):
        raise InvalidInput(
            f"copy_checkpoints_from_job={given!r}: a job is expected, by its handle, id, name or ARN; "
            "to start from the beginning leave it out."
        )
    return given.removeprefix(_ARN_PREFIX)


def _ignored_fields(instances: object, checkpoints: object) -> dict[str, object]:
    """Return the fields of configurations that say something which is not heeded here."""
    unheeded = {}
    for field, default in (("instanceType", InstanceConfig.instanceType), ("volumeSizeInGb", 30)):
        if getattr(instances, field, default) != default:
            unheeded[f"instance_config.{field}"] = getattr(instances, field)
    unheeded["checkpoint_config.s3Uri"] = getattr(checkpoints, "s3Uri", None)
    return unheeded


def _warn_of_ignored(**given: object) -> None:
    names = [name for name, value in given.items() if value is not None]
    if names:
        warn(f"{', '.join(names)}: without meaning for a job that runs here, and ignored.")
