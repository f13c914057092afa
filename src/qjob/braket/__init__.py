"""Amazon Braket's ``braket.jobs``, without Amazon: change the import, and the same job runs on this machine.

What ``braket.jobs`` and its submodules hand out lies here under the same names. Nothing here imports boto3 or
amazon-braket-sdk, and names are loaded when they are first used, as job scripts import this too.
"""

from __future__ import annotations

from importlib import import_module

# At once, so that the name stands for the function from here on, and not for its module.
from qjob.braket.hybrid_job import hybrid_job

TYPE_CHECKING = False  # typing's own constant, without the milliseconds that its import costs every job
if TYPE_CHECKING:
    from typing import Any

    from qjob.braket.image_uris import Framework, retrieve_image
    from qjob.braket.local import LocalQuantumJob
    from qjob.model.config import (
        CheckpointConfig,
        DeviceConfig,
        InstanceConfig,
        MetricPeriod,
        MetricStatistic,
        MetricType,
        OutputDataConfig,
        S3DataSourceConfig,
        StoppingCondition,
    )
    from qjob.quantum_job import QuantumJob
    from qjob.runtime import (
        PersistedJobDataFormat,
        get_checkpoint_dir,
        get_hyperparameters,
        get_input_data_dir,
        get_job_device_arn,
        get_job_name,
        get_results_dir,
        load_job_checkpoint,
        load_job_result,
        log_metric,
        save_job_checkpoint,
        save_job_result,
    )

_NAMES = {
    "qjob.braket.image_uris": "Framework retrieve_image",
    "qjob.braket.local": "LocalQuantumJob",
    "qjob.model.config": (
        "CheckpointConfig DeviceConfig InstanceConfig MetricPeriod MetricStatistic MetricType OutputDataConfig "
        "S3DataSourceConfig StoppingCondition"
    ),
    "qjob.quantum_job": "QuantumJob",
    "qjob.runtime": (
        "PersistedJobDataFormat get_checkpoint_dir get_hyperparameters get_input_data_dir get_job_device_arn "
        "get_job_name get_results_dir load_job_checkpoint load_job_result log_metric save_job_checkpoint "
        "save_job_result"
    ),
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__all__ = [
    "CheckpointConfig",
    "DeviceConfig",
    "Framework",
    "InstanceConfig",
    "LocalQuantumJob",
    "MetricPeriod",
    "MetricStatistic",
    "MetricType",
    "OutputDataConfig",
    "PersistedJobDataFormat",
    "QuantumJob",
    "S3DataSourceConfig",
    "StoppingCondition",
    "get_checkpoint_dir",
    "get_hyperparameters",
    "get_input_data_dir",
    "get_job_device_arn",
    "get_job_name",
    "get_results_dir",
    "hybrid_job",
    "load_job_checkpoint",
    "load_job_result",
    "log_metric",
    "retrieve_image",
    "save_job_checkpoint",
    "save_job_result",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'qjob.braket' has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
