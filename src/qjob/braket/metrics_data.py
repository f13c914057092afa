"""``braket.jobs.metrics_data``, for scripts that import from there: what `metrics()` takes."""

from qjob.model.config import MetricPeriod, MetricStatistic, MetricType

__all__ = ["MetricPeriod", "MetricStatistic", "MetricType"]
