"""From what a user asks, in Python or at the command line, to a `Submission` that is ready to go.

Everything that can be wrong is looked for here, before anything is written or started, and told at once.
"""

from __future__ import annotations

import json
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from qjob.config import submitter_environment
from qjob.errors import InvalidInput
from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition
from qjob.model.naming import default_name, name_problem
from qjob.model.spec import JobSpec
from qjob.source.entry_point import default_entry_point, entry_point_problem, missing_siblings
from qjob.source.inputs import PackedInputs, pack_inputs
from qjob.source.path import PackedSource, pack_source
from qjob.staging import Submission

MAX_HYPERPARAMETERS = 100  # the limits are those of Braket's service model
MAX_HYPERPARAMETER_KEY_CHARS = 256
MAX_HYPERPARAMETER_CHARS = 2500
MAX_DEVICE_CHARS = 256
MAX_PRIORITY = 10**9
_DEVICE = re.compile(r"local:[^/\s]+/\S+|arn:[a-z-]+:braket:[^:\s]*:[^:\s]*:device/\S+")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks, not yet looked at; the fields are the arguments of `qjob.submit`.

    Attributes:
        grace_s: the setting of that name.
        copied_from: the id of the job whose checkpoints are carried over.
    """

    source: str | os.PathLike[str]
    entry_point: str | None = None
    device: str = "local:none/none"
    engine: str = "local"
    name: str | None = None
    hyperparameters: Mapping[str, Any] | None = None
    input_data: Any = None
    instance_config: Any = None
    stopping_condition: Any = None
    checkpoint_config: Any = None
    copied_from: str | None = None
    tags: Mapping[str, str] | None = None
    priority: int = 0
    options: Mapping[str, Any] | None = None
    grace_s: float = 10.0
    environment: Mapping[str, str] = field(default_factory=submitter_environment)


def prepare(request: Request) -> Submission:
    """Return the submission; raises InvalidInput with every problem of the request at once.

    Warns when a single-file source imports files beside it, which will not be there.
    """
    problems: list[str] = []
    source = _collected(problems, lambda: pack_source(request.source))
    inputs = _collected(problems, lambda: pack_inputs(request.input_data)) or PackedInputs()
    entry_point = _entry_point(request, source, problems)
    instances = _config(InstanceConfig, "instance_config", request.instance_config, problems)
    stopping = _config(StoppingCondition, "stopping_condition", request.stopping_condition, problems)
    checkpoints = _config(CheckpointConfig, "checkpoint_config", request.checkpoint_config, problems)
    hyperparameters = _hyperparameters(request.hyperparameters, problems)
    problems += _word_problems(request)
    problems += _count_problems(instances, stopping)
    problems += _text_problems(instances, checkpoints)
    if problems or source is None:
        raise InvalidInput(problems)
    _warn_of_missing_siblings(source)
    spec = JobSpec(
        name=request.name or _default_name(source),
        entry_point=entry_point,
        source_name=source.name,
        source_uri=source.uri,
        device=request.device,
        engine=request.engine,
        hyperparameters=hyperparameters,
        inputs=inputs.channels,
        instance_config=instances,
        stopping_condition=stopping,
        checkpoint_config=checkpoints,
        copied_from=request.copied_from,
        tags=dict(request.tags or {}),
        priority=request.priority,
        options=json.loads(json.dumps(request.options or {})),
        python=sys.executable,
        grace_s=request.grace_s,
        git_commit=source.git_commit,
        left_out=source.left_out,
    )
    return Submission(spec=spec, source=source, inputs=inputs, environment=request.environment)


def _collected(problems: list[str], pack: Callable[[], T]) -> T | None:
    try:
        return pack()
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _entry_point(request: Request, source: PackedSource | None, problems: list[str]) -> str:
    if source is None:
        return ""
    entry_point = request.entry_point or default_entry_point(source)
    problem = entry_point_problem(source, entry_point)
    if problem is not None:
        problems.append(problem)
    return entry_point


def _config(kind: type[T], argument: str, given: object, problems: list[str]) -> T:
    """Return a copy of a configuration object; Braket's own class of that name does as well."""
    if given is None:
        return kind()
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    if type(given).__name__ != kind.__name__ or not all(hasattr(given, name) for name in names):
        problems.append(f"{argument}={given!r}: an object of {kind.__name__} is expected, as in {kind.__name__}().")
        return kind()
    return kind(**{name: getattr(given, name) for name in names})


def _hyperparameters(given: object, problems: list[str]) -> dict[str, str]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        problems.append(f"hyperparameters={given!r}: a dict is expected, as in {{'theta': 0.1}}.")
        return {}
    if len(given) > MAX_HYPERPARAMETERS:
        problems.append(
            f"hyperparameters: {len(given)} were given, at most {MAX_HYPERPARAMETERS} are allowed; "
            "put the rest into an input file (input_data)."
        )
    for key, value in given.items():
        problems.extend(_hyperparameter_problems(key, str(value)))
    problems.extend(
        f"hyperparameter {key!r} is given more than once, as keys of several types; leave all but one out."
        for key, count in Counter(map(str, given)).items()
        if count > 1
    )
    return {str(key): str(value) for key, value in given.items()}


def _hyperparameter_problems(key: object, text: str) -> list[str]:
    if not isinstance(key, str | int | float | bool):
        return [f"hyperparameter {key!r}: a key is a text of 1 to {MAX_HYPERPARAMETER_KEY_CHARS} characters."]
    found = []
    if not 1 <= len(str(key)) <= MAX_HYPERPARAMETER_KEY_CHARS:
        found.append(
            f"hyperparameter {str(key)[:40]!r}…: a key has 1 to {MAX_HYPERPARAMETER_KEY_CHARS} characters, "
            f"this has {len(str(key))}; shorten it."
        )
    if not 1 <= len(text) <= MAX_HYPERPARAMETER_CHARS:
        found.append(
            f"hyperparameter {str(key)[:40]!r}: a value has 1 to {MAX_HYPERPARAMETER_CHARS} characters, this has "
            f"{len(text)}; {'leave it out' if not text else 'put it into an input file (input_data)'}."
        )
    return found


def _word_problems(request: Request) -> list[str]:
    found = []
    if request.name is not None and (problem := name_problem(request.name)):
        found.append(problem)
    device: object = request.device
    engine: object = request.engine
    priority: object = request.priority
    if not (isinstance(device, str) and _DEVICE.fullmatch(device) and len(device) <= MAX_DEVICE_CHARS):
        found.append(
            f"device {device!r}: a device is an ARN (arn:aws:braket:<region>::device/…) or "
            "local:<provider>/<simulator>; for none leave it out."
        )
    if not isinstance(engine, str) or not engine:
        found.append(f"engine={engine!r}: the name of an engine is expected, as in 'local'.")
    if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) > MAX_PRIORITY:
        found.append(
            f"priority={request.priority!r}: a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY} is expected; "
            "a higher one starts first."
        )
    found += _tag_problems(request.tags)
    found += _option_problems(request.options)
    return found


def _tag_problems(tags: object) -> list[str]:
    if tags is None:
        return []
    if not isinstance(tags, Mapping):
        return [f"tags={tags!r}: a dict is expected, as in {{'sweep': 'h2'}}."]
    return [
        f"tag {key!r}={value!r}: keys and values are texts; write {str(value)!r}."
        for key, value in tags.items()
        if not isinstance(key, str) or not isinstance(value, str) or not key
    ]


def _option_problems(options: object) -> list[str]:
    if options is None:
        return []
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        return [f"options={options!r}: {error}; only what JSON can hold is allowed."]
    return [] if isinstance(options, Mapping) else [f"options={options!r}: a dict is expected."]


def _count_problems(instances: InstanceConfig, stopping: StoppingCondition) -> list[str]:
    counts: dict[str, object] = {
        "instance_config.instanceCount": instances.instanceCount,
        "instance_config.volumeSizeInGb": instances.volumeSizeInGb,
        "stopping_condition.maxRuntimeInSeconds": stopping.maxRuntimeInSeconds,
    }
    return [
        f"{name}={value!r}: a whole number from 1 is expected."
        for name, value in counts.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < 1
    ]


def _text_problems(instances: InstanceConfig, checkpoints: CheckpointConfig) -> list[str]:
    texts: dict[str, object] = {
        "instance_config.instanceType": instances.instanceType,
        "checkpoint_config.localPath": checkpoints.localPath,
        "checkpoint_config.s3Uri": "" if checkpoints.s3Uri is None else checkpoints.s3Uri,
    }
    return [f"{name}={value!r}: a text is expected." for name, value in texts.items() if not isinstance(value, str)]


def _warn_of_missing_siblings(source: PackedSource) -> None:
    missing = missing_siblings(source)
    if missing:
        warnings.warn(
            f"{source.name} imports {', '.join(missing)} from beside it, but only {source.name} goes along; "
            f"submit the folder instead, with entry_point='<folder>.{Path(source.name).stem}'.",
            stacklevel=4,
        )


def _default_name(source: PackedSource) -> str:
    stem = source.name if source.is_directory else Path(source.name).stem
    return default_name(stem, int(datetime.now(UTC).timestamp() * 1000))
