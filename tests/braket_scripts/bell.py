from braket.circuits import Circuit
from braket.devices import LocalSimulator
from braket.jobs import get_job_device_arn, get_job_name, save_job_result

counts = LocalSimulator().run(Circuit().h(0).cnot(0, 1), shots=100).result().measurement_counts
save_job_result({"counts": dict(counts), "name": get_job_name(), "device": get_job_device_arn()})
