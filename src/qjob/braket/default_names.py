"""The names that jobs have when nobody names them, as Braket makes them, and always valid."""

from __future__ import annotations

import re
import time

_MAX_CHARS = 50
_CONTAINER = re.compile(r"/amazon-braket-(.*)-jobs:|/amazon-braket-([^:/]*)")


def name_of_function(function_name: str, time_ms: int) -> tuple[str, bool]:
    """Return ``<function-name>-<time>``, and whether the function's name had to be cut."""
    return _timed(function_name.replace("_", "-"), time_ms)


def name_for_image(image_uri: str | None, time_ms: int) -> str:
    """Return the name of a job that is no function: ``braket-job-default-<time>``, or after the container."""
    if not image_uri:
        return f"braket-job-default-{time_ms}"
    container = _CONTAINER.search(image_uri)
    kind = "" if container is None else "-" + (container[1] or container[2] or "")
    return _timed(f"braket-job{kind}", time_ms)[0]


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _timed(words: str, time_ms: int) -> tuple[str, bool]:
    allowed = words.lstrip("-")
    if not re.fullmatch(r"[A-Za-z0-9-]+", allowed):
        allowed = re.sub(r"[^A-Za-z0-9]+", "-", allowed).strip("-") or "job"
    suffix = f"-{time_ms}"
    room = _MAX_CHARS - len(suffix)
    return allowed[:room] + suffix, len(allowed) > room
