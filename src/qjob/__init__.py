"""Hybrid quantum-classical jobs anywhere: Amazon Braket's ``QuantumJob``, real on any machine.

Names are loaded when they are first used, so that ``import qjob`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own constant, without the milliseconds that its import costs every job
if TYPE_CHECKING:
    from typing import Any

    from qjob.errors import (
        AmbiguousJob,
        CannotBePickled,
        DamagedResult,
        DeviceLost,
        EngineError,
        EngineUnavailable,
        EnvironmentFailed,
        FolderError,
        HomeError,
        InvalidInput,
        JobCancelled,
        JobFailed,
        JobNotFound,
        JobStateError,
        MissingExtra,
        QjobError,
        ResultError,
        ResultTimeout,
        SettingsError,
        StoreCorrupt,
        StoreError,
        StoreMissing,
        StoreTooNew,
        SubmitError,
    )
    from qjob.job import Job, delete, find, get, submit
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
    from qjob.model.points import RandomPoints
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
    from qjob.sweep_handle import Sweep, get_sweep, sweep
    from qjob.sweep_table import SweepTable, SweptJob

_NAMES = {
    "qjob.errors": (
        "AmbiguousJob CannotBePickled DamagedResult DeviceLost EngineError EngineUnavailable EnvironmentFailed "
        "FolderError HomeError InvalidInput JobCancelled JobFailed "
        "JobNotFound JobStateError MissingExtra QjobError ResultError ResultTimeout SettingsError StoreCorrupt "
        "StoreError StoreMissing StoreTooNew SubmitError"
    ),
    "qjob.job": "Job delete find get submit",
    "qjob.model.config": (
        "CheckpointConfig DeviceConfig InstanceConfig MetricPeriod MetricStatistic MetricType OutputDataConfig "
        "S3DataSourceConfig StoppingCondition"
    ),
    "qjob.model.points": "RandomPoints",
    "qjob.quantum_job": "QuantumJob",
    "qjob.runtime": (
        "PersistedJobDataFormat get_checkpoint_dir get_hyperparameters get_input_data_dir get_job_device_arn "
        "get_job_name get_results_dir load_job_checkpoint load_job_result log_metric save_job_checkpoint "
        "save_job_result"
    ),
    "qjob.sweep_handle": "Sweep get_sweep sweep",
    "qjob.sweep_table": "SweepTable SweptJob",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}

__version__ = "0.1.0"
__all__ = [
    "AmbiguousJob",
    "CannotBePickled",
    "CheckpointConfig",
    "DamagedResult",
    "DeviceConfig",
    "DeviceLost",
    "EngineError",
    "EngineUnavailable",
    "EnvironmentFailed",
    "FolderError",
    "HomeError",
    "InstanceConfig",
    "InvalidInput",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobNotFound",
    "JobStateError",
    "MetricPeriod",
    "MetricStatistic",
    "MetricType",
    "MissingExtra",
    "OutputDataConfig",
    "PersistedJobDataFormat",
    "QjobError",
    "QuantumJob",
    "RandomPoints",
    "ResultError",
    "ResultTimeout",
    "S3DataSourceConfig",
    "SettingsError",
    "StoppingCondition",
    "StoreCorrupt",
    "StoreError",
    "StoreMissing",
    "StoreTooNew",
    "SubmitError",
    "Sweep",
    "SweepTable",
    "SweptJob",
    "delete",
    "find",
    "get",
    "get_checkpoint_dir",
    "get_hyperparameters",
    "get_input_data_dir",
    "get_job_device_arn",
    "get_job_name",
    "get_results_dir",
    "get_sweep",
    "load_job_checkpoint",
    "load_job_result",
    "log_metric",
    "save_job_checkpoint",
    "save_job_result",
    "submit",
    "sweep",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'qjob' has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return __all__
