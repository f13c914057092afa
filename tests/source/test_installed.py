"""The name of an installed package or module as a source: found as an import would, without importing it."""

from __future__ import annotations

import importlib
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from qjob.errors import InvalidInput
from qjob.source.entry_point import default_entry_point, entry_point_problem, missing_siblings
from qjob.source.packed import PackedSource
from qjob.source.path import pack_source

TRAP = "raise SystemExit('this was imported')\n"
PACKAGE = {
    "lib/qjobtest/__init__.py": TRAP,
    "lib/qjobtest/core.py": TRAP + "def f(): ...\n",
    "lib/qjobtest/sub/__init__.py": TRAP,
    "lib/qjobtest/sub/deep.py": TRAP + "def g(): ...\n",
    "lib/qjobtest/requirements.txt": "scipy\n",
    "lib/qjobtest/__pycache__/core.pyc": "",
}
Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Write files, and put folders among them on this process's path, which is what is looked at."""

    def written(files: Mapping[str, str], *on_path: str) -> Path:
        for name, content in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content)
        for place in on_path or ("lib",):
            monkeypatch.syspath_prepend(str(tmp_path / place))
        return tmp_path

    return written


@pytest.fixture
def finder() -> Iterator[list[Any]]:
    """What an editable install may put before Python's own finders."""
    before = list(sys.meta_path)
    yield sys.meta_path
    sys.meta_path[:] = before


def problem_of(name: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        pack_source(name)
    (problem,) = caught.value.problems
    return problem


def copied(packed: PackedSource, folder: Path) -> set[str]:
    packed.write_to(folder)
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_package_is_taken_as_its_folder_would_be(install: Install) -> None:
    root = install(PACKAGE)
    packed = pack_source("qjobtest")
    assert packed.uri == (root / "lib/qjobtest").resolve().as_uri()
    assert (packed.name, packed.is_directory, packed.place) == ("qjobtest", True, "qjobtest")
    assert default_entry_point(packed) == "qjobtest"
    assert packed.root_requirements() == b"scipy\n"
    assert copied(packed, root / "job") == {
        *("qjobtest/__init__.py", "qjobtest/core.py", "qjobtest/sub/__init__.py", "qjobtest/sub/deep.py"),
        "qjobtest/requirements.txt",
    }


@pytest.mark.parametrize("name", ["qjobtest.core", "qjobtest.sub.deep", "qjobtest.sub"])
def test_a_module_of_a_package_is_run_in_the_whole_package(install: Install, name: str) -> None:
    install(PACKAGE)
    packed = pack_source(name)
    assert (packed.name, len(packed.files)) == ("qjobtest", 5)
    assert default_entry_point(packed) == name
    problem = entry_point_problem(packed, name)
    assert problem is None or "no 'qjobtest/sub/__main__.py'" in problem
    assert entry_point_problem(packed, "qjobtest.sub.deep:g") is None


def test_a_module_that_is_not_there_is_told_by_the_entry_point(install: Install) -> None:
    install(PACKAGE)
    packed = pack_source("qjobtest.cor")
    assert "did you mean 'qjobtest.core'" in str(entry_point_problem(packed, default_entry_point(packed)))


def test_a_module_of_one_file_is_that_file(install: Install) -> None:
    root = install({"lib/qjobtest.py": "import helper\n" + TRAP, "lib/helper.py": TRAP})
    packed = pack_source("qjobtest")
    assert (packed.name, packed.is_directory, default_entry_point(packed)) == ("qjobtest.py", False, "qjobtest")
    assert missing_siblings(packed) == ()  # it is installed as well
    assert copied(packed, root / "job") == {"qjobtest.py"}


@pytest.mark.parametrize(
    ("files", "name", "place", "written"),
    [
        ({"lib/corp/quantum/__init__.py": TRAP, "lib/corp/other/m.py": ""}, "corp.quantum", "corp/quantum", None),
        ({"lib/corp/quantum.py": TRAP}, "corp.quantum", "corp", {"corp/quantum.py"}),
        ({"lib/corp/a/q/__init__.py": TRAP}, "corp.a.q", "corp/a/q", None),
        ({"lib/corp/quantum/__init__.py": TRAP}, "corp.quantum.no", "corp/quantum", None),
    ],
)
def test_in_a_namespace_package_the_package_itself_is_taken(
    install: Install, files: Mapping[str, str], name: str, place: str, written: set[str] | None
) -> None:
    root = install(dict(files) | {"lib2/corp/mine/__init__.py": TRAP}, "lib", "lib2")
    packed = pack_source(name)
    assert (packed.name, packed.place, packed.is_directory) == ("corp", place, True)
    assert copied(packed, root / "job") == (written or {f"{place}/__init__.py"})
    found = entry_point_problem(packed, name + ":f")
    assert found is None or "does not define" in found or "no module" in found


def test_what_runs_is_found_by_its_own_name(install: Install) -> None:
    root = install({"lib/corp/quantum/__init__.py": "", "lib/corp/quantum/m.py": "def f(): ...\n"})
    packed = pack_source("corp.quantum.m")
    packed.write_to(root / "job")
    code = "import corp.quantum.m; print(corp.quantum.m.__file__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=root / "job", capture_output=True, text=True, check=True)
    assert ran.stdout == f"{root / 'job/corp/quantum/m.py'}\n"
    assert entry_point_problem(packed, "corp.quantum.m:f") is None


def test_a_path_comes_before_a_module_of_its_name(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    root = install(PACKAGE | {"here/qjobtest/__main__.py": ""})
    monkeypatch.chdir(root / "here")  # what a relative path means depends on it alone
    assert [file.relative for file in pack_source("qjobtest").files] == ["__main__.py"]


def test_nothing_is_imported(install: Install) -> None:
    install(PACKAGE | {"lib/corp/quantum/__init__.py": TRAP})
    before = set(sys.modules)
    for name in ("qjobtest", "qjobtest.sub.deep", "corp.quantum"):
        pack_source(name)
    assert not {name for name in set(sys.modules) - before if name.startswith(("qjobtest", "corp"))}


def test_a_module_that_is_imported_already_is_found_all_the_same(install: Install) -> None:
    install({"lib/qjobtest_imported/__init__.py": ""})
    importlib.import_module("qjobtest_imported")
    try:
        assert pack_source("qjobtest_imported").name == "qjobtest_imported"
    finally:
        del sys.modules["qjobtest_imported"]


def test_an_editable_install_is_found_by_its_finder(install: Install, finder: list[Any]) -> None:
    root = install(PACKAGE, "elsewhere")

    class EditableFinder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
            place = root / "lib" / name / "__init__.py"
            return spec_from_file_location(name, place) if name == "qjobtest" else None

    finder.insert(0, EditableFinder)
    packed = pack_source("qjobtest")
    assert packed.uri == (root / "lib/qjobtest").resolve().as_uri()


def test_the_rules_of_a_repository_hold_for_its_own_code_and_not_for_what_is_installed(install: Install) -> None:
    root = install(
        {
            ".git/HEAD": "",
            ".gitignore": "*.csv\n.venv/\nlib/\n",
            ".venv/lib/site-packages/installed/__init__.py": "",
            ".venv/lib/site-packages/installed/lib/table.csv": "",
            "src/editable/__init__.py": "",
            "src/editable/table.csv": "",
        },
        ".venv/lib/site-packages",
        "src",
    )
    assert copied(pack_source("installed"), root / "1") == {"installed/__init__.py", "installed/lib/table.csv"}
    assert copied(pack_source("editable"), root / "2") == {"editable/__init__.py"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sys", "belongs to Python itself"),
        ("json", "belongs to Python itself"),
        ("json.decoder", "belongs to Python itself"),
        ("corp", "is a namespace package, whose code lies in several folders; name a package in 'corp'"),
        ("corp.inner", "namespace package"),
        ("corp.nothing", "there is no 'corp.nothing'"),
        ("compiled", "it is compiled"),
        ("bytecode", "it is compiled"),
        ("zipped", "inside of an archive"),
        ("no_such_module_here", "Nor is there an installed module of that name"),
        ("no_such_module_here.m", "Nor is there an installed module of that name"),
    ],
)
def test_what_has_no_source_is_refused(install: Install, name: str, words: str) -> None:
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    files = {"lib/corp/inner/data.txt": "", f"lib/compiled{suffix}": "", "lib/bytecode.pyc": "", "lib/x.txt": ""}
    root = install(files, "lib", "packages.zip")
    with zipfile.ZipFile(root / "packages.zip", "w") as archive:
        archive.writestr("zipped/__init__.py", "")
    problem = problem_of(name)
    assert words in problem
    assert problem.startswith(f"source {name!r} ")


@pytest.mark.parametrize(
    "name", ["qjobtest.py", "qjobtest.zip", "qjobtest/core", "qjob-test", ".qjobtest", "qjobtest."]
)
def test_what_is_a_path_by_its_looks_is_no_module(install: Install, name: str) -> None:
    install(PACKAGE | {"lib/qjobtest/py.py": "", "lib/qjobtest/zip.py": ""})
    problem = problem_of(name)
    assert "does not exist" in problem
    assert "installed" not in problem


def test_only_a_text_names_a_module(install: Install) -> None:
    install(PACKAGE)
    with pytest.raises(InvalidInput, match="does not exist"):
        pack_source(Path("qjobtest"))
