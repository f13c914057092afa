"""Which options a job may have, and how they get to sbatch."""

from __future__ import annotations

import shlex
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qjob.engines.slurm.options import (
    OURS,
    directives,
    index_list,
    known_options,
    long_name,
    merged,
    option_problems,
    parse_asked,
    to_options,
)

HELP = """\
Usage: sbatch [OPTIONS(0)...] [ : [OPTIONS(N)...]] script(0) [args(0)...]

Parallel run options:
  -a, --array=indexes         job array index values
  -A, --account=name          charge job to specified account
      --comment=name          arbitrary comment
      --cpu-freq=min[-max[:gov]] requested cpu frequency (and governor)
  -c, --cpus-per-task=ncpus   number of cpus required per task
  -d, --dependency=type:jobid[:time] defer job until condition on jobid is satisfied
      --gres=list             required generic resources
  -H, --hold                  submit job in held state
  -J, --job-name=jobname      name of job
  -L, --licenses=names        required license, comma separated
      --nice[=value]          decrease scheduling priority by value
      --no-requeue            if set, do not permit the job to be requeued
  -n, --ntasks=ntasks         number of tasks to run
  -N, --nodes=N               number of nodes on which to run (N = min[-max])
  -p, --partition=partition   partition requested
      --profile=value         enable acct_gather_profile for detailed data
                              value is all or none or any combination of
                              energy, lustre, network or task
  -q, --qos=qos               quality of service
      --requeue               if set, permit the job to be requeued
      --switches=max-switches{@max-time-to-wait}
                              Optimum switches and max time to wait for optimum
  -t, --time=minutes          time limit

Constraint options:
  -C, --constraint=list       specify a list of constraints
      --mem=MB                minimum amount of real memory
  -w, --nodelist=hosts...     request a specific list of hosts
  -x, --exclude=hosts...      exclude a specific list of hosts

GPU scheduling options:
  -G, --gpus=n                count of GPUs required for the job
      --mem-per-gpu=n         real memory required per allocated GPU

Options provided by plugins:
      --qpu=<name>            Comma separated list of QPU resources to use.

Help options:
  -h, --help                  show this help message
"""
"""From ``sbatch --help`` of Slurm 22.05.8, and what a plugin adds."""
KNOWN = known_options(HELP)


def problems_of(**given: Any) -> list[str]:
    return option_problems(given, KNOWN, "option")


def test_what_sbatch_knows_are_its_long_options_and_the_plugins() -> None:
    assert {"account", "cpus-per-task", "mem-per-gpu", "no-requeue", "qpu", "switches", "hold"} <= KNOWN
    silent = known_options("")
    assert "hint" in silent
    assert len(KNOWN - silent) == 28


@pytest.mark.parametrize(
    "given_options",
    [
        {"qpu": "ibm_fez"},
        {"cpus_per_task": 4, "mem": "8G", "partition": "a,b"},
        {"--cpus-per-task": 4, "-p": "main", "c": 2},
        {"hold": True, "requeue": False, "account": None},
        {"comment": 'it\'s "so" ü'},
    ],
)
def test_what_sbatch_knows_may_be_asked_for(given_options: dict[str, Any]) -> None:
    assert option_problems(given_options, KNOWN, "option") == []


@pytest.mark.parametrize("name", OURS)
def test_what_qjob_sets_itself_may_not(name: str) -> None:
    for written in (name, f"--{name}", name.replace("-", "_")):
        [problem] = option_problems({written: "x"}, KNOWN | set(OURS), "option")
        assert problem == f"option {written!r} is not to be given: {OURS[name]}."


@pytest.mark.parametrize("short", ["p", "c", "t", "A", "q", "n", "N", "G", "C", "L", "w", "x"])
def test_short_forms(short: str) -> None:
    assert long_name(short) in KNOWN
    assert long_name(f"-{short}") == long_name(short)


@pytest.mark.parametrize("given_options", [{"J": "x"}, {"o": "x"}, {"a": "1-3"}, {"-e": "x"}, {"D": "/tmp"}])
def test_short_forms_of_what_qjob_sets_are_no_way_around_it(given_options: dict[str, Any]) -> None:
    assert len(option_problems(given_options, KNOWN, "option")) == 1


def test_who_mistypes_is_told_what_was_meant() -> None:
    assert problems_of(partiton="main") == [
        "option 'partiton': sbatch knows no such option; did you mean 'partition'?",
    ]
    assert problems_of(zzz=1) == ["option 'zzz': sbatch knows no such option; 'sbatch --help' tells which there are."]


@pytest.mark.parametrize("value", [["a"], {"a": 1}, "a\nb", "a\0b", "\x1b[1m", b"a"])
def test_what_is_no_value_is_told(value: object) -> None:
    assert problems_of(mem=value) == [f"option mem={value!r}: a text of one line, a number or true is expected."]


def test_all_problems_are_told_at_once() -> None:
    told = option_problems({"zzz": 1, "output": "x", "mem": []}, KNOWN, "[engines.slurm] option")
    assert len(told) == 3
    assert all(problem.startswith("[engines.slurm] option ") for problem in told)


def test_options_as_sbatch_gets_them() -> None:
    assert to_options({"cpus_per_task": 4, "hold": True, "-p": "main", "exclusive": False, "account": None}) == {
        "cpus-per-task": "4",
        "hold": None,
        "partition": "main",
    }


def test_who_wants_no_second_attempt_says_so_with_false() -> None:
    assert to_options({"requeue": False}) == {"no-requeue": None}
    assert to_options({"no_requeue": False}) == {}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("--licenses=qpu1:1", {"licenses": "qpu1:1"}),
        ("-L qpu1:1", {"licenses": "qpu1:1"}),
        ("-Lqpu1:1", {"licenses": "qpu1:1"}),
        ("--gres=qpu:1 --partition=quantum --hold", {"gres": "qpu:1", "partition": "quantum", "hold": None}),
        ("-L a@b:1 -p 'my part'", {"licenses": "a@b:1", "partition": "my part"}),
        ("--qpu=ibm_fez,ibm_other", {"qpu": "ibm_fez,ibm_other"}),
        ("--comment=a=b", {"comment": "a=b"}),
        ("-C 'a&b'", {"constraint": "a&b"}),
        ("--comment=", {"comment": ""}),
    ],
)
def test_what_a_device_asks_for(text: str, options: dict[str, str | None]) -> None:
    assert parse_asked(text) == options


@pytest.mark.parametrize("text", ["qpu1:1", "--licenses qpu1:1", "'--licenses=qpu1", "--hold main"])
def test_what_is_no_option_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no option of sbatch|No closing quotation"):
        parse_asked(text)


@given(
    options=st.dictionaries(
        st.from_regex(r"[a-z]([a-z-]{0,8}[a-z])", fullmatch=True),
        st.none() | st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8),
        max_size=4,
    )
)
def test_what_is_asked_in_long_options_is_read(options: dict[str, str | None]) -> None:
    words = [f"--{name}" if value is None else f"--{name}={value}" for name, value in options.items()]
    assert parse_asked(shlex.join(words)) == options


def test_the_last_word_counts_but_licences_add_up() -> None:
    assert merged(
        {"partition": "main", "licenses": "matlab", "gres": "gpu:1", "hold": None},
        {"licenses": "qpu1:1", "partition": "quantum"},
        {"gres": "qpu:1", "hold": None, "dependency": "afterok:7"},
        {"dependency": "afterany:8"},
    ) == {
        "partition": "quantum",
        "licenses": "matlab,qpu1:1",
        "gres": "gpu:1,qpu:1",
        "hold": None,
        "dependency": "afterok:7,afterany:8",
    }


def test_what_is_merged_is_left_as_it_was() -> None:
    first = {"licenses": "a"}
    merged(first, {"licenses": "b"})
    assert first == {"licenses": "a"}
    assert merged() == {}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("hold", None, "#SBATCH --hold"),
        ("partition", "main", "#SBATCH --partition=main"),
        ("array", "0-3,7%2", "#SBATCH --array=0-3,7%2"),
        ("constraint", "[a*2&b|c]", "#SBATCH --constraint=[a*2&b|c]"),
        ("comment", "a b", '#SBATCH --comment="a b"'),
        ("comment", "", '#SBATCH --comment=""'),
        ("comment", "it's", '#SBATCH --comment="it\'s"'),
        ("comment", "a # b", '#SBATCH --comment="a # b"'),
        ("comment", '"', '#SBATCH --comment="\\""'),
        ("comment", "\\", '#SBATCH --comment="\\\\"'),
        ("comment", "$HOME`ls`", '#SBATCH --comment="$HOME`ls`"'),  # for Slurm, not for a shell
        ("comment", "ü", "#SBATCH --comment=ü"),
    ],
)
def test_directives_are_quoted_for_slurm(name: str, value: str | None, line: str) -> None:
    assert directives({name: value}) == [line]


def words_as_slurm_splits(line: str) -> list[str]:
    """Return the words of a directive's line as ``_get_argument`` of sbatch's opt.c takes them."""
    words: list[str] = []
    word, quote, is_escaped, is_open = "", "", False, False
    for character in line:
        if is_escaped:
            word, is_escaped = word + character, False
        elif character == "\\":
            is_escaped = is_open = True
        elif quote:
            word, quote = (word, "") if character == quote else (word + character, quote)
        elif character in "'\"":
            quote, is_open = character, True
        elif character == "#":
            break
        elif character.isspace():
            words, word, is_open = ([*words, word] if is_open else words), "", False
        else:
            word, is_open = word + character, True
    return [*words, word] if is_open else words


@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20))
def test_slurm_sees_each_value_as_it_was(value: str) -> None:
    [line] = directives({"comment": value})
    assert words_as_slurm_splits(line.removeprefix("#SBATCH ")) == [f"--comment={value}"]


def indices_of(text: str) -> list[int]:
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@pytest.mark.parametrize(
    ("indices", "text"),
    [([], ""), ([0], "0"), ([0, 1], "0-1"), ([3, 1, 2], "1-3"), ([0, 1, 2, 3, 7], "0-3,7"), ([5, 0, 9], "0,5,9")],
)
def test_indices_in_slurms_short_form(indices: list[int], text: str) -> None:
    assert index_list(indices) == text


@given(indices=st.sets(st.integers(0, 60)))
def test_indices_are_all_in_the_short_form(indices: set[int]) -> None:
    text = index_list(indices)
    assert indices_of(text) == sorted(indices)
    assert all(int(one.split("-")[-1]) + 1 < int(other.split("-")[0]) for one, other in _pairs(text))


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = text.split(",")
    return list(pairwise(parts))
