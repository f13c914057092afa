"""``braket.jobs.config``, for scripts that import from there."""

from qjob.model.config import (
    CheckpointConfig,
    DeviceConfig,
    InstanceConfig,
    OutputDataConfig,
    S3DataSourceConfig,
    StoppingCondition,
)

__all__ = [
    "CheckpointConfig",
    "DeviceConfig",
    "InstanceConfig",
    "OutputDataConfig",
    "S3DataSourceConfig",
    "StoppingCondition",
]
