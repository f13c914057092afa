"""``braket.jobs.image_uris``: the names of Braket's containers, which no job here needs.

For scripts that ask for one and pass it on as ``image_uri``, which is recorded in the job's default name only.
"""

from __future__ import annotations

from enum import StrEnum

_REGISTRY = "292282985366"
_REGIONS = ("us-east-1", "us-west-1", "us-west-2", "eu-west-2", "eu-north-1")


class Framework(StrEnum):
    """What a container of Braket's has installed."""

    BASE = "BASE"
    PL_TENSORFLOW = "PL_TENSORFLOW"
    PL_PYTORCH = "PL_PYTORCH"
    CUDAQ = "CUDAQ"


def retrieve_image(framework: Framework, region: str) -> str:
    """Return the URI of Braket's container for a framework in an AWS region; nothing is asked of AWS.

    Raises ValueError for a framework or a region that there is not.
    """
    name = Framework(framework).lower().removeprefix("pl_")
    if region not in _REGIONS:
        raise ValueError(f"region {region!r}: Braket has its containers in {', '.join(_REGIONS)}.")
    return f"{_REGISTRY}.dkr.ecr.{region}.amazonaws.com/amazon-braket-{name}-jobs:latest"
