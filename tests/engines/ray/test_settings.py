"""The settings of the engine ``ray``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from qjob.engines.ray.settings import RaySettings, read_ray_settings
from qjob.errors import SettingsError


def test_there_are_defaults() -> None:
    assert read_ray_settings({}) == RaySettings(address="http://127.0.0.1:8265", shared=True, poll_s=2.0)


def test_every_key_is_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    table = {
        "address": "https://head:8265/",
        "token_file": str(tmp_path / "token"),
        "shared": False,
        "python": "/usr/bin/python3",
        "poll_s": 5,
        "grows": True,
    }
    assert read_ray_settings(table) == RaySettings(
        address="https://head:8265", token="secret", shared=False, python="/usr/bin/python3", poll_s=5.0, grows=True
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"adress": "x"}, "has no 'adress'; there are address, token, token_file, shared"),
        (
            {"address": "ray://head:10001"},
            "the URL of the cluster's dashboard is expected, as in http://127.0.0.1:8265",
        ),
        ({"token_file": "/no/such"}, "it cannot be read: "),
        ({"shared": "yes"}, "shared = 'yes': true or false is expected"),
        ({"poll_s": -1}, "poll_s = -1: a number of seconds from 0 is expected"),
    ],
)
def test_what_is_wrong_is_told(table: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_ray_settings(table)
    assert said in str(raised.value)


def test_all_that_is_wrong_is_told_and_no_token() -> None:
    with pytest.raises(SettingsError) as raised:
        read_ray_settings({"token": ["s3cret"], "poll_s": "soon", "python": ""})
    assert len(str(raised.value).splitlines()) == 3
    assert "s3cret" not in str(raised.value)


def test_a_token_is_not_shown() -> None:
    assert "s3cret" not in repr(RaySettings(token="s3cret"))
