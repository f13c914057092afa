from braket.jobs import get_hyperparameters, save_job_result

from my_package.energies import energy


def run():
    save_job_result({"energy": energy(float(get_hyperparameters()["theta"]))})


if __name__ == "__main__":
    run()
