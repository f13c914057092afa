"""Configuration classes, enumerations, names, and the words of the service."""

from __future__ import annotations

from conformance.rows import Table, differs, raises, same

CONFIGURATION = Table(
    title="Configuration classes",
    rows=(
        same("fields(InstanceConfig)", {"instanceType": "ml.m5.large", "volumeSizeInGb": 30, "instanceCount": 1}),
        same("fields(StoppingCondition)", {"maxRuntimeInSeconds": 432000}),
        same("fields(CheckpointConfig)", {"localPath": "/opt/jobs/checkpoints", "s3Uri": None}),
        same("fields(OutputDataConfig)", {"s3Path": None, "kmsKeyId": None}),
        same("parameters(DeviceConfig)", ["device"]),
        same("DeviceConfig('local:a/b').device", "local:a/b"),
        same("DeviceConfig()", raises("TypeError")),
        same("parameters(S3DataSourceConfig)", ["s3_data", "content_type=None"]),
        same("S3DataSourceConfig('s3://b/k').config", {"dataSource": {"s3DataSource": {"s3Uri": "s3://b/k"}}}),
        same(
            "S3DataSourceConfig('s3://b/k', 'text/csv').config",
            {"dataSource": {"s3DataSource": {"s3Uri": "s3://b/k"}}, "contentType": "text/csv"},
        ),
        same(
            "repr(InstanceConfig('ml.p3.2xlarge', 50, 4))",
            "InstanceConfig(instanceType='ml.p3.2xlarge', volumeSizeInGb=50, instanceCount=4)",
        ),
        same("repr(StoppingCondition(60))", "StoppingCondition(maxRuntimeInSeconds=60)"),
        same("InstanceConfig() == InstanceConfig()", True),
        same("InstanceConfig(instanceCount=2) == InstanceConfig()", False),
        same("CheckpointConfig(s3Uri='s3://b') == CheckpointConfig(s3Uri='s3://b')", True),
        same("c = InstanceConfig(); c.instanceCount = 3; c.instanceCount", 3),
        same("hash(InstanceConfig())", raises("TypeError")),
        same("InstanceConfig(count=3)", raises("TypeError")),
    ),
)

ENUMERATIONS = Table(
    title="Enumerations",
    about="`words(...)` are the members of an enumeration, with their values.",
    rows=(
        same("words(MetricType)", {"TIMESTAMP": "Timestamp", "ITERATION_NUMBER": "IterationNumber"}),
        same("words(MetricPeriod)", {"ONE_MINUTE": 60}),
        same("words(PersistedJobDataFormat)", {"PLAINTEXT": "plaintext", "PICKLED_V4": "pickled_v4"}),
        same("isinstance(PersistedJobDataFormat.PLAINTEXT, str)", True),
        same("str(PersistedJobDataFormat.PLAINTEXT)", "PersistedJobDataFormat.PLAINTEXT"),
        differs(
            "words(MetricStatistic)",
            ours={"MIN": "Min", "MAX": "Max", "LAST": "Last", "MEAN": "Mean", "COUNT": "Count"},
            published={"MIN": "Min", "MAX": "Max"},
            why="LAST, MEAN and COUNT are ours",
        ),
    ),
)

_JOBS = "123456789012.dkr.ecr.us-west-2.amazonaws.com/amazon-braket-"

NAMES = Table(
    title="Names of jobs",
    about="`name_for(...)` is the default name of a job made of a function, `valid_name(...)` checks a given one.",
    rows=(
        same("name_for('train')", "train-1700000000000"),
        same("name_for('train_model')", "train-model-1700000000000"),
        same("name_for('f' * 36)", "f" * 36 + "-1700000000000"),
        same("name_for('f' * 60)", "f" * 36 + "-1700000000000"),
        same("name_for_image(None)", "braket-job-default-1700000000000"),
        same("name_for_image('somewhere/else:1')", "braket-job-1700000000000"),
        same(f"name_for_image('{_JOBS}pytorch-jobs:latest')", "braket-job-pytorch-1700000000000"),
        same(f"name_for_image('{_JOBS}base-jobs:1')", "braket-job-base-1700000000000"),
        same("valid_name('a')", "a"),
        same("valid_name('a' * 50)", "a" * 50),
        same("valid_name('VQE-2-b')", "VQE-2-b"),
        same("valid_name('')", raises("ValueError")),
        same("valid_name('a' * 51)", raises("ValueError")),
        same("valid_name('-a')", raises("ValueError")),
        same("valid_name('a-')", raises("ValueError")),
        same("valid_name('a_b')", raises("ValueError")),
        same("valid_name('a b')", raises("ValueError")),
        same("valid_name('größe')", raises("ValueError")),
        differs(
            "len(name_for('f' * 37))",
            ours=50,
            published=51,
            why="a default name is always valid; Braket's is one character too long and then refused",
        ),
        differs(
            "name_for('_private')",
            ours="private-1700000000000",
            published="-private-1700000000000",
            why="a default name is always valid; Braket's begins with a hyphen and is then refused",
        ),
        differs(
            "name_for('größe')",
            ours="gr-e-1700000000000",
            published="größe-1700000000000",
            why="a default name is always valid; Braket's has letters in it that are then refused",
        ),
        same("valid_name('a\\n')", raises("ValueError")),
    ),
)

SERVICE = Table(
    title="States, events and GetJob's response",
    about="`unknown_fields()` are the keys of `metadata()` that a GetJob response does not have.",
    rows=(
        same("states()", ["CANCELLED", "CANCELLING", "COMPLETED", "FAILED", "QUEUED", "RUNNING"]),
        same(
            "event_types()",
            [
                "CANCELLED",
                "COMPLETED",
                "DEPRIORITIZED_DUE_TO_INACTIVITY",
                "DOWNLOADING_DATA",
                "FAILED",
                "MAX_RUNTIME_EXCEEDED",
                "QUEUED_FOR_EXECUTION",
                "RUNNING",
                "STARTING_INSTANCE",
                "UPLOADING_RESULTS",
                "WAITING_FOR_PRIORITY",
            ],
        ),
        same(
            "required_fields()",
            [
                "algorithmSpecification",
                "createdAt",
                "instanceConfig",
                "jobArn",
                "jobName",
                "outputDataConfig",
                "roleArn",
                "status",
            ],
        ),
        differs(
            "unknown_fields()",
            ours=["qjob"],
            published=[],
            why="`metadata()` has one key more, under which all lies that is ours",
        ),
    ),
)
