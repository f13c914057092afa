from braket.jobs import save_job_result


def start_here(theta: float, iterations: int, noisy: bool = True) -> None:
    save_job_result({"theta": theta, "iterations": iterations, "noisy": noisy})
