"""The streams: plain text where output is piped, colours and live lines where it is a terminal.

What a command was asked for goes to stdout; whatever else it has to say goes to stderr.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from typing import Any, TextIO

import click

from qjob.cli.table import Table, fitted_text, plain_text
from qjob.config import wants_colour

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

STATE_COLOURS = {
    "QUEUED": "yellow",
    "RUNNING": "cyan",
    "COMPLETED": "green",
    "FAILED": "red",
    "CANCELLING": "magenta",
    "CANCELLED": "magenta",
}
_FALLBACK_SIZE = (80, 24)


def out(text: str) -> None:
    """Write a text and a line end to stdout."""
    click.echo(text, color=wants_colour(sys.stdout))


def say(text: str, colour: str | None = None) -> None:
    """Write a line to stderr, in a colour where colours are wanted; by default that of the state it begins with."""
    click.echo(painted(text, colour, sys.stderr), err=True, color=wants_colour(sys.stderr))


def painted(text: str, colour: str | None, stream: TextIO) -> str:
    """Return a text with its first line in a colour, where the stream takes colours."""
    first, newline, rest = text.partition("\n")
    colour = colour or STATE_COLOURS.get(first.partition(" ")[0])
    if colour is None or not wants_colour(stream):
        return text
    return click.style(first, fg=colour) + newline + rest


def print_table(table: Table) -> None:
    """Write a table to stdout: plain and in full, or fitted to the terminal."""
    out(screen_text(table) if sys.stdout.isatty() else plain_text(table))


def screen_text(table: Table) -> str:
    """Return a table as it is shown on a terminal."""
    return fitted_text(table, width(), lambda cell: painted(cell, None, sys.stdout))


def console_of(stream: TextIO) -> Console:
    """Return rich's console on a stream; it changes no text that is printed on it."""
    from rich.console import Console  # 40 ms, which only a terminal needs

    return Console(file=stream, no_color=not wants_colour(stream), highlight=False, markup=False, emoji=False)


def width() -> int:
    """Return the number of columns to write in."""
    return shutil.get_terminal_size(_FALLBACK_SIZE).columns


def is_unicode(stream: TextIO) -> bool:
    """Return whether block and braille characters can be written to a stream."""
    try:
        "─⣿".encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True


def silence(stream: TextIO) -> None:
    """Send what is still to be written to a stream whose reader has gone to nowhere."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: a stream without a descriptor, as in tests
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class Notices:
    """What is said on stderr beside a command's output: lines that stay, and one about now.

    On a terminal the one about now is shown with the time that has passed, and is gone when it is cleared;
    elsewhere it is a line whenever it changes. Use as a context manager.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        """Say things; ``quiet``: nothing at all."""
        self._quiet = quiet
        self._now: _LiveLine | None = None
        self._shown = ""

    def say(self, text: str) -> None:
        """Write a line that stays."""
        if not self._quiet:
            self.clear()
            say(text)

    def show(self, text: str) -> None:
        """Tell what is the case now, in place of what was."""
        if self._quiet or not text or text == self._shown:
            return
        self._shown = text
        if not sys.stderr.isatty():
            say(text)
            return
        self._now = self._now or _LiveLine()
        self._now.text = text

    def clear(self) -> None:
        """Take away the line about now, as far as it can be."""
        if self._now is not None:
            self._now.close()
        self._now = None

    def __enter__(self) -> Notices:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()


class _LiveLine:
    """A line at the bottom of the terminal, with a spinner and the time since it was made."""

    def __init__(self) -> None:
        from rich.status import Status

        self.text = ""
        self._since = time.monotonic()
        console = console_of(sys.stderr)
        self._status: Any = Status(self, console=console, refresh_per_second=5)
        self._status.start()

    def close(self) -> None:
        self._status.stop()

    def __rich__(self) -> Text:
        from rich.text import Text

        from qjob.cli.text import duration_text

        elapsed_s = max(1.0, time.monotonic() - self._since)
        return Text(f"{duration_text(int(elapsed_s))}  {self.text}", no_wrap=True, overflow="ellipsis")
