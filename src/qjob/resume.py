"""Resume: from an ended job to the submission of one that goes on where it stopped.

The new job is the old one's spec, with the code and the input data as they lie in the old one's folder: what
was changed since at the places that they came from has no part in it.
"""

from __future__ import annotations

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
from qjob.request_problems import checked_config, checked_hyperparameters, count_problems, engine_problems
from qjob.source.tree import TakeAll, copy_files, read_tree
from qjob.staging import Submission


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What is to be different in the job that goes on; what is None stays as it was.

    Attributes:
        name: the new job's name.
        engine: where it runs.
        hyperparameters: those that change; the others stay.
        stopping_condition: the longest run.
        environment: the environment variables that it sees.
    """

    name: str | None = None
    engine: str | None = None
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
    problems: list[str] = []
    spec = _changed(record, changes, problems)
    source = _Copy.of([record.spec.source_name], folder.source, problems)
    channels = [name.name for name in record.spec.inputs if (folder.input / name.name).exists()]
    inputs = _Copy.of(channels, folder.input, problems)
    problems += _checkpoint_problems(record, folder)
    if problems:
        raise InvalidInput(problems)
    return Submission(spec=spec, source=source, inputs=inputs, environment=changes.environment)


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """Some of the entries of a folder, to be copied."""

    names: tuple[str, ...]
    folder: Path

    @classmethod
    def of(cls, names: list[str], folder: Path, problems: list[str]) -> _Copy:
        for name in names:
            path = folder / name
            if not path.exists():
                problems.append(f"{path} is missing: it was removed from the job's folder; submit the job anew.")
            elif path.is_dir():
                problems.extend(read_tree(str(path), TakeAll()).problems)
        return cls(names=tuple(names), folder=folder)

    def write_to(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        for name in self.names:
            path, target = self.folder / name, directory / name
            if not path.is_dir():
                target.write_bytes(path.read_bytes())
                continue
            tree = read_tree(str(path), TakeAll())
            target.mkdir()
            copy_files(tree.files, tree.directories, str(target))


def _changed(record: JobRecord, changes: Changes, problems: list[str]) -> JobSpec:
    old = record.spec
    hyperparameters = checked_hyperparameters(changes.hyperparameters, problems)
    stopping = old.stopping_condition
    if changes.stopping_condition is not None:
        stopping = checked_config(StoppingCondition, "stopping_condition", changes.stopping_condition, problems)
    problems += count_problems(old.instance_config, stopping)
    if changes.name is not None and (problem := name_problem(changes.name)):
        problems.append(problem)
    if changes.engine is not None:
        problems += engine_problems(changes.engine)
    return replace(
        old,
        name=changes.name or old.name,
        engine=changes.engine or old.engine,
        hyperparameters={**old.hyperparameters, **hyperparameters},
        stopping_condition=stopping,
        copied_from=record.id,
    )


def _checkpoint_problems(record: JobRecord, folder: JobFolder) -> list[str]:
    if folder.checkpoints.is_dir() and any(folder.checkpoints.iterdir()):
        return []
    return [
        f"job {record.spec.name} ({record.id}) has left no checkpoints to go on from; submit it anew to start "
        "from the beginning."
    ]
