"""Metric lines, read from the bytes of a log; `qjob.model.metrics` tells of the format and makes the table."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from qjob.model.metric_line import ITERATION, METRIC_TAG, TIMESTAMP

NODE = "node_id"
SHARED = (TIMESTAMP, ITERATION)
"""What several metrics of a row have in common, one of them its pivot."""

_TAG = METRIC_TAG.encode()

# All for a text that ends in its last ``;``: then no search for one is in vain, and with the possessive repeats
# and the looks behind this takes time in proportion to the text, whatever a job prints. _WRITTEN is what
# `metric_line` puts behind the tag.
_WRITTEN = re.compile(rf" {TIMESTAMP}=([^;=]++); (?!\s*+=)([^;=]++)=([^;=]++);")
_ASSIGNMENT = re.compile(r"(?<![^\s;=])[^\s;=\w]*+(\w[^\s;=]*+)(?<=\w)\s*+=\s*+([^;]++);")
_ASSIGNMENT_BEFORE_TAG = re.compile(r"\b(\w++)\s*+=\s*+([^;]++);")
_SHARED_AT_END = re.compile(rf"(?<!\w)(?:{'|'.join(SHARED)})\Z")
_NODE_TAG = re.compile(r"\[([^\]]*)\]")


def _plain_line(name: str, number: str, encoding: str = "ascii") -> bytes:
    """Return a pattern for the line that `metric_line` writes: all metric lines of most logs.

    The lookbehind ties it to the beginning of a line. A ``^`` in front would do so too, but would keep
    `re` from searching for the literal prefix.
    """
    end = rf"(?: iteration_number={number};\r?\n|\r?\n)"
    return rf"Metrics - (?<=^Metrics - )timestamp={number}; {name}={number};{end}".encode(encoding)


# What [^=] and [^;] let through too much (line ends above all), _read_plain finds out for many lines at once:
# classes that exclude it take half as long again.
_ANY_NAME, _ANY_NUMBER = "([^=]{1,99}+)", "([^;]{1,40}+)"
_PLAIN = re.compile(_plain_line(_ANY_NAME, _ANY_NUMBER), re.MULTILINE)
_TAGGED = re.compile(rb"^\[([^]\n]*+)\]" + _PLAIN.pattern.replace(b"(?<=^Metrics - )", b""), re.MULTILINE)
_STRICT = _plain_line(r"[^=;\r\n]{1,99}+", r"[-+.\deE]{1,40}+")
_STRICT_LINES = re.compile(b"%b(?:%b){7,}" % (_STRICT, _STRICT), re.MULTILINE)  # fewer are read one by one
_BLOCK_BYTES = 1 << 18


@dataclass(frozen=True, kw_only=True)
class PlainLines:
    """Metric lines as `qjob.model.metric_line` writes them, as columns of the same length.

    Attributes:
        fixed: the times; and the iterations if any line has one, None where a line has none.
        names: the name of each line's metric.
        values: its value.
        nodes: its node, if all of the lines have one; else nothing.
    """

    fixed: Mapping[str, Sequence[float | None]]
    names: Sequence[str]
    values: Sequence[float]
    nodes: Sequence[str] = ()

    @classmethod
    def in_turns(cls, turns: Sequence[str], **columns: Any) -> PlainLines:
        """Return lines of which the names are known to take turns."""
        made = cls(**columns)
        made.__dict__["turns"] = turns  # where `cached_property` keeps what it found
        return made

    @cached_property
    def turns(self) -> Sequence[str]:
        """The names that take turns from the first line to the last, as of a loop; nothing where it is not so."""
        different = list(dict.fromkeys(self.names))
        return different if take_turns(self.names, len(different)) else ()

    @cached_property
    def without_iteration(self) -> Sequence[int]:
        """The numbers of the lines that have no iteration, where others have one."""
        iterations = self.fixed.get(ITERATION, ())
        return [line for line, each in enumerate(iterations) if each is None] if None in iterations else ()


def take_turns(texts: Sequence[str], period: int) -> bool:
    """Return whether each text is the same as the one so many places before it."""
    return texts[period:] == texts[: max(0, len(texts) - period)]


MixedLines = list[dict[str, Any]]
"""Metric lines of any form: each the numbers by name that it reports, and under `NODE` the text of its tag, if any."""

MetricLines = PlainLines | MixedLines


def read_metric_lines(data: bytes, time_of: Callable[[int], float]) -> Iterator[MetricLines]:
    """Yield the metric lines of a part of a log, in its order.

    Args:
        data: whole lines, each ended by a line feed and by nothing else; the last may lack its own.
        time_of: gives the moment, in seconds since 1970, at which the byte at an offset of ``data``
            came. It is asked about the ``Metrics -`` of lines that name no time, from first to last.
    """
    if not data.endswith(b"\n"):
        data += b"\n"
    for start, stop in _blocks(data):
        plain = _read_plain(data[start:stop])
        if plain is None:
            yield from _read_mixed(data, start, stop, time_of)
        else:
            yield plain


def _blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Cut out blocks of whole lines that begin with a metric line; what lies between them has none."""
    tag = data.find(_TAG)
    while tag >= 0:
        start = data.rfind(b"\n", 0, tag) + 1
        stop = max(data.find(b"\n", tag), data.rfind(b"\n", tag, start + _BLOCK_BYTES)) + 1
        yield start, stop
        tag = data.find(_TAG, stop)


def _read_plain(block: bytes) -> PlainLines | None:
    """Return the metrics of a block of whole lines, or None if a metric line in it is not plain."""
    try:
        return _read_one_metric(block) or _read_any(block)
    except ValueError:
        return None


def _read_one_metric(block: bytes) -> PlainLines | None:
    """Return the metrics of plain lines of one and the same name, several of which are read in a row; or None."""
    first = _PLAIN.match(block)
    following = _PLAIN.match(block, first.end()) if first else None
    if first is None or following is None or first[2] != following[2]:
        return None
    between, times, values, iterations = _split(_plain_of(first[2]), block)
    if not _is_all(block, between, times):
        return None
    name = _column_name(first[2])
    return PlainLines.in_turns(
        [name], fixed=_fixed(times, iterations), names=[name] * len(times), values=list(map(float, values))
    )


def _read_any(block: bytes) -> PlainLines | None:
    """Return the metrics of plain lines; or None."""
    between, *tags, times, names, values, iterations = _split(_TAGGED if block.startswith(b"[") else _PLAIN, block)
    if not _is_all(block, between, times):
        return None
    return PlainLines(
        fixed=_fixed(times, iterations),
        names=_texts(names, _column_name),
        values=list(map(float, values)),
        nodes=_texts(tags[0], _decoded) if tags else (),
    )


@lru_cache(maxsize=64)
def _plain_of(name: bytes) -> re.Pattern[bytes]:
    return re.compile(_plain_line(re.escape(name.decode("latin-1")), _ANY_NUMBER, "latin-1"), re.MULTILINE)


def _split(pattern: re.Pattern[bytes], block: bytes) -> list[list[bytes]]:
    """Return what lies between plain lines, and what each group found in them."""
    parts = pattern.split(block)
    return [parts[at :: pattern.groups + 1] for at in range(pattern.groups + 1)]


def _is_all(block: bytes, between: Sequence[bytes], times: Sequence[bytes]) -> bool:
    """Return whether there is no metric line between those that were found, and no line end within."""
    rest = b"".join(between)
    return _TAG not in rest and rest.count(b"\n") + len(times) == block.count(b"\n")


def _fixed(times: Sequence[bytes], iterations: Sequence[Any]) -> dict[str, Sequence[float | None]]:
    fixed: dict[str, Sequence[float | None]] = {TIMESTAMP: list(map(float, times))}
    if all(iterations):
        fixed[ITERATION] = list(map(float, iterations))
    elif any(iterations):
        fixed[ITERATION] = [None if text is None else float(text) for text in iterations]
    return fixed


def _texts(data: Sequence[bytes], text_of: Callable[[bytes], str]) -> list[str]:
    """Return the text of each, of which there are few different ones."""
    texts = {each: text_of(each) for each in set(data)}
    return [*texts.values()] * len(data) if len(texts) == 1 else list(map(texts.__getitem__, data))


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _column_name(name: bytes) -> str:
    """Return what stands before the ``=``; raises ValueError when that needs a closer look."""
    text = _decoded(name).strip()
    if not text or ";" in text or METRIC_TAG in text or text in (TIMESTAMP, ITERATION, NODE):
        raise ValueError(name)
    return text


def _read_mixed(data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> Iterator[MetricLines]:
    for found in _STRICT_LINES.finditer(data, start, stop):
        yield _read_lines(data, start, found.start(), time_of)
        plain = _read_plain(found[0])
        yield _read_lines(data, found.start(), found.end(), time_of) if plain is None else plain
        start = found.end()
    yield _read_lines(data, start, stop, time_of)


def _read_lines(data: bytes, start: int, stop: int, time_of: Callable[[int], float]) -> MixedLines:
    lines = []
    for offset, line in _metric_lines(data, start, stop):
        metrics = _read_line(line)
        if metrics and TIMESTAMP not in metrics:
            metrics[TIMESTAMP] = float(time_of(offset))
        if node := _NODE_TAG.match(line):
            metrics[NODE] = node[1]
        lines.append(metrics)
    return lines


def _metric_lines(data: bytes, start: int, stop: int) -> Iterator[tuple[int, str]]:
    """Yield the metric lines, each after the offset in ``data`` at which its tag stands."""
    for line in data[start:stop].split(b"\n"):
        tag = line.find(_TAG)
        if tag >= 0:
            yield start + tag, line.decode("utf-8", "replace")
        start += len(line) + 1


def _read_line(line: str) -> dict[str, Any]:
    before, *texts = line.split(METRIC_TAG)
    metrics: dict[str, Any] = {}
    if ";" in before:
        _take_numbers(_ASSIGNMENT_BEFORE_TAG.findall(before[: before.rfind(";") + 1]), metrics)
    for text in texts:
        ended = text[: text.rfind(";") + 1]
        start = _take_written(written, metrics) if (written := _WRITTEN.match(ended)) else 0
        _take_numbers(_ASSIGNMENT.findall(ended, start), metrics)
    return metrics


def _take_written(written: re.Match[str], metrics: dict[str, Any]) -> int:
    """Take what `metric_line` wrote and return where it ends; 0, and take nothing, when its values are no numbers."""
    time, name, value = written.groups()
    try:
        metrics[TIMESTAMP], metrics[name.strip()] = float(time), float(value)
    except ValueError:
        return 0
    return written.end()


def _take_numbers(found: Iterable[tuple[str, str]], metrics: dict[str, Any]) -> None:
    for name, value in found:
        try:
            number = float(value)
        except ValueError:
            continue
        shared = _SHARED_AT_END.search(name) if name.endswith(SHARED) else None
        metrics[shared[0] if shared else name] = number
