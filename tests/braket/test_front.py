"""What ``qjob.braket`` hands out, and what its import costs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest

import qjob.braket

PUBLISHED = {
    "qjob.braket": (
        "CheckpointConfig InstanceConfig OutputDataConfig S3DataSourceConfig StoppingCondition load_job_checkpoint "
        "load_job_result save_job_checkpoint save_job_result get_checkpoint_dir get_hyperparameters "
        "get_input_data_dir get_job_device_arn get_job_name get_results_dir hybrid_job Framework retrieve_image"
    ),
    "qjob.braket.config": (
        "CheckpointConfig DeviceConfig InstanceConfig OutputDataConfig S3DataSourceConfig StoppingCondition"
    ),
    "qjob.braket.data_persistence": (
        "PersistedJobDataFormat load_job_checkpoint load_job_result save_job_checkpoint save_job_result"
    ),
    "qjob.braket.environment_variables": (
        "get_checkpoint_dir get_hyperparameters get_input_data_dir get_job_device_arn get_job_name get_results_dir"
    ),
    "qjob.braket.hybrid_job": "hybrid_job",
    "qjob.braket.image_uris": "Framework retrieve_image",
    "qjob.braket.local": "LocalQuantumJob",
    "qjob.braket.metrics": "log_metric",
    "qjob.braket.metrics_data": "MetricPeriod MetricStatistic MetricType",
    "qjob.braket.quantum_job": "QuantumJob",
}
"""Per module of ``braket.jobs``, what scripts import from it."""


@pytest.mark.parametrize("module", PUBLISHED)
def test_every_published_name_is_there(module: str) -> None:
    importlib.import_module(module)
    found = sys.modules[module]
    assert [name for name in PUBLISHED[module].split() if not hasattr(found, name)] == []


def test_all_is_all() -> None:
    assert dir(qjob.braket) == qjob.braket.__all__ == sorted(qjob.braket.__all__)
    for name in qjob.braket.__all__:
        assert getattr(qjob.braket, name).__name__ == name
    with pytest.raises(AttributeError, match="no_such"):
        qjob.braket.no_such  # noqa: B018


ORDERS = [
    "from qjob.braket import hybrid_job",
    "from qjob.braket.hybrid_job import hybrid_job",
    "import qjob.braket.hybrid_job; from qjob.braket import hybrid_job",
    "from qjob.braket import LocalQuantumJob; from qjob.braket import hybrid_job",
]


@pytest.mark.parametrize("imports", ORDERS)
def test_the_decorator_is_a_function_in_whatever_order_one_imports(imports: str) -> None:
    fresh(f"{imports}\nassert callable(hybrid_job), hybrid_job")


BLOCKED = "boto3 botocore braket docker cloudpickle numpy pydantic"


def test_no_part_of_it_needs_amazon(tmp_path: object) -> None:
    modules = "\n".join(f"import {module}" for module in PUBLISHED)
    fresh(f"import sys\nfor name in {BLOCKED.split()!r}: sys.modules[name] = None\n{modules}\nimport qjob.braket.links")


def test_a_job_script_pays_for_what_it_uses() -> None:
    """Weakness 14: ``import braket.jobs`` takes two seconds and 200 MB."""
    loaded = fresh(
        "import sys\nbefore = set(sys.modules)\nfrom qjob.braket import hybrid_job, save_job_result\n"
        "hybrid_job(device=None)(lambda: 0)\nprint(*sorted(set(sys.modules) - before))"
    ).split()
    unneeded = {"dataclasses", "inspect", "typing", "pickle", "logging", "sqlite3", "tempfile", "cloudpickle"}
    assert unneeded.isdisjoint(loaded)


def fresh(program: str) -> str:
    """Run a program in a fresh interpreter, without site-packages' own imports at start."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=True).stdout
