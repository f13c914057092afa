"""What a job takes of a Ray cluster, and what is wrong with what it asks for."""

from __future__ import annotations

from typing import Any

import pytest

from qjob.engines.ray.resources import OPTIONS, Take, amounts_text, parse_amounts, problems, take
from qjob.model.config import InstanceConfig
from qjob.testing import make_spec

QPU = "arn:aws:braket:::device/qpu/any/one"
TWO = InstanceConfig(instanceCount=2)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, Take(entrypoint={"CPU": 1.0})),
        ({"options": {"cpus": 0}}, Take(entrypoint={"memory": 1.0})),
        (
            {"options": {"cpus": 2, "gpus": 0.5, "memory": 1 << 30}},
            Take(entrypoint={"CPU": 2, "GPU": 0.5, "memory": 1 << 30}),
        ),
        ({"options": {"resources": "tpu=2"}}, Take(entrypoint={"CPU": 1, "tpu": 2})),
        ({"device": QPU}, Take(entrypoint={"CPU": 1, "qpu": 1})),
        ({"device": QPU, "options": {"resources": {"qpu": 1}}}, Take(entrypoint={"CPU": 1, "qpu": 1})),
        ({"instance_config": TWO}, Take(entrypoint={"memory": 1.0}, instances=({"CPU": 1},) * 2)),
        ({"instance_config": TWO, "device": QPU}, Take(entrypoint={"qpu": 1.0}, instances=({"CPU": 1},) * 2)),
    ],
)
def test_take(fields: dict[str, Any], expected: Take) -> None:
    assert take(make_spec(**fields), {QPU: "qpu=1"}, spreads=True) == expected


def test_instances_that_stay_together_are_taken_by_the_entrypoint() -> None:
    spec = make_spec(instance_config=TWO, options={"gpus": 1, "resources": "licence=1"})
    assert take(spec, {}, spreads=False) == Take(entrypoint={"CPU": 2, "GPU": 2, "licence": 1})


def test_there_is_nothing_wrong_with_every_option() -> None:
    options = {"cpus": 0.5, "gpus": 2, "memory": 1 << 20, "resources": {"qpu": 1, "licence": 0.1}}
    assert list(options) == list(OPTIONS)
    assert problems(make_spec(options=options, device=QPU), {QPU: "qpu=1"}) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cpu": 1}, "option 'cpu': the engine ray knows cpus, gpus, memory, resources; leave it out."),
        ({"cpus": 1.5}, "option cpus=1.5: a fraction of one or a whole number is expected."),
        ({"gpus": True}, "option gpus=True: a fraction of one or a whole number is expected."),
        ({"memory": "1 GB"}, "option memory='1 GB': a whole number of bytes is expected."),
        ({"resources": "qpu"}, "option resources='qpu': qpu='' is no amount"),
        ({"resources": {"qpu": 0}}, "qpu=0 is no amount: a fraction of one or a whole number is expected."),
        ({"resources": 1}, "option resources=1: amounts by name are expected, as in qpu=1."),
        ({"resources": {"GPU": 1}}, "GPU is no custom resource; use the option gpus."),
    ],
)
def test_problems(options: dict[str, Any], said: str) -> None:
    (problem,) = problems(make_spec(options=options), {})
    assert said in problem


def test_all_problems_are_told_at_once() -> None:
    assert len(problems(make_spec(options={"cpus": -1, "no": 1, "nor": 2}, device=QPU), {})) == 4


def test_a_device_needs_something_that_stands_for_it() -> None:
    (problem,) = problems(make_spec(device=QPU), {})
    assert f'[devices."{QPU}"] ray = "qpu=1"' in problem
    (problem,) = problems(make_spec(device=QPU), {QPU: "one qpu"})
    assert problem.startswith(f"[devices.\"{QPU}\"] ray = 'one qpu': ")


def test_amounts_are_read_and_written() -> None:
    assert parse_amounts(" qpu = 1, licence=0.5") == {"qpu": 1.0, "licence": 0.5}
    assert amounts_text({"CPU": 2.0, "qpu": 0.5, "memory": 1.0}) == "CPU=2, qpu=0.5"
