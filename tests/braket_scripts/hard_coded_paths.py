import json

from braket.jobs import save_job_result

with open("/opt/braket/input/config/hyperparameters.json") as file:
    parameters = json.load(file)
with open("/opt/braket/input/data/molecules/h2.json") as file:
    molecule = json.load(file)
with open("/opt/ml/model/notes.txt", "w") as file:
    file.write("left by hand")
save_job_result({"theta": parameters["theta"], "atoms": molecule["atoms"]})
