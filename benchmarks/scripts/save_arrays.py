"""Save BENCH_MB megabytes of numbers in BENCH_ARRAYS arrays as the results."""

import os

import numpy as np

from qjob.runtime import save_job_result

_ARRAYS = int(os.environ["BENCH_ARRAYS"])
_COUNT = int(os.environ["BENCH_MB"]) * 125_000 // _ARRAYS

save_job_result({f"psi{number}": np.arange(_COUNT, dtype=float) + number for number in range(_ARRAYS)})
