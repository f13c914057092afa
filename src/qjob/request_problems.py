"""What is wrong with what a user asks: each rule names the value, the rule and the remedy.

The limits are those of Braket's service model, so that a job that is taken here is taken there.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields
from typing import TypeVar

from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition

MAX_HYPERPARAMETERS = 100
MAX_HYPERPARAMETER_KEY_CHARS = 256
MAX_HYPERPARAMETER_CHARS = 2500
MAX_DEVICE_CHARS = 256
MAX_PRIORITY = 10**9
DISTRIBUTIONS = ("data_parallel",)
_DEVICE = re.compile(r"local:[^/\s]+/\S+|arn:[a-z-]+:braket:[^:\s]*:[^:\s]*:device/\S+")

T = TypeVar("T")


def checked_config(kind: type[T], argument: str, given: object, problems: list[str]) -> T:
    """Return a copy of a configuration object; Braket's own class of that name does as well.

    What is wrong with it is added to ``problems``.
    """
    if given is None:
        return kind()
    names = [each.name for each in fields(kind)]  # type: ignore[arg-type]
    if type(given).__name__ != kind.__name__ or not all(hasattr(given, name) for name in names):
        problems.append(f"{argument}={given!r}: an object of {kind.__name__} is expected, as in {kind.__name__}().")
        return kind()
    return kind(**{name: getattr(given, name) for name in names})


def checked_hyperparameters(given: object, problems: list[str]) -> dict[str, str]:
    """Return the hyperparameters as strings; what is wrong with them is added to ``problems``."""
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


def device_problems(device: object) -> list[str]:
    """Say what is wrong with a device."""
    if isinstance(device, str) and _DEVICE.fullmatch(device) and len(device) <= MAX_DEVICE_CHARS:
        return []
    return [
        f"device {device!r}: a device is an ARN (arn:aws:braket:<region>::device/…) or "
        "local:<provider>/<simulator>; for none leave it out."
    ]


def engine_problems(engine: object) -> list[str]:
    """Say what is wrong with an engine's name."""
    if isinstance(engine, str) and engine:
        return []
    return [f"engine={engine!r}: the name of an engine is expected, as in 'local'."]


def priority_problems(priority: object) -> list[str]:
    """Say what is wrong with a priority."""
    if isinstance(priority, int) and not isinstance(priority, bool) and abs(priority) <= MAX_PRIORITY:
        return []
    return [
        f"priority={priority!r}: a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY} is expected; "
        "a higher one starts first."
    ]


def distribution_problems(distribution: object) -> list[str]:
    """Say what is wrong with a distribution."""
    if distribution is None or distribution in DISTRIBUTIONS:
        return []
    return [f"distribution={distribution!r}: there is {', '.join(map(repr, DISTRIBUTIONS))}; for none leave it out."]


def tag_problems(tags: object) -> list[str]:
    """Say what is wrong with the tags."""
    if tags is None:
        return []
    if not isinstance(tags, Mapping):
        return [f"tags={tags!r}: a dict is expected, as in {{'sweep': 'h2'}}."]
    return [
        f"tag {key!r}={value!r}: keys and values are texts; write {str(value)!r}."
        for key, value in tags.items()
        if not isinstance(key, str) or not isinstance(value, str) or not key
    ]


def option_problems(options: object) -> list[str]:
    """Say what is wrong with the engine's options."""
    if options is None:
        return []
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        return [f"options={options!r}: {error}; only what JSON can hold is allowed."]
    return [] if isinstance(options, Mapping) else [f"options={options!r}: a dict is expected."]


def count_problems(instances: InstanceConfig, stopping: StoppingCondition) -> list[str]:
    """Say which numbers of the configurations cannot be."""
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


def text_problems(instances: InstanceConfig, checkpoints: CheckpointConfig) -> list[str]:
    """Say which texts of the configurations are none."""
    texts: dict[str, object] = {
        "instance_config.instanceType": instances.instanceType,
        "checkpoint_config.localPath": checkpoints.localPath,
        "checkpoint_config.s3Uri": "" if checkpoints.s3Uri is None else checkpoints.s3Uri,
    }
    return [f"{name}={value!r}: a text is expected." for name, value in texts.items() if not isinstance(value, str)]


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
