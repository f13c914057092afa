"""Default names: Braket's, and always valid."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.braket.default_names import name_for_image, name_of_function
from qjob.model.naming import NAME_PATTERN

NOW = 1700000000000


@pytest.mark.parametrize(
    ("function", "name", "cut"),
    [
        ("train", f"train-{NOW}", False),
        ("train_model", f"train-model-{NOW}", False),
        ("a__b_", f"a--b--{NOW}", False),
        ("f" * 36, f"{'f' * 36}-{NOW}", False),
        ("f" * 37, f"{'f' * 36}-{NOW}", True),  # defect 6: Braket makes 51 characters of it
        ("f" * 60, f"{'f' * 36}-{NOW}", True),
        ("_private", f"private-{NOW}", False),  # defect 6: Braket begins it with a hyphen
        ("__", f"job-{NOW}", False),
        ("<lambda>", f"lambda-{NOW}", False),
        ("größe", f"gr-e-{NOW}", False),
        ("函数", f"job-{NOW}", False),
    ],
)
def test_a_function_names_its_job(function: str, name: str, cut: bool) -> None:
    assert name_of_function(function, NOW) == (name, cut)
    assert NAME_PATTERN.fullmatch(name)


@pytest.mark.parametrize(
    ("image", "name"),
    [
        (None, "braket-job-default"),
        ("", "braket-job-default"),
        ("1.dkr.ecr.us-west-2.amazonaws.com/amazon-braket-pytorch-jobs:latest", "braket-job-pytorch"),
        ("1.dkr.ecr.us-west-2.amazonaws.com/amazon-braket-mine:1", "braket-job-mine"),
        ("somewhere/else:1", "braket-job"),
        ("x/amazon-braket-my_own/image-jobs:1", "braket-job-my-own-image"),
    ],
)
def test_an_image_names_its_job(image: str | None, name: str) -> None:
    assert name_for_image(image, NOW) == f"{name}-{NOW}"


@given(st.text())
def test_every_default_name_is_valid(text: str) -> None:
    assert NAME_PATTERN.fullmatch(name_of_function(text, NOW)[0])
    assert NAME_PATTERN.fullmatch(name_for_image(f"x/amazon-braket-{text}", NOW))
