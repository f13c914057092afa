"""Write docs/cli.md from the commands themselves: ``python docs/generate_cli.py``. A test keeps it true."""

from __future__ import annotations

import inspect
import textwrap
from pathlib import Path

import click

from qjob.cli.main import SECTIONS, cli

PAGE = Path(__file__).with_name("cli.md")
_AS_IT_IS = "\b\n"


def page() -> str:
    """Return the whole page."""
    context = click.Context(cli, info_name="qjob")
    parts = ["# The command line", _help(cli), "Options of every command, before its name:", _options(cli)]
    for title, entries in SECTIONS.items():
        parts.append(f"## {title}")
        for name in entries:
            command = cli.get_command(context, name)
            assert command is not None
            parts += [
                f"### qjob {name}",
                f"```text\nqjob {name}{_arguments(command)}\n```",
                _help(command),
                _options(command),
            ]
    parts.append(
        "This page is made from the commands' own help by `python docs/generate_cli.py`; `qjob COMMAND --help` says "
        "the same."
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _help(command: click.Command) -> str:
    """Return a command's help as Markdown: what click keeps as it is (after ``\\b``) as a code block."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(_paragraph(paragraph) for paragraph in paragraphs)


def _paragraph(text: str) -> str:
    if not text.startswith(_AS_IT_IS):
        return " ".join(text.split())
    return f"```text\n{textwrap.dedent(text.removeprefix(_AS_IT_IS))}\n```"


def _arguments(command: click.Command) -> str:
    names = [each.make_metavar(click.Context(command)) for each in command.params if isinstance(each, click.Argument)]
    return "".join(f" {name}" for name in names)


def _options(command: click.Command) -> str:
    rows = [_row(each) for each in command.params if isinstance(each, click.Option)]
    return "\n".join(["| option | meaning |", "|---|---|", *rows]) if rows else ""


def _row(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    value = "" if option.is_flag or option.count else f" {option.metavar or _choices(option)}"
    return f"| `{names}{value}` | {_cell(option.help or '')} |"


def _choices(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(str(choice) for choice in option.type.choices)
    return "N" if isinstance(option.type, click.types.IntParamType) else str(option.type.name).upper()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
