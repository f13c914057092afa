"""What a user asks: every rule, every problem at once, and nothing on the disk before all is well."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import make_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qjob.errors import InvalidInput
from qjob.model.config import CheckpointConfig, InstanceConfig, S3DataSourceConfig, StoppingCondition
from qjob.model.naming import name_problem
from qjob.request import Request, prepare
from qjob.request_problems import MAX_PRIORITY
from qjob.staging import Submission

QPU = "arn:aws:braket:us-east-1::device/qpu/acme/one"
Ask = Callable[..., Submission]


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / 'a\'; echo "foo" ü' / "vqe.py"
    path.parent.mkdir()
    path.write_text("def main(theta: float) -> None: ...\n")
    return path


@pytest.fixture
def ask(script: Path) -> Ask:
    """Prepare a request for a good script."""
    return lambda **asked: prepare(Request(**{"source": script, "environment": {}, **asked}))


def problems_of(ask: Callable[[], object]) -> list[str]:
    with pytest.raises(InvalidInput) as refusal:
        ask()
    assert str(refusal.value) == "\n".join(refusal.value.problems)
    return list(refusal.value.problems)


def everything_below(directory: Path) -> set[str]:
    return {os.path.join(root, name) for root, folders, files in os.walk(directory) for name in folders + files}


# What is taken


def test_a_path_alone_is_enough(ask: Ask, script: Path) -> None:
    submission = ask()
    spec = submission.spec
    assert (spec.entry_point, spec.source_name, spec.engine, spec.device) == (
        "vqe",
        "vqe.py",
        "local",
        "local:none/none",
    )
    assert spec.name.startswith("vqe-")
    assert name_problem(spec.name) is None
    assert spec.source_uri.startswith("file:///")
    assert (spec.instance_config, spec.stopping_condition) == (InstanceConfig(), StoppingCondition())
    assert spec.python == sys.executable
    assert submission.environment == {}


def test_everything_asked_is_in_the_spec(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "data.csv").touch()
    spec = ask(
        entry_point="vqe:main",
        device=QPU,
        engine="slurm",
        name="mine",
        hyperparameters={"theta": 0.5, "n": 3, "flag": True, "text": "ü\n", 7: None},
        input_data={"a": tmp_path / "data.csv", "b": S3DataSourceConfig("s3://b/c", "text/csv")},
        instance_config=InstanceConfig(instanceCount=2),
        stopping_condition=StoppingCondition(maxRuntimeInSeconds=60),
        checkpoint_config=CheckpointConfig(s3Uri="s3://b/d"),
        copied_from="0" * 15,
        tags={"sweep": "h2", "empty": ""},
        priority=-3,
        options={"slots": 2, "list": (1, None), "1": {}},
        grace_s=2.5,
    ).spec
    assert (spec.entry_point, spec.device, spec.engine, spec.name) == ("vqe:main", QPU, "slurm", "mine")
    assert spec.hyperparameters == {"theta": "0.5", "n": "3", "flag": "True", "text": "ü\n", "7": "None"}
    assert [(channel.name, channel.content_type) for channel in spec.inputs] == [("a", None), ("b", "text/csv")]
    assert (spec.instance_count, spec.stopping_condition.maxRuntimeInSeconds) == (2, 60)
    assert spec.checkpoint_config.s3Uri == "s3://b/d"
    assert (spec.copied_from, spec.tags, spec.priority) == ("0" * 15, {"sweep": "h2", "empty": ""}, -3)
    assert (spec.options, spec.grace_s) == ({"slots": 2, "list": [1, None], "1": {}}, 2.5)


@pytest.mark.parametrize(
    "device",
    [
        QPU,
        "arn:aws:braket:::device/quantum-simulator/amazon/sv1",
        "arn:aws-us-gov:braket:us-gov-west-1::device/qpu/a/b",
        "local:braket/default",
        "local:none/none",
        "local:pennylane/lightning.qubit",
        "local:a/" + "x" * 248,
    ],
)
def test_devices_that_are_taken(ask: Ask, device: str) -> None:
    assert ask(device=device).spec.device == device


def test_limits_may_be_reached(ask: Ask) -> None:
    most = {f"{number:0256}": "x" * 2500 for number in range(100)}
    assert ask(hyperparameters=most, name="x" * 50, priority=MAX_PRIORITY).spec.hyperparameters == most


def test_what_is_passed_is_neither_changed_nor_kept(ask: Ask) -> None:
    instances, tags, options = InstanceConfig(), {"a": "b"}, {"deep": {"slots": 1}}
    spec = ask(instance_config=instances, tags=tags, options=options).spec
    instances.instanceCount, tags["a"], options["deep"]["slots"] = 9, "changed", 9
    assert (spec.instance_count, spec.tags, spec.options) == (1, {"a": "b"}, {"deep": {"slots": 1}})


@pytest.mark.examples
def test_the_grammar_is_that_of_the_interpreter_that_is_asked_for(ask: Ask, script: Path, tmp_path: Path) -> None:
    """``type X = int`` is Python 3.12's; whoever submits may run on 3.11."""
    script.write_text("x = = 1\n")
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    assert ask(python=other).spec.python == str(other)
    for own in (None, sys.executable):
        assert "not valid Python" in problems_of(partial(ask, python=own))[0]


def test_brakets_own_configuration_is_taken(ask: Ask) -> None:
    braket: Any = pytest.importorskip("braket.jobs.config")
    spec = ask(
        instance_config=braket.InstanceConfig(instanceType="ml.p3.2xlarge", instanceCount=2),
        stopping_condition=braket.StoppingCondition(maxRuntimeInSeconds=7),
        checkpoint_config=braket.CheckpointConfig(s3Uri="s3://b/c"),
        input_data={"a": braket.S3DataSourceConfig("s3://b/d")},
    ).spec
    assert type(spec.instance_config) is InstanceConfig
    assert (spec.instance_config.instanceType, spec.instance_count) == ("ml.p3.2xlarge", 2)
    assert spec.stopping_condition == StoppingCondition(maxRuntimeInSeconds=7)
    assert spec.checkpoint_config == CheckpointConfig(s3Uri="s3://b/c")
    assert spec.inputs[0].uri == "s3://b/d"


def test_a_class_of_the_same_name_and_fields_is_taken(ask: Ask) -> None:
    theirs: Any = make_dataclass("InstanceConfig", ["instanceType", "volumeSizeInGb", "instanceCount", "more"])
    spec = ask(instance_config=theirs("ml.p3.2xlarge", 100, 2, "unknown")).spec
    assert spec.instance_config == InstanceConfig("ml.p3.2xlarge", 100, 2)


def test_the_environment_is_that_of_this_process_unless_another_is_given(script: Path) -> None:
    assert prepare(Request(source=script)).environment == dict(os.environ)
    assert prepare(Request(source=script, environment={"A": "b"})).environment == {"A": "b"}


def test_a_file_left_behind_is_warned_of_where_the_user_called(script: Path) -> None:
    (script.parent / "helper.py").touch()
    script.write_text("import helper\n")
    program = (
        "import sys, warnings\n"
        "import qjob\n"
        "warnings.simplefilter('error')\n"
        "try: qjob.submit(sys.argv[1])\n"
        "except UserWarning as warning: print(warning)\n"
    )
    command = [sys.executable, "-c", program, str(script)]
    variables = os.environ | {"QJOB_HOME": str(script.parent / "home")}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert "vqe.py imports helper.py from beside it" in done.stdout
    assert "entry_point='<folder>.vqe'" in done.stdout


# What is refused

InstanceLike = make_dataclass("InstanceConfig", ["instanceType"])
any_instances: Any = InstanceConfig  # with fields that have no business there
any_stopping: Any = StoppingCondition
any_checkpoints: Any = CheckpointConfig
ONE_PROBLEM: list[tuple[dict[str, Any], str]] = [
    # names
    *(({"name": name}, f"name {name!r}: a job's name is 1 to 50") for name in ("", "-a", "a_b", "x" * 51, "ü", 7)),
    # hyperparameters
    ({"hyperparameters": {str(n): "1" for n in range(101)}}, "hyperparameters: 101 were given, at most 100"),
    ({"hyperparameters": {(1, 2): 1}}, "hyperparameter (1, 2): a key is a text"),
    ({"hyperparameters": {None: 1}}, "hyperparameter None: a key is a text"),
    ({"hyperparameters": {b"a": 1}}, "hyperparameter b'a': a key is a text"),
    ({"hyperparameters": {"": 1}}, "a key has 1 to 256 characters, this has 0; shorten it."),
    ({"hyperparameters": {"k" * 257: 1}}, "a key has 1 to 256 characters, this has 257"),
    ({"hyperparameters": {"a": "x" * 2501}}, "hyperparameter 'a': a value has 1 to 2500 characters, this has 2501"),
    ({"hyperparameters": {"a": list(range(1000))}}, "put it into an input file (input_data)."),
    ({"hyperparameters": {"a": ""}}, "this has 0; leave it out."),
    ({"hyperparameters": {1: "a", "1": "b"}}, "hyperparameter '1' is given more than once"),
    *(({"hyperparameters": value}, "a dict is expected, as in {'theta': 0.1}") for value in ([], "x", 5, [("a", 1)])),
    # devices
    *(
        ({"device": device}, f"device {device!r}: a device is an ARN")
        for device in ("qpu", "", "local:", "local:a", "local:a/", "local:a b/c", "sv1", 5, None, "arn:aws:s3:::b/c")
    ),
    *(({"device": device}, f"device {device!r}") for device in ("local:a/" + "x" * 249, QPU + "\n", f" {QPU}")),
    # engines
    *(({"engine": engine}, f"engine={engine!r}: the name of an engine") for engine in ("", None, 5, ["local"])),
    # priority
    *(
        ({"priority": priority}, f"priority={priority!r}: a whole number from")
        for priority in ("1", 1.5, None, True, MAX_PRIORITY + 1, -MAX_PRIORITY - 1)
    ),
    # configuration
    *(
        ({"instance_config": value}, "an object of InstanceConfig is expected, as in InstanceConfig()")
        for value in ({"instanceCount": 2}, "ml.m5.large", 2, StoppingCondition(), InstanceLike("x"), InstanceConfig)
    ),
    ({"stopping_condition": 60}, "stopping_condition=60: an object of StoppingCondition is expected"),
    ({"checkpoint_config": "s3://b/c"}, "checkpoint_config='s3://b/c': an object of CheckpointConfig is expected"),
    *(
        ({"instance_config": any_instances(instanceCount=count)}, f"instanceCount={count!r}: a whole number from 1")
        for count in (0, -1, 1.0, "2", True, None)
    ),
    ({"instance_config": any_instances(volumeSizeInGb="30")}, "volumeSizeInGb='30': a whole number"),
    ({"instance_config": any_instances(instanceType=None)}, "instanceType=None: a text is expected"),
    *(
        (
            {"stopping_condition": any_stopping(maxRuntimeInSeconds=limit)},
            f"maxRuntimeInSeconds={limit!r}: a whole",
        )
        for limit in (0, -1, 1.5, "60", None)
    ),
    ({"checkpoint_config": any_checkpoints(localPath=Path("/x"))}, "checkpoint_config.localPath="),
    ({"checkpoint_config": any_checkpoints(s3Uri=5)}, "checkpoint_config.s3Uri=5: a text is expected"),
    # tags
    *(({"tags": tags}, "a dict is expected, as in {'sweep': 'h2'}") for tags in (["a"], "a", 5)),
    ({"tags": {"a": 1}}, "tag 'a'=1: keys and values are texts; write '1'."),
    ({"tags": {1: "a"}}, "tag 1='a'"),
    ({"tags": {"": "a"}}, "tag ''='a'"),
    # options
    *(({"options": options}, "a dict is expected") for options in ([1], "a", 5)),
    ({"options": {"a": object()}}, "only what JSON can hold is allowed"),
    ({"options": {"a": float("nan")}}, "only what JSON can hold is allowed"),
    ({"options": {(1, 2): 1}}, "only what JSON can hold is allowed"),
    # the source, the entry point, the inputs
    ({"source": "/no/such/script.py"}, "'/no/such/script.py'"),
    ({"source": 5}, "5"),
    ({"entry_point": "vqe:no_such"}, "entry point 'vqe:no_such'"),
    ({"entry_point": "other"}, "entry point 'other'"),
    ({"entry_point": 5}, "entry point 5: a str is expected"),
    ({"input_data": "/no/such/data"}, "input channel 'input'"),
    ({"input_data": {"a": "/no/such/data"}}, "input channel 'a'"),
    ({"input_data": 5}, "input channel 'input'"),
]


@pytest.mark.parametrize(("asked", "words"), ONE_PROBLEM)
def test_a_problem_is_named_and_nothing_is_written(ask: Ask, tmp_path: Path, asked: dict[str, Any], words: str) -> None:
    before = everything_below(tmp_path)
    [problem] = problems_of(lambda: ask(**asked))
    assert words in problem
    assert problem.endswith((".", "?"))
    assert everything_below(tmp_path) == before


def test_every_problem_is_told_at_once(ask: Ask) -> None:
    found = problems_of(
        lambda: ask(
            entry_point="vqe:no_such",
            device="qpu",
            engine="",
            name="-bad-",
            hyperparameters={"": 1, "a": "", "b": "x" * 2501, (1,): 2},
            input_data={"a": "/no/such", "b/c": "/no/such/either"},
            instance_config=5,
            stopping_condition=any_stopping(maxRuntimeInSeconds=0),
            checkpoint_config=any_checkpoints(localPath=5),
            tags={"a": 1, "b": 2},
            priority="high",
            options=[object()],
        )
    )
    words = """no_such|input channel 'b/c'|'/no/such'|'/no/such/either'|hyperparameter ''|'a': a value|'b': a value
        |(1,)|instance_config=5|maxRuntimeInSeconds=0|localPath=5|name '-bad-'|device 'qpu'|engine=''|priority='high'
        |tag 'a'|tag 'b'|options=["""
    missing = [word for word in map(str.strip, words.split("|")) if not any(word in problem for problem in found)]
    assert missing == []
    assert len(found) == len(words.split("|"))


def test_a_source_that_is_not_there_hides_no_other_problem(ask: Ask) -> None:
    assert len(problems_of(lambda: ask(source="/no/such", name="-", entry_point="x:y", tags={"a": 1}))) == 3
