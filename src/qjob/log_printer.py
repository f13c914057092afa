"""LogPrinter: a job's output onto a stream, every byte of it."""

from __future__ import annotations

from typing import TextIO

from qjob.config import wants_colour
from qjob.logs import LogPiece

COLOURS = (34, 35, 32, 36, 33)
"""Of the instances, in turn: SGR codes, the published ones."""


class LogPrinter:
    """Writes pieces of a log to a text stream.

    To a stream over a binary one the bytes go as they are. Elsewhere (a notebook, a StringIO) they go as
    text, and what is not UTF-8 is written ``\\xff``. With several instances, each has its colour where
    colours are wanted.
    """

    def __init__(self, stream: TextIO, *, instances: int) -> None:
        self._stream = stream
        self._colourful = instances > 1 and wants_colour(stream)
        self._held = b""

    def write(self, piece: LogPiece) -> None:
        """Write a piece."""
        data = self._coloured(piece) if self._colourful else piece.data
        binary = getattr(self._stream, "buffer", None)
        if binary is None:
            self._write_text(data)
            return
        self._stream.flush()
        binary.write(data)
        binary.flush()

    def close(self) -> None:
        """Write what was held back: the beginning of a character whose end never came."""
        if self._held:
            self._stream.write(self._held.decode("utf-8", "backslashreplace"))
        self._held = b""
        self._stream.flush()

    def _write_text(self, data: bytes) -> None:
        whole, self._held = _split_at_character(self._held + data)
        self._stream.write(whole.decode("utf-8", "backslashreplace"))
        self._stream.flush()

    def _coloured(self, piece: LogPiece) -> bytes:
        colour = COLOURS[piece.instance % len(COLOURS)]
        text = piece.data.removesuffix(b"\n")
        return b"\x1b[%dm%b\x1b[0m%b" % (colour, text, piece.data[len(text) :])


def _split_at_character(data: bytes) -> tuple[bytes, bytes]:
    """Return the bytes up to the last whole UTF-8 character, and the rest: at most three bytes."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:  # the middle of a character
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return (data[:-back], data[-back:]) if length > back else (data, b"")
    return data, b""
