"""The documents as the tests read them: which there are, their blocks, and their prose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SHOWN = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
"""Where the snippets run."""
WRITTEN = [
    *SHOWN,
    *sorted(ROOT.glob("*/*/README.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
    *ROOT.glob("CHANGELOG.md"),
]
"""Everything that is written for people."""


@dataclass(frozen=True, kw_only=True)
class Block:
    """A fenced block of a document.

    Attributes:
        language: the word after the fence.
        line: where it begins, counted from 1.
        text: what is in it.
    """

    language: str
    line: int
    text: str

    @property
    def saved_as(self) -> str | None:
        """The file's name that the block begins with, if it does."""
        name = re.match(r"# ([\w-][\w./-]*\.\w+)\n", self.text)
        return name[1] if name else None


def read(name: str) -> str:
    """Return a document; fail with a sentence when it is not there."""
    path = ROOT / name
    if not path.is_file():
        pytest.fail(f"{name} has not been written", pytrace=False)
    return path.read_text(encoding="utf-8")


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a document."""
    found = re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.MULTILINE | re.DOTALL)
    return [Block(language=each[2], line=text[: each.start()].count("\n") + 1, text=each[3]) for each in found]


def named(paths: list[Path]) -> list[Any]:
    """Return documents as parameters with their names as ids."""
    return [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in paths]


def read_path(path: Path) -> str:
    """Return the text of a document."""
    return path.read_text(encoding="utf-8")


def without_blocks(text: str) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^( *)```.*?^\1```$", "", text, flags=re.MULTILINE | re.DOTALL)
