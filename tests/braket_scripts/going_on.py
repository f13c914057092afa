from braket.jobs import get_hyperparameters, load_job_checkpoint, save_job_checkpoint, save_job_result

old_job = get_hyperparameters().get("copied_from")
step = load_job_checkpoint(old_job)["step"] + 1 if old_job else 1
save_job_checkpoint({"step": step})
save_job_result({"step": step})
