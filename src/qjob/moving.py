"""Moving: a job, or what is left of a sweep, goes on elsewhere: it is ended here and submitted to another engine.

The new one is a job of its own, with the code, the input data and the checkpoints of the old one. Whether the other
engine takes it is asked before anything is ended.
"""

from __future__ import annotations

from qjob.errors import InvalidInput, JobStateError, SubmitError
from qjob.file_lock import file_lock
from qjob.model.record import JobRecord
from qjob.model.status import JobStatus
from qjob.model.sweep import SweepRecord
from qjob.resume import Changes, changed, prepare_move
from qjob.service import Service
from qjob.sweep_request import prepare_sweep_resumption


def move_job(service: Service, job_id: str, changes: Changes) -> JobRecord:
    """End a job and submit it to another engine, where it goes on from its checkpoints; return the new one's record.

    Raises JobStateError when it has completed, InvalidInput when the other engine does not take it; nothing was
    ended then. What only the engine's own scheduler knows, it may refuse later: then the job goes on where it was, and
    that is a SubmitError. A job that completes while it is being ended is not submitted again: that is a
    JobStateError too.
    """
    folder = service.folder(job_id)
    if not folder.spec.exists():
        return _move_alone(service, job_id, changes)  # which says what is missing
    with file_lock(folder.moving, wait=False) as is_mine:
        if not is_mine:
            raise JobStateError(f"job {job_id} is being moved by another process: 'qjob ls' shows where it went.")
        return _move_alone(service, job_id, changes)


def _move_alone(service: Service, job_id: str, changes: Changes) -> JobRecord:
    record = service.record(job_id)
    _raise_if_completed(record)
    _check(service, record, changes)
    prepare_move(record, service.folder(record.id), changes)
    if not record.status.ended:
        service.cancel(record.id, f"moved to the engine {changes.engine}")
        record = service.wait(record.id)
        _raise_if_completed(record)
    return _submit_or_go_on_here(service, record, changes)


def move_sweep(service: Service, sweep_id: str, changes: Changes) -> SweepRecord:
    """End what has not ended of a sweep and submit all that did not complete to another engine, as a new sweep.

    Raises JobStateError when all of it has completed, InvalidInput when the other engine does not take it.
    """
    sweeps = service.sweeps
    records = sweeps.job_records(sweep_id)
    unfinished = [record for record in records if record.status is not JobStatus.COMPLETED]
    if unfinished:
        _check(service, unfinished[0], changes)
    if any(not record.status.ended for record in unfinished):
        sweeps.cancel(sweep_id, f"moved to the engine {changes.engine}")
        sweeps.wait(sweep_id)
        records = sweeps.job_records(sweep_id)
    submission = prepare_sweep_resumption(
        sweeps.record(sweep_id), records, service.folder, sweeps.folder(sweep_id), changes
    )
    return sweeps.submit(submission)


def _submit_or_go_on_here(service: Service, record: JobRecord, changes: Changes) -> JobRecord:
    """Submit an ended job to the other engine; where that refuses it after all, have it go on where it was.

    Raises SubmitError then, which says so.
    """
    folder = service.folder(record.id)
    try:
        return service.submit(prepare_move(record, folder, changes))
    except SubmitError as error:
        here = service.submit(prepare_move(record, folder, Changes(environment=changes.environment)))
        raise SubmitError(
            f"{error} The job goes on where it was, on the engine {here.spec.engine}, as {here.spec.name} ({here.id})."
        ) from error


def _check(service: Service, record: JobRecord, changes: Changes) -> None:
    problems: list[str] = []
    spec = changed(record, changes, problems)
    if problems:
        raise InvalidInput(problems)
    service.check(spec)


def _raise_if_completed(record: JobRecord) -> None:
    if record.status is JobStatus.COMPLETED:
        raise JobStateError(f"job {record.spec.name} ({record.id}) is COMPLETED: there is nothing left to move.")
