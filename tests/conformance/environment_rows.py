"""What a job is told by its environment."""

from __future__ import annotations

from conformance.rows import Table, raises, same

ENVIRONMENT = Table(
    title="What a job asks its environment",
    rows=(
        same("get_job_name()", "vqe"),
        same("get_results_dir()", "results"),
        same("get_checkpoint_dir()", "checkpoints"),
        same("environ['AMZN_BRAKET_DEVICE_ARN'] = 'local:a/b'; get_job_device_arn()", "local:a/b"),
        same("environ['AMZN_BRAKET_INPUT_DIR'] = '/in'; get_input_data_dir()", "/in/input"),
        same("environ['AMZN_BRAKET_INPUT_DIR'] = '/in'; get_input_data_dir('train')", "/in/train"),
        same("environ['AMZN_BRAKET_INPUT_DIR'] = '/in'; get_input_data_dir(channel='train')", "/in/train"),
        same(
            "Path('hp.json').write_text('{\"n\": \"3\"}'); environ['AMZN_BRAKET_HP_FILE'] = 'hp.json'; "
            "get_hyperparameters()",
            {"n": "3"},
        ),
        same("environ['AMZN_BRAKET_HP_FILE'] = 'gone.json'; get_hyperparameters()", raises("FileNotFoundError")),
        same("get_hyperparameters()", {}),
        same("get_job_device_arn()", "local:none/none"),
        same("get_input_data_dir()", "."),
        same("get_input_data_dir('train')", "."),
        same("environ.pop('AMZN_BRAKET_JOB_NAME'); get_job_name()", ""),
        same("environ.pop('AMZN_BRAKET_JOB_RESULTS_DIR'); get_results_dir()", "."),
        same("environ.pop('AMZN_BRAKET_CHECKPOINT_DIR'); get_checkpoint_dir()", "."),
    ),
)
