"""Values as words: durations, moments, sizes, texts of one line. Pure."""

from __future__ import annotations

from datetime import datetime

_UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """Return a duration with two units at most: ``0.42 s``, ``42 s``, ``3 min 20 s``, ``2 d 4 h``."""
    if seconds < 10:
        return f"{max(0.0, seconds):.2g} s"
    left = round(seconds)
    parts = []
    for unit, length in _UNITS:
        count, left = divmod(left, length)
        parts.append((count, unit))
    first = next(at for at, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def ago_text(time: datetime, now: datetime) -> str:
    """Return how long ago a time was, in its largest unit: ``5 min ago``."""
    seconds = (now - time).total_seconds()
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit} ago"
    return "now"


def time_text(time: datetime) -> str:
    """Return a time in UTC, to the second: ``2026-03-31 14:00:07 UTC``."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def size_text(size_bytes: float) -> str:
    """Return a size in the largest unit of 1024 that fits: ``3.4 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size_bytes < 1024:
            return f"{size_bytes:.0f} {unit}" if unit == "B" else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1024
    return f"{size_bytes:.1f} TiB"


def one_line(text: str) -> str:
    """Return a text as one line in which nothing moves the cursor or changes a colour."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Return a text with what moves the cursor or changes a colour written as Python writes it."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def listed(words: list[str], most: int) -> str:
    """Return words with commas between them; beyond ``most`` of them only their number."""
    shown = [one_line(word) for word in words[:most]]
    rest = len(words) - most
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")
