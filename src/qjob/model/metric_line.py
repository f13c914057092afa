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

    ``timestamp`` is in seconds since 1970. ``name`` and ``value`` are printed as they are; read back are
    only the last word of the name (letters, digits, underscores) and a value that `float` accepts.
    """
    line = f"{METRIC_TAG} {TIMESTAMP}={timestamp}; {name}={value};"
    return line if iteration_number is None else f"{line} {ITERATION}={iteration_number};"
