"""A submitter for the fault tests: submits jobs for ever, and says each id when the job is accepted."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import qjob

JOB = """\
import os, subprocess, sys, time
from qjob.runtime import get_hyperparameters, save_job_checkpoint, save_job_result, log_metric

order = get_hyperparameters()
ran = os.open(os.path.join(os.environ["AMZN_BRAKET_JOB_RESULTS_DIR"], "ran"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(ran, b"+")
if order["child"] == "yes":
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
for i in range(int(order["steps"])):
    log_metric("step", i, iteration_number=i)
    save_job_checkpoint({"step": i, "padding": "x" * 20000})
    save_job_result({"step": i})
    time.sleep(0.005)
if order["fails"] == "yes":
    raise ValueError("told to fail")
save_job_result({"done": True})
"""


def main(directory: Path, seed: int) -> None:
    """Submit until killed; one in eight jobs is cancelled at once."""
    choose = random.Random(seed)
    script = directory / "job.py"
    script.write_text(JOB)
    while True:
        job = qjob.submit(
            script,
            hyperparameters={
                "steps": choose.choice([1, 5, 20, 60]),
                "child": choose.choice(["yes", "no"]),
                "fails": choose.choice(["yes", "no", "no"]),
            },
            device=choose.choice(["local:none/none", "arn:aws:braket:::device/qpu/acme/one"]),
        )
        print(f"accepted {job.id}", flush=True)
        if choose.random() < 0.125:
            try:
                job.cancel()
            except qjob.JobStateError:
                continue
            print(f"cancelled {job.id}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
