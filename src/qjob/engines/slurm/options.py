"""Options: which of sbatch's options a job may have, where they come from, and how they are written. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

Options = Mapping[str, str | None]
"""Options of sbatch by their long names; None stands for an option without a value."""

OWN_WORDS = {
    "python": "the interpreter of the runner on the nodes; default: the one that submits",
    "setup": "lines of shell before the runner starts, as 'module load python/3.12'",
    "poll_s": "how often squeue is asked at the most while nothing is submitted or cancelled, in seconds",
}
"""The words of ``[engines.slurm]`` that are not options of sbatch."""
OURS = {
    "array": "a sweep is an array: see qjob.sweep",
    "chdir": "a job's working directory is its source",
    "clusters": "qjob asks one cluster, that of its configuration",
    "error": "the output is in the job's folder",
    "export": "a job gets the environment in which it was submitted",
    "export-file": "a job gets the environment in which it was submitted",
    "get-user-env": "a job gets the environment in which it was submitted",
    "help": "it starts nothing",
    "input": "a job reads nothing from its standard input",
    "job-name": "qjob knows its jobs by their Slurm names",
    "output": "the output is in the job's folder",
    "parsable": "qjob uses it itself",
    "priority": "Slurm lets only administrators set it; a negative priority of qjob's becomes --nice",
    "quiet": "qjob uses it itself",
    "signal": "qjob uses it for the warning before the time limit",
    "test-only": "it starts nothing",
    "usage": "it starts nothing",
    "version": "it starts nothing",
    "wait": "use 'qjob wait'",
    "wrap": "the script is qjob's",
}
"""Options that qjob sets itself, and what a user does instead."""
_SHORT = {
    "A": "account",
    "C": "constraint",
    "G": "gpus",
    "L": "licenses",
    "N": "nodes",
    "D": "chdir",
    "J": "job-name",
    "W": "wait",
    "a": "array",
    "c": "cpus-per-task",
    "d": "dependency",
    "e": "error",
    "i": "input",
    "n": "ntasks",
    "o": "output",
    "p": "partition",
    "q": "qos",
    "t": "time",
    "w": "nodelist",
    "x": "exclude",
}
_SUMMED = ("licenses", "gres", "dependency")
"""What several sides may ask for: one list with commas, as of two such options only the last counts."""
_OPPOSITES = {"requeue": "no-requeue"}
"""What ``false`` stands for where it is not the same as saying nothing: qjob asks for requeueing itself."""
_NOT_IN_HELP = frozenset({"acctg-freq", "hint", "kill-on-invalid-dep", "mem-bind", "network", "open-mode"})
"""Options that sbatch has had for long, and that its help is silent of (sbatch(1))."""
_OF_ENVIRONMENT = ("account", "constraint", "gres", "partition", "qos", "reservation")
_LONG = re.compile(r"--([a-z][a-z0-9-]*)")
_VALUE_PROBLEM = "a text of one line, a number or true is expected"


def known_options(help_text: str) -> frozenset[str]:
    """Return the long options that ``sbatch --help`` tells of, those of a site's plugins among them."""
    return frozenset(_LONG.findall(help_text)) | _NOT_IN_HELP


def option_problems(given: Mapping[str, Any], known: frozenset[str], where: str) -> list[str]:
    """Say which options cannot be; ``where`` is what they are called, as ``option``."""
    problems = []
    for name, value in given.items():
        option = long_name(name)
        if option in OURS:
            problems.append(f"{where} {name!r} is not to be given: {OURS[option]}.")
        elif option not in known:
            near = get_close_matches(option, known, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else "; 'sbatch --help' tells which there are."
            problems.append(f"{where} {name!r}: sbatch knows no such option{meant}")
        elif _is_no_value(value):
            problems.append(f"{where} {name}={value!r}: {_VALUE_PROBLEM}.")
    return problems


def long_name(name: str) -> str:
    """Return an option's long name: of ``cpus_per_task``, ``--cpus-per-task`` and ``c`` the same."""
    bare = name.lstrip("-").replace("_", "-")
    return _SHORT.get(bare, bare)


def to_options(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return options as sbatch gets them; one that is false or None is left out, or has its opposite."""
    return {
        _opposite(long_name(name), value): None if isinstance(value, bool) else str(value)
        for name, value in given.items()
        if value is not None and (value is not False or long_name(name) in _OPPOSITES)
    }


def environment_defaults(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the options that a user of sbatch has in the environment, as ``SBATCH_ACCOUNT``.

    sbatch itself would put them before those of a script.
    """
    names = {f"SBATCH_{option.upper()}": option for option in _OF_ENVIRONMENT} | {"SBATCH_TIMELIMIT": "time"}
    return {option: environment[name] for name, option in names.items() if environment.get(name)}


def parse_asked(text: str) -> dict[str, str | None]:
    """Return the options in a device's ``slurm`` setting, as ``--licenses=qpu1:1``. Raises ValueError."""
    options: dict[str, str | None] = {}
    words = iter(shlex.split(text))
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("-"):
            raise ValueError(f"{word!r} is no option of sbatch: it begins with no hyphen")
        if not equals and not name.startswith("--") and len(name) > 2:
            name, value, equals = name[:2], name[2:], "="
        if not equals and not name.startswith("--"):
            value, equals = next(words, ""), "="
        options[long_name(name)] = value if equals else None
    return options


def merged(*layers: Options) -> dict[str, str | None]:
    """Return all options; a later layer's word counts, but licences and generic resources add up."""
    options: dict[str, str | None] = {}
    for layer in layers:
        for name, value in layer.items():
            if name in _SUMMED and options.get(name) and value:
                # A licence that is named twice is refused.
                options[name] = ",".join(dict.fromkeys([*str(options[name]).split(","), *value.split(",")]))
            else:
                options[name] = value
    return options


def directives(options: Options) -> list[str]:
    """Return the lines of a batch script that hold these options."""
    return [f"#SBATCH --{name}" + ("" if value is None else f"={_quoted(value)}") for name, value in options.items()]


def index_list(indices: Iterable[int]) -> str:
    """Return indices of an array in Slurm's short form: ``0-3,7``."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def _opposite(option: str, value: object) -> str:
    return _OPPOSITES[option] if value is False else option


def _is_no_value(value: object) -> bool:
    if value is None or isinstance(value, bool | int | float):
        return False
    return not isinstance(value, str) or not value.isprintable()


def _quoted(value: str) -> str:
    """Return a value as it stands in a directive, which Slurm splits at blanks as a shell would."""
    if re.fullmatch(r"[\w.,:@%+=/\[\]()*&|-]+", value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
