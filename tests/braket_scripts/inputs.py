import json
import os

from braket.jobs import get_input_data_dir, get_results_dir, save_job_result

with open(os.path.join(get_input_data_dir("molecules"), "h2.json")) as file:
    molecule = json.load(file)
with open(f"{get_results_dir()}/plot.txt", "w") as file:
    file.write("a plot")
save_job_result({"atoms": molecule["atoms"], "files": sorted(os.listdir(get_input_data_dir("molecules")))})
