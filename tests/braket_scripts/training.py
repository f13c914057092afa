from braket.jobs import get_hyperparameters, save_job_checkpoint, save_job_result
from braket.jobs.metrics import log_metric

parameters = get_hyperparameters()
theta = float(parameters["theta"])
for iteration in range(int(parameters["iterations"])):
    theta /= 2
    log_metric(metric_name="theta", value=theta, iteration_number=iteration)
    save_job_checkpoint({"theta": theta, "iteration": iteration}, checkpoint_file_suffix="latest")
save_job_result({"theta": theta})
