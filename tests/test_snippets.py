"""What the documents show is what happens.

In README.md and docs/*.md the blocks of one document run in their order, in one directory that has a copy of
``examples/``, with a state directory of its own:

- ``python``: run; the blocks of a document share their names.
- ``console``: each ``$ command`` runs in a shell and must exit with 0. A command goes on after a backslash at the end
  of its line. The lines that follow are what it prints, stdout and stderr; without any, that does not matter.
- any block that begins with a comment that is a file's name (``# vqe.py``) is saved under that name, and not run.
- ``sh`` is for commands that cannot run in a test (installing, clusters); ``toml``, ``json`` and ``text`` are shown
  and nothing else.

Output is compared loosely, see `matches`: any number stands for any number, an id for any id, blanks for blanks.
``…`` stands for any part of a line, and on a line of its own for any number of lines, also none.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from documents import ROOT, SHOWN, Block, blocks, named, read, read_path
from living import end_all
from qjob.model.naming import ALPHABET, job_id

LANGUAGES = {"python", "console", "sh", "toml", "json", "text"}

DRIVER = """
import json, linecache, os, subprocess, sys
names = {"__name__": "__main__"}
for step in json.load(sys.stdin):
    if step["kind"] == "file":
        os.makedirs(os.path.dirname(os.path.abspath(step["name"])), exist_ok=True)
        open(step["name"], "w", encoding="utf-8").write(step["text"])
    elif step["kind"] == "python":
        linecache.cache[step["name"]] = (len(step["text"]), None, step["text"].splitlines(True), step["name"])
        exec(compile(step["text"], step["name"], "exec"), names)
        sys.stdout.flush()
    else:
        done = subprocess.run(step["text"], shell=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        print(json.dumps([step["name"], done.returncode, done.stdout.decode()]), file=sys.stderr)
        if done.returncode:
            sys.exit(done.returncode)
"""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that a document shows.

    Attributes:
        kind: ``python``, ``console`` or ``file``.
        name: of the file, or where it stands in the document.
        text: the code, the command or the file's content.
        output: what a command must print; empty: anything.
    """

    kind: str
    name: str
    text: str
    output: str = ""


PLAYED_ELSEWHERE = ("clusters.md",)
"""Its commands want a cluster: tests/live/slurm/test_page.py plays it on a real one."""


@pytest.mark.live
@pytest.mark.parametrize(
    "path",
    named(
        [
            path
            for path in SHOWN
            if path.name not in PLAYED_ELSEWHERE and ("```python" in read_path(path) or "```console" in read_path(path))
        ]
    ),
)
def test_what_is_shown_is_what_happens(path: Path, tmp_path: Path) -> None:
    steps = steps_of(path.name, read_path(path))
    done = play(steps, tmp_path)
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith('["')]
    results = {name: (code, output) for name, code, output in told}
    for step in steps:
        if step.name in results:
            code, output = results[step.name]
            assert code == 0, f"{step.name}: {step.text}\n{output}"
            assert not step.output or matches(step.output, output), f"{step.name}: {step.text}\n{output}"
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_shows_both_ways_in() -> None:
    assert {"python", "console"} <= {block.language for block in blocks(read("README.md"))}


@pytest.mark.parametrize("path", named(SHOWN))
def test_blocks_say_what_they_are(path: Path) -> None:
    text = read_path(path)
    assert [block.line for block in blocks(text) if block.language not in LANGUAGES] == []
    assert len(blocks(text)) * 2 == len(re.findall(r"^ *```", text, re.MULTILINE))


@pytest.mark.parametrize("path", named(SHOWN))
def test_saved_files_are_used(path: Path) -> None:
    steps = steps_of(path.name, read_path(path))
    used = " ".join(step.text for step in steps if step.kind != "file")
    saved = [step.name for step in steps if step.kind == "file" and not step.name.endswith(".toml")]
    assert [name for name in saved if Path(name).stem not in used] == []


def test_a_document_is_played_in_its_order(tmp_path: Path) -> None:
    text = (
        "```python\n# answer.py\nprint(42)\n```\n"
        "```console\n$ python answer.py\n17\n$ ls \\\n>   examples\n…\nh2_vqe\n…\n```\n"
        "```python\nimport pathlib\nx = pathlib.Path('answer.py').read_text()\n```\n"
        "```python\nassert '42' in x\n```\n"
        "```sh\nexit 3\n```\n"
    )
    steps = steps_of("x.md", text)
    done = play(steps, tmp_path)
    assert [step.kind for step in steps] == ["file", "console", "console", "python", "python"]
    assert done.returncode == 0
    outputs = [json.loads(line)[2] for line in done.stderr.splitlines()]
    assert [matches(step.output, output) for step, output in zip(steps[1:3], outputs, strict=True)] == [True, True]


@pytest.mark.parametrize("block", ["```console\n$ exit 3\n```\n", "```python\n1 / 0\n```\n"])
def test_a_document_that_fails_is_seen(block: str, tmp_path: Path) -> None:
    assert play(steps_of("x.md", block), tmp_path).returncode != 0


def steps_of(name: str, text: str) -> list[Step]:
    """Return what a document shows, in order."""
    return [step for block in blocks(text) for step in _steps_of_block(f"{name}:{block.line}", block)]


def _steps_of_block(place: str, block: Block) -> list[Step]:
    if block.saved_as:
        return [Step(kind="file", name=block.saved_as, text=block.text)]
    if block.language == "python":
        return [Step(kind="python", name=place, text=block.text)]
    return _commands(place, block.text) if block.language == "console" else []


def _commands(place: str, text: str) -> list[Step]:
    assert text.startswith("$ "), f"{place}: a console block begins with a command"
    joined = re.sub(r"\\\n(?:> )?\s*", "", text)
    parts = re.split(r"^\$ (.*)\n", joined, flags=re.MULTILINE)[1:]
    return [
        Step(kind="console", name=f"{place} command {number}", text=command, output=output)
        for number, (command, output) in enumerate(zip(parts[::2], parts[1::2], strict=True), start=1)
    ]


def play(steps: list[Step], directory: Path) -> subprocess.CompletedProcess[str]:
    """Do what a document shows, in a copy of the examples and with a state directory of its own."""
    room, home = directory / "room", directory / "home"
    shutil.copytree(ROOT / "examples", room / "examples", ignore=shutil.ignore_patterns("__pycache__"))
    try:
        return subprocess.run(
            [sys.executable, "-c", DRIVER],
            cwd=room,
            env=_environment(directory, home),
            input=json.dumps([vars(step) for step in steps]),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        end_all(home)


def _environment(directory: Path, home: Path) -> dict[str, str]:
    """Return an environment without the user's own settings, and with qjob and python first on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("QJOB_", "XDG_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "HOME": str(directory), "QJOB_HOME": str(home), "QJOB_IDLE_S": "5", "COLUMNS": "100"}


# ---------------------------------------------------------------- the matcher

NUMBER = r"[+-]?\d[\d.,:]*(?:e[+-]?\d+)?"
ID = rf"\b(?=[a-z]*\d)[{ALPHABET}]{{15}}\b"


def matches(shown: str, printed: str) -> bool:
    """Return whether a command printed what a document shows, as loosely as the top of this file says."""
    pattern = "".join(_pattern(line) for line in _plain(shown))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in _plain(printed))) is not None


def _plain(text: str) -> list[str]:
    return [re.sub(r"\s+", " ", line.rstrip()) for line in text.rstrip().splitlines()]


def _pattern(line: str) -> str:
    if line.strip() == "…":
        return r"(?:.*\n)*"
    parts = re.split(rf"(…|{ID}|{NUMBER})", line)
    return "".join(_loose(part) if odd % 2 else re.escape(part) for odd, part in enumerate(parts)) + r"\n"


def _loose(part: str) -> str:
    if part == "…":
        return ".*"
    return ID if re.fullmatch(ID, part) else NUMBER


AN_ID, ANOTHER = job_id(1_700_000_000_000_000, 7), job_id(1_790_000_000_000_000, 99)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("", ""),
        ("done", "done\n"),
        ("E = -1.137306 Ha", "E = -1.1372 Ha"),
        ("difference -1.4e-09", "difference +2e-8"),
        ("at 12:00:01 on 2026-01-31", "at 9:30:59 on 2027-12-01"),
        (f"Submitted {AN_ID}.", f"Submitted {ANOTHER}."),
        ("job    state\nvqe    RUNNING", "job state  \nvqe      RUNNING\n\n"),
        ("iteration 1 …\n…\nVQE energy …", "iteration 1 E=2\niteration 2 E=1\niteration 3 E=0\nVQE energy 7 Ha\n"),
        ("first\n…\nlast", "first\nlast\n"),
        ("Started … on …", "Started vqe on this machine"),
        ("…", "anything\nat all"),
        ("a (b) [c] *", "a (b) [c] *"),
    ],
)
def test_the_same_output_matches(shown: str, printed: str) -> None:
    assert matches(shown, printed)


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("done", ""),
        ("done", "done\nand more"),
        ("and more\n", "done\nand more"),
        ("E = -1.137306 Ha", "E = nan Ha"),
        ("vqe COMPLETED", "vqe FAILED"),
        (f"Submitted {AN_ID}.", "Submitted nothing."),
        ("first\n…\nlast", "first\nlast\nError"),
        ("first\n…\nlast", "zeroth\nlast"),
        ("Started … here", "Started vqe there"),
        ("one … line", "one\nline"),
        ("a.c", "abc"),
    ],
)
def test_other_output_does_not_match(shown: str, printed: str) -> None:
    assert not matches(shown, printed)
