"""Row: one line of the report, that is a measurement, what it is compared with, and whether its goal is met."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

_HEAD = ("benchmark", "ours (min–max)", "anchor (min–max)", "ours/anchor", "goal", "met?", "remark")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is aimed at.

    Attributes:
        text: for a person.
        holds: whether ``(ours, anchor)`` reaches it.
    """

    text: str
    holds: Callable[[float, float], bool]


def at_most(limit: float, unit: str) -> Goal:
    """Aim at a value of our own."""
    return Goal(text=f"<= {limit:g} {unit}".strip(), holds=lambda ours, _: ours <= limit)


def at_least(limit: float, unit: str) -> Goal:
    """Aim at a value of our own, where more is better."""
    return Goal(text=f">= {limit:g} {unit}".strip(), holds=lambda ours, _: ours >= limit)


def at_most_more(limit: float, unit: str) -> Goal:
    """Aim at a distance from the anchor."""
    return Goal(text=f"<= anchor + {limit:g} {unit}", holds=lambda ours, anchor: ours - anchor <= limit)


def ratio_at_most(limit: float, text: str = "") -> Goal:
    """Aim at a multiple of the anchor, where less is better; ``text`` may say so in other words."""
    return Goal(text=text or f"<= {limit:g}x", holds=lambda ours, anchor: ours <= limit * anchor)


def ratio_at_least(limit: float) -> Goal:
    """Aim at a multiple of the anchor, where more is better."""
    return Goal(text=f">= {limit:g}x", holds=lambda ours, anchor: ours >= limit * anchor)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line.

    Attributes:
        name: what was measured.
        unit: of ``ours``, ``anchor`` and the samples.
        ours: the statistic (the median, where the name does not say otherwise) of our samples; None when
            there was nothing to measure.
        anchor: the same of the anchor; None when there is none.
        anchor_name: what the anchor is.
        goal: what is aimed at, as text; empty where a row is for information.
        met: whether that is reached; None without a goal or a measurement.
        note: what else is to be said.
        fault: what is wrong with our answer, when it is not what it has to be; a goal is missed then.
        our_samples: every measurement of ours, in the order in which they were taken.
        anchor_samples: the same of the anchor.
    """

    name: str
    unit: str = ""
    ours: float | None = None
    anchor: float | None = None
    anchor_name: str = ""
    goal: str = ""
    met: bool | None = None
    note: str = ""
    fault: str = ""
    our_samples: tuple[float, ...] = ()
    anchor_samples: tuple[float, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Ours divided by the anchor."""
        return self.ours / self.anchor if self.ours is not None and self.anchor else None


def compared(
    name: str,
    unit: str,
    ours: Sequence[float],
    anchor: Sequence[float] = (),
    *,
    anchor_name: str = "",
    goal: Goal | None = None,
    note: str = "",
    fault: str = "",
    statistic: Callable[[Sequence[float]], float] = median,
) -> Row:
    """Return the line of a measurement; of a wrong answer (``fault``) no goal is met, however fast it came."""
    our_value, anchor_value = statistic(ours), statistic(anchor) if anchor else None
    return Row(
        name=name,
        unit=unit,
        ours=our_value,
        anchor=anchor_value,
        anchor_name=anchor_name,
        goal=goal.text if goal else "",
        met=not fault and goal.holds(our_value, anchor_value or 0.0) if goal else None,
        note=note,
        fault=fault,
        our_samples=tuple(ours),
        anchor_samples=tuple(anchor),
    )


def not_measured(name: str, reason: str, goal: Goal | None = None) -> Row:
    """Return the line that says why there is no measurement."""
    return Row(name=name, goal=goal.text if goal else "", note=f"not measured: {reason}")


def line(row: Row) -> str:
    """Return a row as a line of text, for whoever watches."""
    cells = zip(_HEAD[1:], _cells(row)[1:], strict=True)
    return f"{row.name}: " + "; ".join(f"{head} {cell}" for head, cell in cells if cell)


def table(rows: Sequence[Row]) -> str:
    """Return rows as a table, in Markdown."""
    lines = [_HEAD, *(tuple(cell.replace("|", "\\|") for cell in _cells(row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_padded(cells, widths) for cells in (lines[0], rule, *lines[1:]))


def to_json(row: Row) -> dict[str, Any]:
    """Return a row as a JSON object, with its ratio and every sample."""
    return asdict(row) | {"ratio": row.ratio}


def _cells(row: Row) -> tuple[str, ...]:
    anchor = _measured(row.anchor, row.anchor_samples, row.unit)
    return (
        row.name,
        _measured(row.ours, row.our_samples, row.unit),
        ": ".join(filter(None, [row.anchor_name, anchor])),
        "" if row.ratio is None else f"{number(row.ratio)}x",
        row.goal,
        {True: "yes", False: "no", None: ""}[row.met],
        "; ".join(filter(None, [row.fault and f"WRONG: {row.fault}", row.note])),
    )


def _measured(value: float | None, samples: Sequence[float], unit: str) -> str:
    """Return a value and, of several samples, the least and the greatest: ``12.3 (11.9–14.0) ms``."""
    if value is None:
        return ""
    spread = f"({number(min(samples))}–{number(max(samples))})" if len(samples) > 1 else ""
    return " ".join(filter(None, [number(value), spread, unit]))


def number(value: float) -> str:
    """Return three digits of a number, all of them where it has more before the point."""
    if value == int(value):
        return f"{value:,.0f}"
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(decimals, 6)}f}"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
