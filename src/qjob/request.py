"""From what a user asks, in Python or at the command line, to a `Submission` that is ready to go.

Everything that can be wrong is looked for here, before anything is written or started, and told at once.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from qjob.config import submitter_environment
from qjob.errors import InvalidInput
from qjob.model.config import CheckpointConfig, InstanceConfig, StoppingCondition
from qjob.model.naming import default_name, name_problem
from qjob.model.spec import JobSpec
from qjob.request_problems import (
    checked_config,
    checked_hyperparameters,
    count_problems,
    device_problems,
    distribution_problems,
    engine_problems,
    option_problems,
    priority_problems,
    tag_problems,
    text_problems,
)
from qjob.source.entry_point import (
    default_entry_point,
    entry_point_problem,
    imports_of,
    late_imports_of,
    missing_siblings,
)
from qjob.source.generated import GeneratedSource
from qjob.source.inputs import PackedInputs, pack_inputs
from qjob.source.mentions import mentions_container_paths
from qjob.source.path import PackedSource, pack_source
from qjob.staging import Submission

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks, not yet looked at; the fields are the arguments of `qjob.submit`.

    Attributes:
        source: a path, or code that was generated and is known to be good.
        grace_s: the setting of that name.
        copied_from: the id of the job whose checkpoints are carried over.
    """

    source: str | os.PathLike[str] | GeneratedSource
    entry_point: str | None = None
    device: str = "local:none/none"
    engine: str = "local"
    name: str | None = None
    hyperparameters: Mapping[str, Any] | None = None
    input_data: Any = None
    instance_config: Any = None
    stopping_condition: Any = None
    checkpoint_config: Any = None
    distribution: str | None = None
    dependencies: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None
    python: str | os.PathLike[str] | None = None
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
    source = _collected(problems, lambda: _packed(request.source))
    inputs = _collected(problems, lambda: pack_inputs(request.input_data)) or PackedInputs()
    entry_point = _entry_point(request, source, problems)
    instances = checked_config(InstanceConfig, "instance_config", request.instance_config, problems)
    stopping = checked_config(StoppingCondition, "stopping_condition", request.stopping_condition, problems)
    checkpoints = checked_config(CheckpointConfig, "checkpoint_config", request.checkpoint_config, problems)
    hyperparameters = checked_hyperparameters(request.hyperparameters, problems)
    problems += _word_problems(request)
    problems += count_problems(instances, stopping)
    problems += text_problems(instances, checkpoints)
    requirements = _collected(problems, lambda: _requirements(request, source)) or ""
    python = _collected(problems, lambda: _python(request)) or sys.executable
    if problems or source is None:
        raise InvalidInput(problems)
    if isinstance(source, PackedSource):
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
        python=python,
        requirements=requirements,
        container_paths=mentions_container_paths(source),
        grace_s=request.grace_s,
        git_commit=source.git_commit,
        imports=imports_of(source) if isinstance(source, PackedSource) else source.imports,
        late_imports=late_imports_of(source) if isinstance(source, PackedSource) else (),
        left_out=source.left_out,
        distribution=request.distribution,
    )
    return Submission(spec=spec, source=source, inputs=inputs, environment=request.environment)


def _word_problems(request: Request) -> list[str]:
    named = [] if request.name is None else [name_problem(request.name)]
    return [
        *(problem for problem in named if problem),
        *device_problems(request.device),
        *engine_problems(request.engine),
        *priority_problems(request.priority),
        *distribution_problems(request.distribution),
        *tag_problems(request.tags),
        *option_problems(request.options),
    ]


def _packed(source: str | os.PathLike[str] | GeneratedSource) -> PackedSource | GeneratedSource:
    return source if isinstance(source, GeneratedSource) else pack_source(source)


def _collected(problems: list[str], pack: Callable[[], T]) -> T | None:
    try:
        return pack()
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _entry_point(request: Request, source: PackedSource | GeneratedSource | None, problems: list[str]) -> str:
    if not isinstance(source, PackedSource):
        return request.entry_point or ""
    entry_point = request.entry_point or default_entry_point(source)
    is_for_this_python = request.python is None or request.python == sys.executable
    problem = entry_point_problem(source, entry_point, is_for_this_python=is_for_this_python)
    if problem is not None:
        problems.append(problem)
    return entry_point


def _requirements(request: Request, source: PackedSource | GeneratedSource | None) -> str:
    of_source = None if source is None else source.root_requirements()
    if of_source is None and request.dependencies is None:
        return ""
    from qjob.interpreter.requirements import requirements_text

    return requirements_text(of_source, request.dependencies)


def _python(request: Request) -> str:
    if request.python is None:
        return sys.executable
    from qjob.interpreter.find import find_interpreter

    return str(find_interpreter(request.python))


def _warn_of_missing_siblings(source: PackedSource) -> None:
    missing = missing_siblings(source)
    if missing:
        warnings.warn(
            f"{source.name} imports {', '.join(missing)} from beside it, but only {source.name} goes along; "
            f"submit the folder instead, with entry_point='<folder>.{Path(source.name).stem}'.",
            stacklevel=4,
        )


def _default_name(source: PackedSource | GeneratedSource) -> str:
    stem = source.name if source.is_directory else Path(source.name).stem
    return default_name(stem, int(datetime.now(UTC).timestamp() * 1000))
