"""Time limits in Slurm's words: whole minutes, which are rounded up. Pure."""

from __future__ import annotations

import math
import re

_FORM = re.compile(r"(?:(?P<days>\d+)-(?P<h>\d+)(?::(?P<m>\d+)(?::(?P<s>\d+))?)?|(?P<plain>\d+(?::\d+){0,2}))")
_UNLIMITED = ("UNLIMITED", "INFINITE", "NONE", "N/A", "(NULL)")
_SLACK_S = 120
"""The warning comes up to a minute early (sbatch(1), --signal), and must not come before the exact limit."""


def minutes_for(max_runtime_s: float, grace_s: float) -> int:
    """Return the limit to ask for, in minutes, so that the runner ends the job before Slurm does."""
    return math.ceil((max_runtime_s + grace_s + _SLACK_S) / 60)


def limit_s(text: str) -> float | None:
    """Return a time limit in seconds; None for no limit. Raises ValueError when the text is none of Slurm's forms.

    They are minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes and
    days-hours:minutes:seconds.
    """
    if text.upper() in _UNLIMITED:
        return None
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no time limit of Slurm's, as 90, 1:30:00 or 2-12")
    if found["days"] is not None:
        days, hours, minutes, seconds = (int(found[name] or 0) for name in ("days", "h", "m", "s"))
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    numbers = [int(number) for number in found["plain"].split(":")]
    if len(numbers) == 3:
        return float((numbers[0] * 60 + numbers[1]) * 60 + numbers[2])
    return float(numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0))
