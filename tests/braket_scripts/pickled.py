from braket.jobs import save_job_result
from braket.jobs_data import PersistedJobDataFormat

save_job_result({"eigenvalue": 1 + 2j}, data_format=PersistedJobDataFormat.PICKLED_V4)
