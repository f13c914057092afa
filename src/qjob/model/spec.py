"""JobSpec: what was asked for, once and for all, and its JSON form.

The JSON has CreateJob's names where CreateJob has a name, and one key ``"qjob"`` for what is ours. GetJob
repeats these fields, so `qjob.model.record` builds on the two functions here: the names stand once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition


@dataclass(frozen=True, kw_only=True)
class InputChannel:
    """One named directory of input data.

    Attributes:
        name: the channel, a directory below ``AMZN_BRAKET_INPUT_DIR``.
        uri: where the data came from; the job has a copy.
        content_type: the MIME type, if the user gave one.
    """

    name: str
    uri: str
    content_type: str | None = None


@dataclass(frozen=True, kw_only=True)
class SweepPoint:
    """Which point of which sweep a job is.

    Attributes:
        sweep: the sweep's id.
        number: the point, from 0.
        concurrency: at most so many jobs of the sweep run at a time; None for no limit of its own.
    """

    sweep: str
    number: int
    concurrency: int | None = None


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What was asked for.

    Attributes:
        name: the job's name; not unique.
        entry_point: ``module`` or ``module:function``, importable from the job's ``source/``.
        source_name: the entry of ``source/`` that holds the code, a file or a directory; of an archive with code
            in several entries its own name, which nothing there has.
        source_uri: where the source came from.
        device: an ARN or ``local:<provider>/<simulator>``.
        engine: the name of the engine.
        hyperparameters: strings only, as in Braket's hyperparameter file.
        inputs: the channels of input data.
        instance_config: Braket's instance configuration; the count is how many processes run.
        stopping_condition: the longest run.
        checkpoint_config: Braket's checkpoint configuration, recorded.
        copied_from: the id of the job whose checkpoints this one was given.
        tags: free ``{str: str}``.
        priority: a job of a higher number starts first.
        options: the engine's own words.
        python: the interpreter that runs the script, an absolute path.
        requirements: what the script needs besides that interpreter's packages, in pip's format of
            requirements files; empty when nothing.
        container_paths: whether the job sees its folder also at ``/opt/braket`` and ``/opt/ml``.
        distribution: Braket's word for how the instances work together; recorded.
        grace_s: seconds between SIGTERM and SIGKILL when the job is ended early.
        git_commit: the commit of the source's repository, if it was in one.
        left_out: paths of the source that were not taken along, relative to it.
        imports: the modules that the source imports at its top, those first that it imports first.
        late_imports: the modules that it imports elsewhere, in functions say, where that may be done ahead.
        sweep_point: the point of a sweep that this job is; its source and input data are the sweep's, then.
    """

    name: str
    entry_point: str
    source_name: str
    source_uri: str
    device: str = "local:none/none"
    engine: str = "local"
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[InputChannel, ...] = ()
    instance_config: InstanceConfig = field(default_factory=InstanceConfig)
    stopping_condition: StoppingCondition = field(default_factory=StoppingCondition)
    checkpoint_config: CheckpointConfig = field(default_factory=CheckpointConfig)
    copied_from: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    priority: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    python: str
    requirements: str = ""
    container_paths: bool = False
    distribution: str | None = None
    grace_s: float = 10.0
    git_commit: str | None = None
    left_out: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    late_imports: tuple[str, ...] = ()
    sweep_point: SweepPoint | None = None

    @property
    def instance_count(self) -> int:
        """How many processes run the script."""
        return self.instance_config.instanceCount


def spec_to_json(spec: JobSpec) -> dict[str, Any]:
    """Return the spec as a JSON object in CreateJob's shape."""
    return {
        "jobName": spec.name,
        "algorithmSpecification": {
            "scriptModeConfig": {
                "entryPoint": spec.entry_point,
                "s3Uri": spec.source_uri,
                "compressionType": "NONE",
            }
        },
        "deviceConfig": {"device": spec.device},
        "hyperParameters": dict(spec.hyperparameters),
        "inputDataConfig": [_channel_to_json(channel) for channel in spec.inputs],
        "instanceConfig": dict(vars(spec.instance_config)),
        "stoppingCondition": dict(vars(spec.stopping_condition)),
        "checkpointConfig": _without_none(vars(spec.checkpoint_config)),
        "tags": dict(spec.tags),
        "qjob": {
            "engine": spec.engine,
            "sourceName": spec.source_name,
            "copiedFrom": spec.copied_from,
            "priority": spec.priority,
            "options": dict(spec.options),
            "interpreter": spec.python,
            "requirements": spec.requirements,
            "containerPaths": spec.container_paths,
            "distribution": spec.distribution,
            "graceSeconds": spec.grace_s,
            "gitCommit": spec.git_commit,
            "leftOut": list(spec.left_out),
            "imports": list(spec.imports),
            "lateImports": list(spec.late_imports),
            "sweep": None if spec.sweep_point is None else dict(vars(spec.sweep_point)),
        },
    }


def spec_from_json(data: Mapping[str, Any]) -> JobSpec:
    """Return the spec that `spec_to_json` wrote; fields that it does not know are passed over.

    Raises KeyError, TypeError or ValueError when the object is not a spec.
    """
    script = data["algorithmSpecification"]["scriptModeConfig"]
    ours = data["qjob"]
    return JobSpec(
        name=data["jobName"],
        entry_point=script["entryPoint"],
        source_uri=script["s3Uri"],
        device=data["deviceConfig"]["device"],
        hyperparameters=dict(data["hyperParameters"]),
        inputs=tuple(_channel_from_json(channel) for channel in data["inputDataConfig"]),
        instance_config=InstanceConfig(**data["instanceConfig"]),
        stopping_condition=StoppingCondition(**data["stoppingCondition"]),
        checkpoint_config=CheckpointConfig(**data["checkpointConfig"]),
        tags=dict(data["tags"]),
        engine=ours["engine"],
        source_name=ours["sourceName"],
        copied_from=ours["copiedFrom"],
        priority=ours["priority"],
        options=dict(ours["options"]),
        python=ours["interpreter"],
        # Folders of version 0.1.0 have none of these three.
        requirements=ours.get("requirements", ""),
        container_paths=ours.get("containerPaths", False),
        distribution=ours.get("distribution"),
        grace_s=ours["graceSeconds"],
        git_commit=ours["gitCommit"],
        left_out=tuple(ours["leftOut"]),
        imports=tuple(ours.get("imports", ())),
        late_imports=tuple(ours.get("lateImports", ())),
        sweep_point=_sweep_point_from_json(ours.get("sweep")),
    )


def _channel_to_json(channel: InputChannel) -> dict[str, Any]:
    data: dict[str, Any] = {
        "channelName": channel.name,
        "dataSource": {"s3DataSource": {"s3Uri": channel.uri}},
    }
    if channel.content_type is not None:
        data["contentType"] = channel.content_type
    return data


def _channel_from_json(data: Mapping[str, Any]) -> InputChannel:
    return InputChannel(
        name=data["channelName"],
        uri=data["dataSource"]["s3DataSource"]["s3Uri"],
        content_type=data.get("contentType"),
    )


def _sweep_point_from_json(data: Mapping[str, Any] | None) -> SweepPoint | None:
    return None if data is None else SweepPoint(**data)


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
