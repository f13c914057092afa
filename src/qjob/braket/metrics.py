"""``braket.jobs.metrics``, for scripts that import from there."""

from qjob.runtime import log_metric

__all__ = ["log_metric"]
