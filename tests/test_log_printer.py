"""A log onto a stream: every byte, as bytes where that can be, and colours only where they are wanted."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.log_printer import COLOURS, LogPrinter
from qjob.logs import LogPiece


class Notebook(io.StringIO):
    """A stream of text that is over no binary one, as in Jupyter."""


def piece(data: bytes, instance: int = 0) -> LogPiece:
    return LogPiece(instance=instance, data=data, time=0.0)


def printed_as_text(pieces: list[bytes]) -> str:
    stream = Notebook()
    printer = LogPrinter(stream, instances=1)
    for data in pieces:
        printer.write(piece(data))
    printer.close()
    printer.close()
    return stream.getvalue()


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.binary(max_size=8)))
def test_a_binary_stream_gets_the_bytes(pieces: list[bytes]) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    stream.write("before\n")
    printer = LogPrinter(stream, instances=1)
    for data in pieces:
        printer.write(piece(data))
    printer.close()
    assert raw.getvalue() == b"before\n" + b"".join(pieces)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=20), cuts=st.lists(st.integers(0, 80)))
def test_characters_that_are_cut_in_two_come_whole(text: str, cuts: list[int]) -> None:
    assert printed_as_text(cut(text.encode(), cuts)) == text


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=20) | st.text(max_size=8).map(str.encode), cuts=st.lists(st.integers(0, 20)))
def test_bytes_that_are_no_text_are_written_out_however_they_come(data: bytes, cuts: list[int]) -> None:
    assert printed_as_text(cut(data, cuts)) == data.decode("utf-8", "backslashreplace")


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(place for place in cuts if place < len(data))})
    return [data[start:end] for start, end in pairwise(at)]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff\xfe", "\\xff\\xfe"),
        ("ü".encode()[:1], "\\xc3"),
        ("€".encode()[:2] + b"\n", "\\xe2\\x82\n"),
        ("🎲".encode()[:3], "\\xf0\\x9f\\x8e"),
        (b"\x80" * 5, "\\x80" * 5),
        (b"\0\x1b[31m\r\n", "\0\x1b[31m\r\n"),
    ],
)
def test_what_is_not_utf_8_is_written_as_an_escape(data: bytes, text: str) -> None:
    assert printed_as_text([data]) == text


def test_text_is_shown_at_once_up_to_the_last_whole_character() -> None:
    stream = Notebook()
    printer = LogPrinter(stream, instances=1)
    printer.write(piece(b"a" + "ü".encode()[:1]))
    assert stream.getvalue() == "a"
    printer.write(piece("ü".encode()[1:]))
    assert stream.getvalue() == "aü"


PRINT = """\
import sys
from qjob.log_printer import LogPrinter
from qjob.logs import LogPiece
instances = int(sys.argv[1])
printer = LogPrinter(sys.stdout, instances=instances)
for number in range(instances):
    printer.write(LogPiece(instance=number, data=b"line %d\\n" % number, time=0.0))
printer.write(LogPiece(instance=0, data=b"unfinished", time=0.0))
printer.close()
"""


@pytest.mark.parametrize(
    ("instances", "variables", "colourful"),
    [
        (1, {"CLICOLOR_FORCE": "1"}, False),
        (2, {}, False),
        (2, {"CLICOLOR_FORCE": "1"}, True),
        (2, {"JPY_PARENT_PID": "1"}, False),
        (2, {"JPY_PARENT_PID": "1", "NO_COLOR": "1"}, False),
        (7, {"CLICOLOR_FORCE": "1"}, True),
    ],
)
def test_instances_have_colours_where_they_are_wanted(
    instances: int, variables: dict[str, str], colourful: bool
) -> None:
    wants = ("NO_COLOR", "CLICOLOR_FORCE", "JPY_PARENT_PID")
    environment = {name: value for name, value in os.environ.items() if name not in wants} | variables
    command = [sys.executable, "-c", PRINT, str(instances)]
    said = subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode()
    plain = "".join(f"line {number}\n" for number in range(instances)) + "unfinished"
    assert re.sub(r"\x1b\[\d+m", "", said) == plain
    assert ("\x1b" in said) is colourful
    if colourful:
        colours = [COLOURS[number % 5] for number in range(instances)]
        lines = "".join(f"\x1b[{colour}mline {number}\x1b[0m\n" for number, colour in enumerate(colours))
        assert said == f"{lines}\x1b[{COLOURS[0]}munfinished\x1b[0m"


def test_the_colours_are_the_published_ones() -> None:
    assert COLOURS == (34, 35, 32, 36, 33)
