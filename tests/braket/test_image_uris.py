"""The names of Braket's containers."""

from __future__ import annotations

import pytest

from qjob.braket.image_uris import Framework, retrieve_image


@pytest.mark.parametrize(
    ("framework", "name"),
    [("BASE", "base"), ("PL_TENSORFLOW", "tensorflow"), ("PL_PYTORCH", "pytorch"), ("CUDAQ", "cudaq")],
)
def test_the_uri_of_a_container(framework: str, name: str) -> None:
    uri = f"292282985366.dkr.ecr.eu-west-2.amazonaws.com/amazon-braket-{name}-jobs:latest"
    assert retrieve_image(Framework(framework), "eu-west-2") == uri


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="region 'mars': Braket has its containers in us-east-1"):
        retrieve_image(Framework.BASE, "mars")
    with pytest.raises(ValueError, match="not a valid Framework"):
        retrieve_image("TORCH", "eu-west-2")  # type: ignore[arg-type]
