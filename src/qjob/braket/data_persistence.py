"""``braket.jobs.data_persistence``, for scripts that import from there."""

from qjob.runtime import (
    PersistedJobDataFormat,
    load_job_checkpoint,
    load_job_result,
    save_job_checkpoint,
    save_job_result,
)

__all__ = [
    "PersistedJobDataFormat",
    "load_job_checkpoint",
    "load_job_result",
    "save_job_checkpoint",
    "save_job_result",
]
