"""Classes and functions: which members they have, and which parameters those."""

from __future__ import annotations

from conformance.rows import Table, differs, raises, same


def _words(text: str) -> list[str]:
    return text.split()


_MEMBERS = _words(
    "DEFAULT_RESULTS_POLL_INTERVAL DEFAULT_RESULTS_POLL_TIMEOUT arn cancel download_result logs metadata metrics name "
    "result state"
)
_OF_CREATE = _words(
    "device source_module entry_point=None image_uri=None job_name=None code_location=None role_arn=None "
    "hyperparameters=None input_data=None output_data_config=None checkpoint_config=None aws_session=None "
    "local_container_update=True"
)
_OF_DECORATOR = _words(
    "device=None include_modules=None dependencies=None local=False job_name=None image_uri=None input_data=None "
    "wait_until_complete=False instance_config=None distribution=None copy_checkpoints_from_job=None "
    "checkpoint_config=None role_arn=None stopping_condition=None output_data_config=None aws_session=None tags=None "
    "logger=logger quiet=None reservation_arn=None data_format=plaintext"
)
_NAMES = "[p.partition('=')[0] for p in parameters({0})]"

INTERFACE = Table(
    title="The job's interface",
    about="`parameters(...)` are those of a function, with their defaults.",
    rows=(
        same("members(QuantumJob)", _MEMBERS),
        same("sorted(QuantumJob.__abstractmethods__)", [name for name in _MEMBERS if not name.startswith("DEFAULT")]),
        same("QuantumJob.DEFAULT_RESULTS_POLL_TIMEOUT", 864000),
        same("QuantumJob.DEFAULT_RESULTS_POLL_INTERVAL", 5),
        same("QuantumJob()", raises("TypeError")),
        same("parameters(QuantumJob.state)", ["self", "use_cached_value=False"]),
        same("parameters(QuantumJob.metadata)", ["self", "use_cached_value=False"]),
        same("parameters(QuantumJob.logs)", ["self", "wait=False", "poll_interval_seconds=5"]),
        same("parameters(QuantumJob.metrics)", ["self", "metric_type=Timestamp", "statistic=Max"]),
        same("parameters(QuantumJob.cancel)", ["self"]),
        same(
            "parameters(QuantumJob.result)",
            ["self", "poll_timeout_seconds=864000", "poll_interval_seconds=5", "allow_pickle=False"],
        ),
        same(
            "parameters(QuantumJob.download_result)",
            ["self", "extract_to=None", "poll_timeout_seconds=864000", "poll_interval_seconds=5"],
        ),
        same("issubclass(LocalQuantumJob, QuantumJob)", True),
        same(f"set({_MEMBERS}) - set(members(LocalQuantumJob))", set()),
        same(f"parameters(LocalQuantumJob.create)[:{len(_OF_CREATE)}]", _OF_CREATE),
        same("parameters(LocalQuantumJob)[0]", "arn"),
        differs(
            f"parameters(LocalQuantumJob.create)[{len(_OF_CREATE)}:]",
            ours=_words(
                "wait_until_complete=False instance_config=None distribution=None stopping_condition=None "
                "copy_checkpoints_from_job=None tags=None logger=None quiet=False reservation_arn=None "
                "engine=None options=None dependencies=None python=None"
            ),
            published=[],
            why="what only Braket's AwsQuantumJob takes can be given here too, then what is ours",
        ),
        differs(
            "repr(LocalQuantumJob('local:job/gone'))",
            ours=raises("LookupError"),
            published=raises("ValueError"),
            why="a job is looked up among all, by id, ARN or name, and not in the current directory",
        ),
    ),
)

DECORATOR = Table(
    title="The decorator",
    about="`recorded(function, ...)` are the hyperparameters recorded for a call of a decorated function.",
    rows=(
        same(f"sorted(set({[p.partition('=')[0] for p in _OF_DECORATOR]}) - set({_NAMES.format('hybrid_job')}))", []),
        same("hybrid_job(lambda: 0)", raises("TypeError")),
        same("recorded(lambda a, b=2: 0, 1)", {"a": "1", "b": "2"}),
        same("recorded(lambda a, *, b: 0, a=[1], b={'k': None})", {"a": "[1]", "b": "{'k': None}"}),
        same("recorded(lambda **more: 0, x=1, y='z')", {"x": "1", "y": "z"}),
        same("recorded(lambda a, /, b: 0, 1, 2)", {"b": "2"}),
        same("recorded(lambda *a: 0, 1, 2)", {}),
        same("recorded(lambda a: 0)", raises("TypeError")),
        same("recorded(lambda a: 0, 'x\\ny $(z) & `w`')", {"a": "x y ?{z} + 'w'"}),
        same("recorded(lambda a: 0, 'x' * 2500)", {"a": "x" * 2500}),
        same("recorded(lambda a: 0, 'x' * 2501 + 'end')", {"a": "x" * 2477 + "..." + "x" * 17 + "end"}),
        differs(
            "recorded(lambda a: 0, '')",
            ours={"a": "''"},
            published={"a": ""},
            why="the service refuses an empty hyperparameter, so it is shown as Python shows it",
        ),
        differs(
            "len(recorded(lambda **more: 0, **{f'p{n}': n for n in range(101)}))",
            ours=100,
            published=101,
            why="the service refuses more than 100; the function gets all of its arguments all the same",
        ),
    ),
)
