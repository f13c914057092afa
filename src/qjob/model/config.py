"""Braket's configuration classes and metric enumerations, with the published names and defaults.

They are mutable and take positional arguments because the published ones do; a job keeps copies, so
what a user passes is never changed and may be used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


@dataclass
class InstanceConfig:
    """What the job runs on.

    Attributes:
        instanceType: an AWS instance type; recorded, and without effect on a machine of one's own.
        volumeSizeInGb: the disk asked for, in GB; recorded only.
        instanceCount: how many processes (or nodes) run the script, numbered from 0.
    """

    instanceType: str = "ml.m5.large"
    volumeSizeInGb: int = 30
    instanceCount: int = 1


@dataclass
class StoppingCondition:
    """When a job is ended for it.

    Attributes:
        maxRuntimeInSeconds: the longest run, in seconds, from the start of its first instance;
            the default and the maximum are the published five days.
    """

    maxRuntimeInSeconds: int = 5 * 24 * 60 * 60


@dataclass
class CheckpointConfig:
    """Where the job leaves its checkpoints.

    Attributes:
        localPath: the path inside Braket's container; here the job's own ``checkpoints/`` stands
            for it and is what ``AMZN_BRAKET_CHECKPOINT_DIR`` names.
        s3Uri: where Braket copies them.
    """

    localPath: str = "/opt/jobs/checkpoints"
    s3Uri: str | None = None


@dataclass
class OutputDataConfig:
    """Where Braket leaves the results: an S3 path and the key to encrypt them with."""

    s3Path: str | None = None
    kmsKeyId: str | None = None


@dataclass
class DeviceConfig:
    """The device that the job is for: an ARN or ``local:<provider>/<simulator>``."""

    device: str


class S3DataSourceConfig:
    """Input data that lies on S3, in the shape of Braket's API."""

    def __init__(self, s3_data: str, content_type: str | None = None) -> None:
        self.config: dict[str, Any] = {"dataSource": {"s3DataSource": {"s3Uri": s3_data}}}
        if content_type is not None:
            self.config["contentType"] = content_type


class MetricType(Enum):
    """What identifies a row of metrics."""

    TIMESTAMP = "Timestamp"
    ITERATION_NUMBER = "IterationNumber"


class MetricStatistic(Enum):
    """Which of several values for the same row and metric is kept."""

    MIN = "Min"
    MAX = "Max"
    LAST = "Last"
    MEAN = "Mean"
    COUNT = "Count"


class MetricPeriod(Enum):
    """The period over which Braket's cloud aggregates a metric, in seconds."""

    ONE_MINUTE = 60
