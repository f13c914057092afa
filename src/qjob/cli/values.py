"""What the command line takes for a value: a duration, a moment, ``key=value``, a job."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from click.shell_completion import CompletionItem

_UNIT_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_PART = r"[0-9]+(?:\.[0-9]+)?"
_DURATION = re.compile(rf"(?:({_PART})d)?(?:({_PART})h)?(?:({_PART})m)?(?:({_PART})s?)?")
_MAX_S = 1e9
_COMPLETIONS = 50


def parse_duration(text: str) -> float:
    """Return the seconds that ``2h``, ``90m``, ``1h30m``, ``1.5d`` or ``45`` (seconds) mean.

    Raises ValueError.
    """
    parts = _DURATION.fullmatch(text)
    if parts is None or not any(parts.groups()):
        raise ValueError(f"{text!r} is no duration; write it like 90s, 10m, 2h, 1h30m or 1d.")
    seconds = sum(float(part or 0) * unit for part, unit in zip(parts.groups(), _UNIT_S.values(), strict=True))
    if seconds > _MAX_S:
        raise ValueError(f"{text!r} is longer than 30 years.")
    return seconds


def parse_moment(text: str, now: datetime) -> datetime:
    """Return the aware UTC time that a duration before ``now`` or an ISO 8601 text means.

    A text without a time zone means the local one. Raises ValueError.
    """
    if _DURATION.fullmatch(text):
        return now - timedelta(seconds=parse_duration(text))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is no moment; write how long ago (10m, 2h, 1d) or a date and time (2026-03-31T14:00)."
        ) from error


def to_mapping(pairs: Iterable[tuple[str, Any]], option: str) -> dict[str, Any]:
    """Return the pairs as a dict; raises click.UsageError when a key was given twice."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise click.UsageError(f"{option}: {key!r} is given twice, as {found[key]!r} and as {value!r}; give one.")
        found[key] = value
    return found


class _Type(click.ParamType):  # type: ignore[type-arg]  # it is generic in newer versions of click only
    """A type of value."""


class Duration(_Type):
    """A duration, as a float in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        try:
            return value if isinstance(value, float) else parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Moment(_Type):
    """A moment, as an aware datetime in UTC."""

    name = "duration or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Return the moment."""
        try:
            return value if isinstance(value, datetime) else parse_moment(value, datetime.now(UTC))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class KeyValue(_Type):
    """``key=value``, as a pair of texts; the first ``=`` parts them."""

    name = "key=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Return key and value."""
        if isinstance(value, tuple):
            return value
        key, equals, text = value.partition("=")
        if not equals or not key:
            self.fail(f"{value!r}: write it as KEY=VALUE.", param, ctx)
        return key, text


class Pattern(_Type):
    """A regular expression over bytes, compiled."""

    name = "regex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> re.Pattern[bytes]:
        """Return it compiled."""
        try:
            return re.compile(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else value
        except re.error as error:
            self.fail(f"{value!r} is no regular expression: {error}.", param, ctx)


class SweepSelector(_Type):
    """What means a sweep: its name, its id or the beginning of that; as the text it is."""

    name = "sweep"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        return str(value)


class JobSelector(_Type):
    """What means a job: its name, its id, the beginning of that, or its ARN; as the text it is.

    Only the service knows whether there is such a job.
    """

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text."""
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names and ids of recent jobs that begin so."""
        from qjob.cli.completion import recent_jobs  # needs the service, which parsing does not

        jobs = recent_jobs(ctx, _COMPLETIONS)
        names = [(job.spec.name, f"{job.status}, {job.id}") for job in jobs]
        ids = [(job.id, f"{job.status}, {job.spec.name}") for job in jobs]
        found = {word: about for word, about in [*names, *ids] if word.startswith(incomplete)}
        return [CompletionItem(word, help=about) for word, about in found.items()]


DURATION = Duration()
MOMENT = Moment()
KEY_VALUE = KeyValue()
PATTERN = Pattern()
JOB = JobSelector()
SWEEP = SweepSelector()
