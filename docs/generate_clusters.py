"""Write the tables of docs/clusters.md from the engine's own: ``python docs/generate_clusters.py``.

A test keeps them true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from qjob.engine import Presence
from qjob.engines.slurm.options import OURS, OWN_WORDS
from qjob.engines.slurm.states import ENDINGS, PRESENCES, REASONS

PAGE = Path(__file__).with_name("clusters.md")
_STATES = {Presence.WAITING: "QUEUED", Presence.RUNNING: "RUNNING", Presence.GONE: "FAILED"}
_FAILED = "by its exit code: killed for its memory (0:9), no folder (66), no interpreter (67), or what runner.log says"


def page(text: str) -> str:
    """Return the page with its tables made anew; each stands between two comments that name it."""
    tables = {
        "states": _table(("Slurm's state", "ours", "what is said of it"), _states()),
        "reasons": _table(("Slurm's reason", "the job waits for"), _reasons()),
        "words": _table(("word", "meaning"), ((f"`{word}`", text) for word, text in OWN_WORDS.items())),
        "ours": _table(("option", "instead"), ((f"`--{word}`", text) for word, text in sorted(OURS.items()))),
    }
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, found = pattern.subn(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", text)
        if found != 1:
            raise ValueError(f"{PAGE} has not one place for the table {name!r}")
    return text


def _states() -> Iterable[tuple[str, str, str]]:
    for state, presence in sorted(PRESENCES.items(), key=lambda item: (list(_STATES).index(item[1]), item[0])):
        ours = "CANCELLED" if state == "CANCELLED" else _STATES[presence]
        yield f"`{state}`", ours, _FAILED if state == "FAILED" else ENDINGS.get(state, "")


def _reasons() -> Iterable[tuple[str, str]]:
    return ((f"`{reason}`", text) for reason, text in sorted(REASONS.items()) if reason)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]])


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
