"""``braket.jobs.quantum_job``, for scripts that import from there."""

from qjob.quantum_job import QuantumJob

__all__ = ["QuantumJob"]
