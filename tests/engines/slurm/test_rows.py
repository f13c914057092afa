"""What squeue and sacct say, as their versions print it, and whatever else may stand there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.engines.slurm.rows import PREFIX, QUEUE_FORMAT, Row, exit_of, parse_accounting, parse_queue

QUEUE_22_05 = """\
2|COMPLETED|0|0|1795772459|1795772462|n2|None|a|b qjob-c|
1_0|FAILED|768|0|1795772459|1795772464|n1|NonZeroExitCode|qjob-a.0|
1_2|PENDING|0|0|1795772459|N/A||JobArrayTaskLimit|qjob-a.0|
4|PENDING|0|2|1795772471|N/A||BeginTime|qjob-0wx|
3|RUNNING|0|0|1795772459|1827308461|n[1-2]|None|qjob-b|
5|FAILED|9|0|1795772459|1795772470|n3|None|qjob-killed|
"""
"""As Slurm 22.05.8 printed it, but for shorter names."""
QUEUE_24_11 = QUEUE_22_05.replace("|768|", "|3:0|").replace("|9|0|", "|0:9|0|").replace("ED|0|", "ED|0:0|")
"""The same as 24.11 and 26.05 print it: the exit code in two numbers."""

ACCOUNTING = """\
2|COMPLETED|0:0|1795772459|1795772462|n1|None|a|b qjob-c
4712_[5-9%2]|PENDING|0:0|1795772459|Unknown|None assigned|None|qjob-a.0
4712_3|FAILED|3:0|1795772459|1795772464|n1|None|qjob-a.0
7|CANCELLED by 1000|0:15|1795772459|1795772464|n1|None|qjob-b
8|OUT_OF_MEMORY|0:125|1795772459|1795772465|n2|OutOfMemory|qjob-c
"""


def row(**fields: object) -> Row:
    plain = Row(
        name="qjob-a.0",
        index=None,
        slurm_id=1,
        state="PENDING",
        exit_code=0,
        signal=0,
        restarts=0,
        submitted_at=1795772459.0,
        ended_at=None,
        nodes="",
        reason="",
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


ROWS = [
    row(index=0, state="FAILED", exit_code=3, ended_at=1795772464.0, nodes="n1", reason="NonZeroExitCode"),
    row(index=2, reason="JobArrayTaskLimit"),
    row(name="qjob-0wx", slurm_id=4, restarts=2, submitted_at=1795772471.0, reason="BeginTime"),
    row(name="qjob-b", slurm_id=3, state="RUNNING", ended_at=1827308461.0, nodes="n[1-2]"),
    row(name="qjob-killed", slurm_id=5, state="FAILED", signal=9, ended_at=1795772470.0, nodes="n3"),
]


@pytest.mark.parametrize("text", [QUEUE_22_05, QUEUE_24_11], ids=["22.05", "24.11"])
def test_the_queue_as_versions_print_it(text: str) -> None:
    assert parse_queue(text) == ROWS


def test_the_accounting() -> None:
    assert parse_accounting(ACCOUNTING) == [
        row(slurm_id=4712, state="PENDING", ended_at=None),  # of all tasks that have no row of their own
        row(index=3, slurm_id=4712, state="FAILED", exit_code=3, ended_at=1795772464.0, nodes="n1"),
        row(name="qjob-b", slurm_id=7, state="CANCELLED", signal=15, ended_at=1795772464.0, nodes="n1"),
        row(
            name="qjob-c",
            slurm_id=8,
            state="OUT_OF_MEMORY",
            signal=125,
            ended_at=1795772465.0,
            nodes="n2",
            reason="OutOfMemory",
        ),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "qjob-a",
        "5|RUNNING|0|0|1795772459|1795772464|n1|None",  # half a line
        "5|RUNNING|0|0|1795772459|1795772464|n1|qjob-a|",  # a column is missing
        "5|RUNNING|0|0|1795772459|1795772464|n1|None|theirs|qjob-a|",
        "5|RUNNING|0|0|1795772459|1795772464|n1|None|xqjob-a|",
        "5_|PENDING|0|0|1795772459|N/A||None|qjob-a|",
        "5+0|RUNNING|0|0|1795772459|N/A||None|qjob-a|",
        "5|RUNNING|what|0|1795772459|N/A||None|qjob-a|",
        "5|RUNNING|0|often|1795772459|N/A||None|qjob-a|",
        f"{'9' * 5000}|RUNNING|0|0|1795772459|N/A||None|qjob-a|",
        "slurm_load_jobs error: Invalid user for qjob-a",
    ],
)
def test_what_is_no_row_of_ours_is_passed_over(line: str) -> None:
    assert parse_queue(f"{line}\n{QUEUE_22_05}") == ROWS


@pytest.mark.parametrize(
    ("text", "exit_code", "signal"),
    [
        ("0", 0, 0),
        ("0:0", 0, 0),
        ("768", 3, 0),
        ("3:0", 3, 0),
        ("9", 0, 9),
        ("0:9", 0, 9),
        ("139", 0, 11),  # SIGSEGV with a core dump, whose bit counts for nothing
        ("16896", 66, 0),
        ("66:0", 66, 0),
        ("", 0, 0),
    ],
)
def test_the_exit_code(text: str, exit_code: int, signal: int) -> None:
    assert exit_of(text) == (exit_code, signal)


@pytest.mark.parametrize("nodes", ["(null)", "None assigned"])
def test_words_for_nothing_are_nothing(nodes: str) -> None:
    [parsed] = parse_queue(f"1|PENDING|0|0|1795772459|N/A|{nodes}|(null)|qjob-a.0|")
    assert (parsed.nodes, parsed.reason) == ("", "")


@given(text=st.text() | st.text(alphabet="0123456789_|:[]-% \nqjob-RUNIG"))
def test_no_text_raises(text: str) -> None:
    for each in parse_queue(text) + parse_accounting(text):
        assert each.name.startswith(PREFIX)


@given(fields=st.lists(st.text(alphabet="09|:_N/A-+.e \u0663\u00b2", max_size=6), min_size=8, max_size=8))
def test_no_fields_raise(fields: list[str]) -> None:
    line = "|".join([*fields, "qjob-a"])
    parse_queue(line)
    parse_accounting(line)


words = st.text(alphabet="abcXYZ09_-.[],", min_size=1, max_size=12).filter(lambda word: word != "None")
rows = st.builds(
    Row,
    name=words.map(lambda word: PREFIX + word),
    index=st.none() | st.integers(0, 4_000_000),
    slurm_id=st.integers(1, 67_108_863),
    state=st.sampled_from(["PENDING", "RUNNING", "FAILED", "NODE_FAIL", "SPECIAL_EXIT"]),
    exit_code=st.integers(0, 255),
    signal=st.integers(0, 64),
    restarts=st.integers(0, 1000),
    submitted_at=st.integers(1, 2**33).map(float),
    ended_at=st.none() | st.integers(0, 2**33).map(float),
    nodes=st.just("") | words,
    reason=st.just("") | words,
)


def printed(each: Row, *, old: bool) -> str:
    """Return a row as squeue prints it; ``old``: as that of 22.05."""
    task = f"{each.slurm_id}" if each.index is None else f"{each.slurm_id}_{each.index}"
    code = str(each.exit_code << 8 | each.signal) if old else f"{each.exit_code}:{each.signal}"
    ended = "N/A" if each.ended_at is None else f"{each.ended_at:.0f}"
    fields = (task, each.state, code, each.restarts, f"{each.submitted_at:.0f}", ended, each.nodes)
    return "".join(f"{field}|" for field in (*fields, each.reason or "None", each.name))


@settings(max_examples=60)
@given(found=st.lists(rows, max_size=4), old=st.booleans())
def test_what_squeue_prints_is_read(found: list[Row], old: bool) -> None:
    text = "".join(f"{printed(each, old=old)}\n7|RUNNING|0|0|1|N/A||None|theirs|\n" for each in found)
    assert parse_queue(text) == found


def test_a_row_has_as_many_columns_as_are_asked_for() -> None:
    assert QUEUE_FORMAT.count(":|") == QUEUE_22_05.splitlines()[1].count("|")
