"""Resume: from an ended job to the submission of one that goes on where it stopped.

The new job is the old one's spec, with the code and the input data as they lie in the old one's folder: what
was changed since at the places that they came from has no part in it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from qjob.config import submitter_environment
from qjob.errors import InvalidInput, JobStateError
from qjob.folder import JobFolder
from qjob.model.config import StoppingCondition
from qjob.model.naming import name_problem
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec
from qjob.request_problems import (
    checked_config,
    checked_hyperparameters,
    count_problems,
    engine_problems,
    option_problems,
    priority_problems,
)
from qjob.source.generated import GENERATED
from qjob.staging import Submission


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to be different in the job that goes on; what is None stays as it was.

    Attributes:
        name: the new job's name.
        engine: where it runs.
        options: the engine's own words; by default those of before, and none for another engine.
        priority: a job of a higher number starts first.
        hyperparameters: those that change; the others stay.
        stopping_condition: the longest run.
        environment: the environment variables that it sees.
    """

    name: str | None = None
    engine: str | None = None
    options: Mapping[str, Any] | None = None
    priority: int | None = None
    hyperparameters: Mapping[str, Any] | None = None
    stopping_condition: Any = None
    environment: Mapping[str, str] = field(default_factory=submitter_environment)


def prepare_resumption(record: JobRecord, folder: JobFolder, changes: Changes) -> Submission:
    """Return the submission of a job that starts with the checkpoints of an ended one.

    Raises JobStateError when the job has not ended, InvalidInput with all that is wrong with the changes, or
    when its folder lacks the code or the checkpoints.
    """
    if not record.status.ended:
        raise JobStateError(
            f"job {record.spec.name} ({record.id}) is {record.status}: it can be resumed when it has ended; "
            "cancel it first, or wait."
        )
    problems = _sweep_problems(record)
    spec = changed(record, changes, problems)
    problems += _folder_problems(record, folder) + _checkpoint_problems(record, folder)
    if problems:
        raise InvalidInput(problems)
    return _submission(spec, folder, changes)


def prepare_move(record: JobRecord, folder: JobFolder, changes: Changes) -> Submission:
    """Return the submission of a job that does the rest of one on another engine.

    It starts with the checkpoints that lie in the other one's folder now, or from the beginning when there are none.
    Raises InvalidInput with all that is wrong with the changes.
    """
    problems = _sweep_problems(record)
    spec = changed(record, changes, problems)
    problems += _folder_problems(record, folder)
    if problems:
        raise InvalidInput(problems)
    if not has_entries(folder.checkpoints):
        spec = replace(spec, copied_from=None)
    return _submission(spec, folder, changes)


def _submission(spec: JobSpec, folder: JobFolder, changes: Changes) -> Submission:
    return Submission(
        spec=spec, source=FolderCopy(folder.source), inputs=FolderCopy(folder.input), environment=changes.environment
    )


@dataclass(frozen=True)
class FolderCopy:
    """What lies in a folder, to be copied as it is: links stay links, and sockets and the like are left out.

    Of a job's ``source/``, which was its working directory, that includes what the script has left there.
    """

    folder: Path

    def write_to(self, directory: Path) -> None:
        shutil.copytree(self.folder, directory, symlinks=True, ignore=_special, dirs_exist_ok=True)


def _special(folder: str, names: list[str]) -> list[str]:
    with os.scandir(folder) as entries:
        plain = {each.name for each in entries if each.is_symlink() or each.is_file() or each.is_dir()}
    return [name for name in names if name not in plain]


def changed(record: JobRecord, changes: Changes, problems: list[str]) -> JobSpec:
    """Return a job's spec with the changes; what is wrong with them is added to ``problems``."""
    old = record.spec
    hyperparameters = checked_hyperparameters(changes.hyperparameters, problems)
    if hyperparameters and old.source_name.startswith(GENERATED):
        problems.append(
            f"hyperparameters: {', '.join(hyperparameters)} cannot change, as what runs is a function with "
            "the arguments that it was given; call it again."
        )
    stopping = old.stopping_condition
    if changes.stopping_condition is not None:
        stopping = checked_config(StoppingCondition, "stopping_condition", changes.stopping_condition, problems)
    problems += count_problems(old.instance_config, stopping)
    if changes.name is not None and (problem := name_problem(changes.name)):
        problems.append(problem)
    if changes.engine is not None:
        problems += engine_problems(changes.engine)
    problems += option_problems(changes.options) + priority_problems(changes.priority or 0)
    engine = changes.engine or old.engine
    options = old.options if engine == old.engine else {}
    return replace(
        old,
        name=changes.name or old.name,
        engine=engine,
        options=options if changes.options is None else dict(changes.options),
        priority=old.priority if changes.priority is None else changes.priority,
        hyperparameters={**old.hyperparameters, **hyperparameters},
        stopping_condition=stopping,
        copied_from=record.id,
    )


def _sweep_problems(record: JobRecord) -> list[str]:
    point = record.spec.sweep_point
    if point is None:
        return []
    return [
        f"job {record.spec.name} ({record.id}) is a point of sweep {point.sweep}: resume that, and all of its points "
        "go on that did not complete; or submit a job anew that copies this one's checkpoints."
    ]


def _folder_problems(record: JobRecord, folder: JobFolder) -> list[str]:
    wanted = [folder.source, *([folder.input] if record.spec.inputs else [])]
    return [
        f"{path} is missing or empty: it was removed from the job's folder; submit the job anew."
        for path in wanted
        if not has_entries(path)
    ]


def _checkpoint_problems(record: JobRecord, folder: JobFolder) -> list[str]:
    if has_entries(folder.checkpoints):
        return []
    return [
        f"job {record.spec.name} ({record.id}) has left no checkpoints to go on from; submit it anew to start "
        "from the beginning."
    ]


def has_entries(path: Path) -> bool:
    """Return whether there is a directory, and something in it."""
    return path.is_dir() and any(path.iterdir())
