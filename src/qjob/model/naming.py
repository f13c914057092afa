"""What a job is called: its id, its ARN and its name."""

from __future__ import annotations

import re

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: it sorts as the numbers do, and has no ``i``, ``l``, ``o`` or ``u`` to misread."""
TIME_CHARS = 11  # of an id: 55 bits of microseconds since 1970: enough until the year 3111
_RANDOM_CHARS = 4
ID_PATTERN = re.compile(f"[{ALPHABET}]{{{TIME_CHARS + _RANDOM_CHARS}}}")
ARN_PREFIX = "arn:qjob:braket:local:000000000000:job/"
NAME_PATTERN = re.compile(r"(?!-)[A-Za-z0-9-]{1,50}(?<!-)")
NAME_RULE = "1 to 50 letters, digits and hyphens, with no hyphen first or last"


def job_id(time_us: int, random_bits: int) -> str:
    """Return an id of 15 characters that sorts by ``time_us``, microseconds since 1970.

    ``random_bits`` (20 of them count) keeps apart ids that two processes make in one microsecond.
    """
    return _base32(time_us, TIME_CHARS) + _base32(random_bits, _RANDOM_CHARS)


def time_us_of(job_id: str) -> int:
    """Return the time that an id was made of, in microseconds since 1970."""
    time_us = 0
    for character in job_id[:TIME_CHARS]:
        time_us = time_us << 5 | ALPHABET.index(character)
    return time_us


def arn_of(job_id: str) -> str:
    """Return the ARN of a job: Braket's six parts, in a partition of our own."""
    return ARN_PREFIX + job_id


def default_name(stem: str, time_ms: int) -> str:
    """Return a name within Braket's pattern for a source called ``stem``, told apart by the time."""
    suffix = f"-{time_ms}"
    words = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[: 50 - len(suffix)].strip("-")
    return (words or "job") + suffix


def name_problem(name: object) -> str | None:
    """Say what is wrong with a job's name, or return None when nothing is."""
    if isinstance(name, str) and NAME_PATTERN.fullmatch(name):
        return None
    return f"name {name!r}: a job's name is {NAME_RULE}; leave it out to get one made from the source."


def _base32(number: int, width: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(width)))
