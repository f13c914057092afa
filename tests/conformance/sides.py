"""The names that a case is run with: qjob's, and those of the installed amazon-braket-sdk."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import importlib
import importlib.util
import inspect
import json
import logging
import math
import os
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import qjob.braket
from qjob.braket.default_names import name_for_image, name_of_function
from qjob.braket.hyperparameters import recorded
from qjob.model.metrics import MetricsParser
from qjob.model.naming import name_problem
from qjob.model.record import get_job
from qjob.model.status import EventType, JobStatus
from qjob.runner.binding import bind
from qjob.source.entry_point import default_entry_point, entry_point_problem
from qjob.source.inputs import PackedInputs, pack_inputs
from qjob.source.packed import PackedSource
from qjob.source.path import pack_source
from recorded import record_of

_REQUIRED = {
    "algorithmSpecification",
    "createdAt",
    "instanceConfig",
    "jobArn",
    "jobName",
    "outputDataConfig",
    "roleArn",
    "status",
}
_OPTIONAL = {
    "associations",
    "billableDuration",
    "checkpointConfig",
    "deviceConfig",
    "endedAt",
    "events",
    "failureReason",
    "hyperParameters",
    "inputDataConfig",
    "queueInfo",
    "startedAt",
    "stoppingCondition",
    "tags",
}
"""The fields of GetJob's response."""
_ARRIVAL = 1.6e9
"""When the lines came that name no time, in seconds since 1970."""
_NOW = 1700000000000
"""The time of default names, in milliseconds since 1970."""


def has_braket() -> bool:
    """Return whether amazon-braket-sdk is installed."""
    return importlib.util.find_spec("braket") is not None and importlib.util.find_spec("braket.jobs") is not None


def ours() -> dict[str, Any]:
    """Return the names of `qjob.braket`, and what asks qjob for what has no name there."""
    return _common() | {name: getattr(qjob.braket, name) for name in qjob.braket.__all__} | _OURS


def published() -> dict[str, Any]:
    """Return the same names of ``braket.jobs``, where they mean what amazon-braket-sdk does."""
    names = _common()
    for module in ("", ".config", ".data_persistence", ".metrics", ".metrics_data", ".quantum_job", ".local"):
        found = importlib.import_module(f"braket.jobs{module}")
        names |= {name: value for name, value in vars(found).items() if not name.startswith("_")}
    return names | _PUBLISHED


def _common() -> dict[str, Any]:
    return {
        "Path": pathlib.Path,
        "dataclass": dataclasses.dataclass,
        "datetime": datetime.datetime,
        "Decimal": decimal.Decimal,
        "inf": math.inf,
        "nan": math.nan,
        "json": json,
        "environ": os.environ,
        "fields": _fields,
        "members": _members,
        "parameters": _parameters,
        "results": lambda: pathlib.Path("results/results.json").read_text(),
        "checkpoints": lambda: {file.name: file.read_text() for file in pathlib.Path("checkpoints").iterdir()},
        "tree": _make,
        "words": lambda enum: {word.name: word.value for word in enum},
    }


def _fields(kind: Any) -> dict[str, Any]:
    found = kind()
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


def _parameters(function: Callable[..., Any]) -> list[str]:
    found = inspect.signature(function).parameters.values()
    return [p.name if p.default is p.empty else f"{p.name}={_word(p.default)}" for p in found]


def _word(default: Any) -> str:
    return str(default.value) if hasattr(default, "value") else repr(default)


def _make(*paths: str) -> None:
    """Make empty files, and the folders that they lie in."""
    for path in map(pathlib.Path, paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("def f(): pass\n" if path.suffix == ".py" else "")


def _members(kind: type) -> list[str]:
    return sorted(name for name in dir(kind) if not name.startswith("_"))


# qjob's


def _read(*lines: str, by: str = "TIMESTAMP", keep: str = "MAX") -> dict[str, list[Any]]:
    parser = MetricsParser(qjob.braket.MetricType[by], qjob.braket.MetricStatistic[keep])
    parser.feed("\n".join(lines).encode(), lambda _: _ARRIVAL)
    return parser.columns()


def _valid_name(name: str) -> str:
    if problem := name_problem(name):
        raise ValueError(problem)
    return name


def _call(function: Callable[..., Any], **hyperparameters: Any) -> Any:
    return function(**bind(function, {name: str(value) for name, value in hyperparameters.items()}))


def _laid_out(packed: PackedInputs | PackedSource) -> list[str]:
    place = pathlib.Path("job")
    packed.write_to(place)
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file())


def _run(source: str, entry_point: str | None = None) -> str:
    packed = pack_source(source)
    asked = entry_point or default_entry_point(packed)
    if problem := entry_point_problem(packed, asked):
        raise ValueError(problem)
    return asked


def _metadata_fields() -> list[str]:
    return sorted(get_job(record_of(JobStatus.COMPLETED), "/folder"))


_OURS: dict[str, Any] = {
    "run": _run,
    "inputs": lambda input_data: _laid_out(pack_inputs(input_data)),
    "source": lambda source: _laid_out(pack_source(source)),
    "required_fields": lambda: [field for field in _metadata_fields() if field in _REQUIRED],
    "unknown_fields": lambda: sorted(set(_metadata_fields()) - (_REQUIRED | _OPTIONAL)),
    "read": _read,
    "name_for": lambda function: name_of_function(function, _NOW)[0],
    "name_for_image": lambda image: name_for_image(image, _NOW),
    "valid_name": _valid_name,
    "recorded": lambda function, *args, **kwargs: dict(recorded(function, args, kwargs).hyperparameters),
    "call": _call,
    "states": lambda: sorted(status.value for status in JobStatus),
    "event_types": lambda: sorted(kind.value for kind in EventType if kind is not EventType.CANCELLING),
}


# Braket's


def _read_published(*lines: str, by: str = "TIMESTAMP", keep: str = "MAX") -> dict[str, list[Any]]:
    """Read the lines as the SDK does for a job in the cloud, with a time that its numbers compare with."""
    data = importlib.import_module("braket.jobs.metrics_data.log_metrics_parser")
    fetcher = importlib.import_module("braket.jobs.metrics_data.cwl_metrics_fetcher").CwlMetricsFetcher
    parser = data.LogMetricsParser(logging.Logger("nobody reads it"))
    for line in lines:
        if fetcher._is_metrics_message(line):
            parser.parse_log_message(_ARRIVAL, line)
    table: dict[str, list[Any]] = parser.get_parsed_metrics(data.MetricType[by], data.MetricStatistic[keep])
    return table


def _creation(function: str) -> Any:
    return getattr(importlib.import_module("braket.jobs.quantum_job_creation"), function)


def _name_for_published(function: str) -> Any:
    def entry_point() -> None: ...

    entry_point.__name__ = function
    return _creation("_generate_default_job_name")(func=entry_point, timestamp=str(_NOW))


def _valid_name_published(name: str) -> str:
    _creation("_validate_quantum_job_name")(name)
    return name


def _recorded_published(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # By sys.modules' way: braket.jobs.hybrid_job is the decorator, which hides its module.
    return importlib.import_module("braket.jobs.hybrid_job")._log_hyperparameters(function, args, kwargs)


def _run_published(source: str, entry_point: str | None = None) -> str:
    path = pathlib.Path(source).resolve(strict=True)
    asked = entry_point or path.stem
    before = set(sys.modules)
    try:
        _creation("_validate_entry_point")(path, asked)
    finally:
        for name in set(sys.modules) - before:  # it imports into the process that submits
            del sys.modules[name]
    return asked


def _shape(name: str) -> Mapping[str, Any]:
    loaders = importlib.import_module("botocore.loaders")
    shape: Mapping[str, Any] = loaders.Loader().load_service_model("braket", "service-2")["shapes"][name]
    return shape


_PUBLISHED: dict[str, Any] = {
    "read": _read_published,
    "name_for": _name_for_published,
    "name_for_image": lambda image: _creation("_generate_default_job_name")(image_uri=image, timestamp=str(_NOW)),
    "valid_name": _valid_name_published,
    "recorded": _recorded_published,
    "run": _run_published,
    "states": lambda: sorted(_shape("JobPrimaryStatus")["enum"]),
    "event_types": lambda: sorted(_shape("JobEventType")["enum"]),
    "required_fields": lambda: sorted(_shape("GetJobResponse")["required"]),
    "unknown_fields": lambda: sorted((_REQUIRED | _OPTIONAL) - set(_shape("GetJobResponse")["members"])),
}
"""Private functions of the SDK among them: the versions that have other ones fail the tests, and are looked at."""
