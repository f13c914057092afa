"""What jobs turned out to import late is known to the next dispatcher, and bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from qjob.engines.local.learning import LateImports
from qjob.model.spec import JobSpec
from qjob.testing import make_folder, make_spec


def spec_of(number: int = 0, *late: str) -> JobSpec:
    return make_spec(source_uri=f"file:///{number}.py", late_imports=late)


def learned(imports: LateImports, jobs: Path, spec: JobSpec, text: str) -> None:
    folder = make_folder(jobs, spec)
    folder.late_imports.write_text(text)
    imports.learn(folder)


def test_what_was_learned_counts_for_the_same_source_and_entry_point(tmp_path: Path) -> None:
    imports = LateImports(tmp_path / "imports.json")
    learned(imports, tmp_path / "jobs", spec_of(0, "numpy", "scipy.optimize"), "numpy")
    learned(imports, tmp_path / "jobs", spec_of(0, "numpy", "scipy.optimize"), "scipy.optimize")
    for known in (imports, LateImports(tmp_path / "imports.json")):
        assert known.of(spec_of(0, "json", "scipy.optimize", "numpy")) == ("scipy.optimize", "numpy")
        assert known.of(spec_of(0, "json")) == ()  # the source does not import them any more
        assert known.of(spec_of(1, "numpy")) == ()


def test_a_job_that_left_nothing_changes_nothing(tmp_path: Path) -> None:
    imports = LateImports(tmp_path / "imports.json")
    imports.learn(make_folder(tmp_path / "jobs", spec_of(0, "numpy")))
    assert not (tmp_path / "imports.json").exists()


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', "\0", '{"a": [1]}'])
def test_a_damaged_file_is_one_to_begin_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "imports.json").write_text(content)
    imports = LateImports(tmp_path / "imports.json")
    learned(imports, tmp_path / "jobs", spec_of(0, "numpy"), "numpy")
    assert imports.of(spec_of(0, "numpy")) == ("numpy",)


def test_the_oldest_sources_make_room(tmp_path: Path) -> None:
    imports = LateImports(tmp_path / "imports.json")
    for number in range(201):
        learned(imports, tmp_path / "jobs", spec_of(number, "numpy"), "numpy")
    assert imports.of(spec_of(0, "numpy")) == ()
    assert imports.of(spec_of(1, "numpy")) == imports.of(spec_of(200, "numpy")) == ("numpy",)


def test_a_full_disk_is_no_failure(tmp_path: Path) -> None:
    imports = LateImports(tmp_path / "missing" / "imports.json")
    learned(imports, tmp_path / "jobs", spec_of(0, "numpy"), "numpy")
    assert imports.of(spec_of(0, "numpy")) == ("numpy",)
