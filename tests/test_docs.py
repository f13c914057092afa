"""The documents name everything that there is, their links lead somewhere, and their words are the glossary's."""

from __future__ import annotations

import builtins
import re
import runpy
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

import qjob
from documents import DOCS, ROOT, WRITTEN, blocks, named, read, read_path, without_blocks
from qjob import errors
from qjob.app import ENGINES
from qjob.cli.main import cli
from qjob.config import Settings, load_settings
from qjob.folder import JobFolder
from qjob.job import Job

HAVE_OTHER_MEANINGS = {
    "client": "of a server",
    "config": "the command, and the file's name",
    "core": "of a CPU",
    "daemon": "what nobody has to start",
    "database": "SQLite",
    "exit status": "of a process",
    "host": "a machine",
    "job": "a job",
    "lock": "of a file",
    "provider": "of a simulator, as in local:<provider>/<simulator>",
    "rank": "of MPI",
    "request": "of HTTP; or to ask",
    "run": "what a job does",
    "scheduler": "Slurm and its like",
}
"""Words that the glossary forbids for one thing and that are right for another."""


# ---------------------------------------------------------------- everything is named


def test_every_file_of_a_folder_is_named() -> None:
    text, folder = read("docs/job-folder.md"), JobFolder(Path("/jobs/id"))
    members = (getattr(folder, name) for name, member in vars(JobFolder).items() if isinstance(member, property))
    of_job = (member for member in members if isinstance(member, Path) and member.is_relative_to(folder.path))
    paths = [*of_job, folder.log(7), folder.log_index(7)]
    names = [path.relative_to(folder.path).as_posix().replace("7", "<i>") for path in paths]
    assert len(names) > 10
    assert [name for name in names if not re.search(rf"\| `{re.escape(name)}[`/]", text)] == []


@pytest.mark.live
def test_a_real_folder_holds_nothing_else(submit: Callable[..., Job], settings: Settings) -> None:
    job = submit("from qjob.runtime import save_job_result\nsave_job_result(1)")
    job.result()
    text = read("docs/job-folder.md")
    files = [path.name for path in (settings.jobs / job.id).iterdir()]
    assert "outcome.json" in files
    assert [name for name in files if f"| `{name}" not in text] == []


def test_every_setting_is_named() -> None:
    text = read("docs/configuration.md")
    names = [field.name for field in fields(Settings) if field.name != "sources"]
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_the_settings_shown_are_settings(tmp_path: Path) -> None:
    shown = [block for block in blocks(read("docs/configuration.md")) if block.language == "toml"]
    assert shown
    for block in shown:
        (tmp_path / "qjob.toml").write_text(block.text)
        load_settings(environment={"HOME": str(tmp_path)}, directory=tmp_path)


def test_every_command_has_its_section() -> None:
    sections = sections_of(read("docs/cli.md"))
    assert [name for name in commands() if f"qjob {name}" not in sections] == []


def test_every_option_is_named_in_its_command_s_section() -> None:
    text = read("docs/cli.md")
    sections = sections_of(text)
    missing = [
        f"qjob {name}: {option}"
        for name, command in {"": cli, **commands()}.items()
        for option in options(command)
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", sections.get(f"qjob {name}", "") if name else text)
    ]
    assert missing == []


def test_every_engine_is_named() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    assert [name for name in ENGINES if f"`{name}`" not in text] == []


def test_every_make_target_that_is_named_is_there() -> None:
    targets = set(re.findall(r"^(\w+):", read("Makefile"), re.MULTILINE))
    spans = re.findall(r"`make (\w+)|^(?:\$ )?make (\w+)", "\n".join(map(read_path, WRITTEN)), re.MULTILINE)
    assert {"demo", "test"} <= {one or other for one, other in spans} <= targets


def test_the_tree_of_exceptions_is_the_real_one() -> None:
    drawn = list(drawn_tree(str(errors.__doc__)))
    real = [
        (name, {base.__name__ for base in member.__bases__})
        for name, member in vars(errors).items()
        if isinstance(member, type) and issubclass(member, errors.QjobError)
    ]
    assert len(drawn) == len(dict(drawn))
    assert dict(drawn) == dict(real)


def test_every_exception_is_public() -> None:
    assert [name for name, _ in drawn_tree(str(errors.__doc__)) if name not in qjob.__all__] == []


def test_the_layers_are_those_of_the_contract() -> None:
    contracts = tomllib.loads(read("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    table = read("docs/design.md").partition("| layer |")[2].partition("\n\n")[0]
    rows = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in table.splitlines()[2:]]
    assert rows == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_the_dependencies_are_explained() -> None:
    dependencies = tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]
    table = read("docs/design.md").partition("| package |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| ([\w-]+) \|", table, re.MULTILINE) == [
        re.split("[^\\w-]", each)[0] for each in dependencies
    ]


def commands() -> dict[str, click.Command]:
    """Return the commands of qjob by name; those with commands of their own count as one."""
    context = click.Context(cli)
    found = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None and not command.hidden}


def options(command: click.Command) -> list[str]:
    """Return the long name of each option of a command."""
    shown = [each for each in command.params if isinstance(each, click.Option) and not each.hidden]
    return [max([*each.opts], key=len) for each in shown]


def sections_of(text: str) -> dict[str, str]:
    """Return the sections of a document by each ``qjob <command>`` that their headings name."""
    parts = re.split(
        r"^#+ (.*)$", re.sub(r"^```.*?^```$", _without_headings, text, flags=re.MULTILINE | re.DOTALL), flags=re.M
    )
    pairs = zip(parts[1::2], parts[2::2], strict=True)
    return {name: section for heading, section in pairs for name in re.findall(r"qjob \w+", heading)}


def _without_headings(block: re.Match[str]) -> str:
    return re.sub(r"^#", " #", block[0], flags=re.MULTILINE)


def drawn_tree(docstring: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each exception that the tree draws, with its bases."""
    above = ["Exception"]
    for line in re.findall(r"^    (?:QjobError|.*── .*)$", docstring, re.MULTILINE):
        branches, name, builtin = re.findall(r"^    ([│├└─ ]*)(\w+)(?: +\((\w+)\))?", line)[0]
        depth = len(branches) // 4 + 1
        yield name, {above[depth - 1]} | ({builtin} if builtin else set())
        assert not builtin or hasattr(builtins, builtin)
        above[depth:] = [name]


# ---------------------------------------------------------------- links and words


@pytest.mark.parametrize("path", named(WRITTEN))
def test_links_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", without_blocks(read_path(path)))
    assert [link for link in links if not leads_somewhere(path, link)] == []


@pytest.mark.parametrize("path", named(WRITTEN))
def test_the_right_words_are_used(path: Path) -> None:
    if path == DOCS / "glossary.md":
        pytest.skip("the glossary says which words they are")
    assert wrong_words(read_path(path)) == []


def test_words_with_other_meanings_are_in_the_glossary() -> None:
    assert set(HAVE_OTHER_MEANINGS) <= never_said()


def test_wrong_words_are_found_in_prose_only() -> None:
    text = "Two Workers\n\n```python\nbackend\n```\nThe `backend` of [it](backend.md), no coworker.\nBackends"
    assert wrong_words(text) == ["Workers", "Backends"]


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ("docs/glossary.md", True),
        ("docs/glossary.md#glossary", True),
        ("#qjob", True),
        ("docs", True),
        ("https://example.org/", True),
        ("docs/nothing.md", False),
        ("docs/glossary.md#nothing", False),
        ("#nothing", False),
    ],
)
def test_broken_links_are_found(link: str, leads: bool) -> None:
    assert leads_somewhere(ROOT / "README.md", link) == leads


def leads_somewhere(path: Path, link: str) -> bool:
    """Return whether a link in a document leads to a file and a heading; what is on the net counts as there."""
    if re.match(r"\w+:", link):
        return True
    name, _, anchor = link.partition("#")
    target = (path.parent / name) if name else path
    return target.exists() and (not anchor or anchor in anchors(read_path(target)))


def anchors(text: str) -> set[str]:
    """Return the names that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def wrong_words(text: str) -> list[str]:
    """Return the words in the prose of a document that the glossary forbids."""
    prose = re.sub(r"`[^`]*`|\]\([^)]*\)", " ", without_blocks(text))
    words = "|".join(sorted(never_said() - set(HAVE_OTHER_MEANINGS)))
    return re.findall(rf"\b(?:{words})s?\b", prose, re.IGNORECASE)


def never_said() -> set[str]:
    """Return the last column of the glossary."""
    rows = [line.split("|") for line in read("docs/glossary.md").splitlines() if line.startswith("| ")]
    return {word.strip() for row in rows[1:] for word in row[3].split(",")}


def test_the_page_of_commands_is_made_from_them() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))
    assert read("docs/cli.md") == generator["page"](), "run: python docs/generate_cli.py"
