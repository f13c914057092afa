"""docs/braket-users.md says what the tables say."""

from __future__ import annotations

import runpy

from conformance.tables import TABLES
from documents import ROOT, read


def test_the_page_is_made_of_the_tables() -> None:
    generator = runpy.run_path(str(ROOT / "docs" / "generate_braket_users.py"))
    assert read("docs/braket-users.md") == generator["page"](), "run: python docs/generate_braket_users.py"


def test_every_difference_is_on_the_page() -> None:
    page = read("docs/braket-users.md")
    for table in TABLES:
        for row in table.rows:
            if row.why:
                assert row.why[1:] in page
