"""Metric lines as bytes, to be kept and read again some twenty times as fast as from the log.

Sections, each a line of JSON and behind it what the JSON says. ``{"mixed": [line, …]}`` are lines of any form and has
nothing behind it. Otherwise there are ``lines`` plain ones: their times, their values, their iterations where
``iterations`` is true, all as little-endian doubles; where it is a list, that has the numbers of the lines without
one. ``names`` and ``nodes`` are the different texts; where these do not take turns from first to last (``turns`` of a
column is false), the number of each line's text comes behind the doubles as a little-endian unsigned 32-bit integer.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from qjob.model.metric_line import ITERATION, TIMESTAMP
from qjob.model.metric_reader import MetricLines, PlainLines, take_turns

_DOUBLE_BYTES = 8
_NUMBER_BYTES = 4
_IS_BIG_ENDIAN = array("H", [1]).tobytes() == b"\0\1"  # as this machine keeps numbers


def encode(parts: Iterable[MetricLines]) -> bytes:
    """Return metric lines as bytes."""
    return b"".join(chain.from_iterable(map(_section, parts)))


def decode(data: bytes) -> Iterator[MetricLines]:
    """Yield the metric lines that `encode` made bytes of; raises ValueError for anything else."""
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        header = json.loads(data[at:end], parse_constant=float)  # each NaN one of its own, as they make rows
        if "mixed" in header:
            at = end + 1
            yield header["mixed"]
            continue
        body = _Body(data, end + 1, header["lines"])
        yield _plain(header, body)
        at = body.at


def _section(lines: MetricLines) -> list[bytes]:
    if not isinstance(lines, PlainLines):
        return [_json_line({"mixed": lines})]
    count = len(lines.values)
    header: dict[str, Any] = {"lines": count, "iterations": False}
    columns: list[Sequence[float | None]] = [lines.fixed[TIMESTAMP], lines.values]
    if ITERATION in lines.fixed:
        iterations = lines.fixed[ITERATION]
        header["iterations"] = lines.without_iteration or True
        columns.append(
            [0.0 if each is None else each for each in iterations] if lines.without_iteration else iterations
        )
    parts = [_packed("d", column) for column in columns]
    header["names"], numbers = _numbered(lines.names, lines.turns)
    header["nodes"], node_numbers = _numbered(lines.nodes, ())
    parts += [_packed("I", column) for column in (numbers, node_numbers) if column]
    return [_json_line(header), *parts]


def _packed(code: str, column: Sequence[Any]) -> bytes:
    """Return numbers as little-endian bytes; an array makes them in half the time that `struct` takes."""
    numbers = array(code, column)
    if _IS_BIG_ENDIAN:
        numbers.byteswap()
    return numbers.tobytes()


def _numbered(texts: Sequence[str], turns: Sequence[str]) -> tuple[dict[str, Any], list[int]]:
    """Return the different texts, and which of them each one is, unless they take turns."""
    different = turns or list(dict.fromkeys(texts))
    if turns or take_turns(texts, len(different)):
        return {"texts": different, "turns": True}, []
    number_of = {text: number for number, text in enumerate(different)}
    return {"texts": different, "turns": False}, [number_of[text] for text in texts]


def _json_line(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, separators=(",", ":")).encode() + b"\n"


class _Body:
    """What stands behind a header, read column by column."""

    def __init__(self, data: bytes, at: int, count: int) -> None:
        self._data = data
        self.at = at
        self._count = count

    def doubles(self) -> list[float]:
        return self._take("d", _DOUBLE_BYTES)

    def texts(self, header: Mapping[str, Any]) -> list[str]:
        different: list[str] = header["texts"]
        if header["turns"]:
            return (different * (self._count // len(different) + 1))[: self._count] if different else []
        return [different[number] for number in self._take("I", _NUMBER_BYTES)]

    def _take(self, code: str, size: int) -> list[Any]:
        part = self._data[self.at : self.at + self._count * size]
        if len(part) < self._count * size:
            raise ValueError(f"{self._count} numbers were to come, and {len(part)} bytes did")
        self.at += len(part)
        numbers = array(code, part)
        if _IS_BIG_ENDIAN:
            numbers.byteswap()
        return numbers.tolist()


def _plain(header: Mapping[str, Any], body: _Body) -> PlainLines:
    times, values = body.doubles(), body.doubles()
    fixed: dict[str, Sequence[float | None]] = {TIMESTAMP: times}
    if header["iterations"]:
        iterations: list[float | None] = list(body.doubles())
        if header["iterations"] is not True:
            for line in header["iterations"]:
                iterations[line] = None
        fixed[ITERATION] = iterations
    names = body.texts(header["names"])
    turns = header["names"]["texts"] if header["names"]["turns"] else ()
    return PlainLines.in_turns(turns, fixed=fixed, names=names, values=values, nodes=body.texts(header["nodes"]))
