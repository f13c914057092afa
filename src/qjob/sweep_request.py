"""From what a user asks of a sweep to a `SweepSubmission` that is ready to go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qjob.errors import InvalidInput, JobStateError
from qjob.folder import JobFolder
from qjob.model.naming import NAME_RULE, name_problem
from qjob.model.points import MAX_POINTS, Points, points_of
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.request import Request, prepare
from qjob.request_problems import checked_hyperparameters
from qjob.resume import Changes, FolderCopy, changed, has_entries
from qjob.staging import Checkpoints
from qjob.sweep_folder import SweepFolder
from qjob.sweep_staging import Point, SweepSubmission

_MAX_NAME_CHARS = 50
_TIME_CHARS = 14  # of a name that is made from the source: a hyphen and milliseconds
_MOST_PROBLEMS = 20  # told of the points, of which there may be thousands


def prepare_sweep(
    request: Request, grid: object, concurrency: int | None = None, name: str | None = None
) -> SweepSubmission:
    """Return the submission of a sweep: one job for each point of ``grid``, see `qjob.model.points.points_of`.

    The hyperparameters of the request are the same in all jobs; ``name`` is what it is called when the request has
    no name. Raises InvalidInput with every problem at once.
    """
    problems: list[str] = []
    points = _points(grid, problems)
    shared = checked_hyperparameters(request.hyperparameters, problems)
    texts = _texts(points, shared, problems)
    problems += [] if points is None else twice_problems(points, shared)
    problems += _concurrency_problems(concurrency)
    problems += _name_problems(request.name, max(1, len(texts)))
    try:
        submission = prepare(replace(request, hyperparameters=None, name=None))
    except InvalidInput as error:
        raise InvalidInput([*problems, *error.problems]) from None
    if problems:
        raise InvalidInput(problems)
    return SweepSubmission(
        spec=replace(submission.spec, name=request.name or _shortened(name or submission.spec.name, len(texts))),
        points=[Point(number=number, hyperparameters=each) for number, each in enumerate(texts)],
        varied=_varied(texts),
        concurrency=concurrency,
        source=submission.source,
        inputs=submission.inputs,
        environment=request.environment,
    )


def prepare_sweep_resumption(
    sweep: SweepRecord,
    records: Sequence[JobRecord],
    folder_of: Callable[[str], JobFolder],
    folder: SweepFolder,
    changes: Changes,
) -> SweepSubmission:
    """Return the submission of those points of a sweep that did not complete.

    Each job starts with the checkpoints that it left, or from the beginning when it left none.

    Args:
        sweep: the sweep, all of whose jobs have ended.
        records: its jobs.
        folder_of: returns the folder of a job.
        folder: what the jobs share; code and input data are those in it.
        changes: what is to be different.

    Raises JobStateError when a job has not ended, or all have completed; InvalidInput with all that is wrong.
    """
    unfinished = [record for record in records if record.status is not JobStatus.COMPLETED]
    _refuse_to_resume(sweep, unfinished)
    problems: list[str] = []
    spec = replace(changed(unfinished[0], changes, problems), sweep_point=None, copied_from=None)
    problems += _name_problems(changes.name, 1 + max(map(_number_of, unfinished)))
    wanted = [folder.source, *([folder.input] if spec.inputs else [])]
    problems += [f"{path} is missing or empty: submit the sweep anew." for path in wanted if not has_entries(path)]
    if problems:
        raise InvalidInput(problems)
    return SweepSubmission(
        spec=replace(spec, name=changes.name or sweep.name),
        points=[_resumed(record, folder_of(record.id), changes) for record in unfinished],
        varied=sweep.varied,
        concurrency=sweep.concurrency,
        source=FolderCopy(folder.source),
        inputs=FolderCopy(folder.input),
        environment=changes.environment,
        resumed_from=sweep.id,
    )


def twice_problems(points: Points, shared: Mapping[str, Any]) -> list[str]:
    """Say which hyperparameters are given twice: by the points, and for all jobs."""
    return [
        f"hyperparameter {name!r} is varied by the grid and given for all jobs as well; leave one of the two out."
        for name in points.names
        if name in shared
    ]


def _points(grid: object, problems: list[str]) -> Points | None:
    try:
        return points_of(grid)
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _texts(points: Points | None, shared: Mapping[str, str], problems: list[str]) -> list[dict[str, str]]:
    """Return all hyperparameters of each point; what is wrong with them is added to ``problems``."""
    found: list[dict[str, str]] = []
    for number in range(0 if points is None else len(points)):
        wrong: list[str] = []
        point: dict[str, Any] = {} if points is None else points[number]
        found.append(checked_hyperparameters({**shared, **point}, wrong))
        problems.extend(f"point {number}: {problem}" for problem in wrong if problem not in problems)
        if len(problems) > _MOST_PROBLEMS:
            break
    return found


def _varied(texts: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    """Return the hyperparameters that are not the same in all points; all of them when there is one point."""
    names = dict.fromkeys(name for each in texts for name in each)
    if len(texts) == 1:
        return tuple(names)
    return tuple(name for name in names if len({each.get(name) for each in texts}) > 1)


def _concurrency_problems(concurrency: object) -> list[str]:
    whole = isinstance(concurrency, int) and not isinstance(concurrency, bool)
    if concurrency is None or (whole and isinstance(concurrency, int) and 1 <= concurrency <= MAX_POINTS):
        return []
    return [
        f"concurrency={concurrency!r}: a whole number from 1 to {MAX_POINTS} is expected; leave it out for no limit."
    ]


def _name_problems(name: str | None, points: int) -> list[str]:
    if name is None:
        return []
    if problem := name_problem(name):
        return [problem]
    longest = _MAX_NAME_CHARS - len(_suffix(points))
    if len(name) <= longest:
        return []
    return [
        f"name {name!r}: the jobs of the sweep are named {name[:8]}…{_suffix(points)}, and a job's name "
        f"is {NAME_RULE}; use at most {longest} characters."
    ]


def _shortened(name: str, points: int) -> str:
    """Return a name that was made from the source, short enough for the jobs' names."""
    stem, time = name[:-_TIME_CHARS], name[-_TIME_CHARS:]
    return stem[: _MAX_NAME_CHARS - _TIME_CHARS - len(_suffix(points))].rstrip("-") + time


def _suffix(points: int) -> str:
    return f"-{points - 1}"


def _refuse_to_resume(sweep: SweepRecord, unfinished: Sequence[JobRecord]) -> None:
    active = [record for record in unfinished if not record.status.ended]
    if active:
        raise JobStateError(
            f"sweep {sweep.name} ({sweep.id}): {len(active)} of its jobs have not ended; cancel it first, or wait."
        )
    if not unfinished:
        raise JobStateError(f"sweep {sweep.name} ({sweep.id}): all of its jobs have completed.")


def _resumed(record: JobRecord, folder: JobFolder, changes: Changes) -> Point:
    checkpoints = None
    if has_entries(folder.checkpoints):
        checkpoints = Checkpoints(job_id=record.id, job_name=record.spec.name, directory=folder.checkpoints)
    others = checked_hyperparameters(changes.hyperparameters, [])
    hyperparameters = {**record.spec.hyperparameters, **others}
    return Point(number=_number_of(record), hyperparameters=hyperparameters, checkpoints=checkpoints)


def _number_of(record: JobRecord) -> int:
    point = record.spec.sweep_point
    return 0 if point is None else point.number
