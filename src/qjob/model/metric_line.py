"""The metric line, written; `qjob.model.metrics` reads it.

Apart from that, because every job that logs a metric imports this, and the reading costs 10 ms of imports.
"""

from __future__ import annotations

METRIC_TAG = "Metrics -"
"""What makes a line of a log a metric line."""

TIMESTAMP = "timestamp"
ITERATION = "iteration_number"


def metric_line(name: str, value: object, *, timestamp: float, iteration_number: int | None = None) -> str:
    """Return the line that reports a metric, in the published format, without a line end.

    ``timestamp`` is in seconds since 1970. ``name`` may be any text in one line without ``=`` and ``;``; read
    back is all of it but for blanks at its ends (Braket's own parser reads its last word only). ``value`` is
    printed as it is; read back is what `float` accepts.

    Raises ValueError for a name that could not be read back.
    """
    name = f"{name}"  # as published: whatever is given, its text
    if not name.isidentifier():  # nearly all are, and this is quick
        _check(name)
    line = f"{METRIC_TAG} {TIMESTAMP}={timestamp}; {name}={value};"
    return line if iteration_number is None else f"{line} {ITERATION}={iteration_number};"


def _check(name: str) -> None:
    problems = [f"contains {mark!r}" for mark in ("=", ";", METRIC_TAG) if mark in name]
    if not name.strip():
        problems.append("is blank")
    elif name.splitlines() != [name]:
        problems.append("has a line end in it")
    if problems:
        raise ValueError(
            f"the metric name {name!r} {' and '.join(problems)}, so that it could not be read from the log again; "
            "a name is a text in one line, without '=' and ';', as in log_metric('loss/train', 0.25)"
        )
