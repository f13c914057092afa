"""The entry point, checked without importing it; Python itself says what it would run."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from qjob.source.entry_point import default_entry_point, entry_point_problem, missing_siblings
from qjob.source.path import PackedSource, pack_source

GUARD = "if __name__ == '__main__':\n    pass\n"
PACKAGE = {
    "pkg/__init__.py": "from pkg.sub.tools import tool\n",
    "pkg/main.py": "def train(lr): ...\ndef test(): ...\nasync def serve(): ...\n" + GUARD,
    "pkg/plain.py": "x = 1\n",
    "pkg/sub/tools.py": "def tool(): ...\n",
    "pkg/runs/__main__.py": "from . import other\n",
    "pkg/runs/other.py": "",
    "pkg/both.py": "def here(): ...\n",
    "pkg/both/data.py": "",
    "pkg/first.py": "",
    "pkg/first/__init__.py": "def there(): ...\n",
    "pkg/my-module.py": "",
    "pkg/notes.txt": "",
}


def make(folder: Path, files: Mapping[str, str]) -> PackedSource:
    """Write the files and pack the one entry that holds them all."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return pack_source(folder / next(iter(files)).split("/")[0])


RUNS_IT = """
import importlib, runpy, sys
source, entry_point = sys.argv[1:]
sys.path.append(source)
module, colon, function = entry_point.partition(":")
if colon:
    assert callable(getattr(importlib.import_module(module), function))
else:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def starts(folder: Path, entry_point: str) -> bool:
    """Say whether Python can run the entry point by the published rule."""
    command = [sys.executable, "-B", "-P", "-c", RUNS_IT, str(folder), entry_point]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "entry_point",
    [
        *("pkg.main", "pkg.main:train", "pkg:tool", "pkg.sub.tools:tool", "pkg.plain", "pkg.runs"),
        *("pkg.runs.__main__", "pkg.both", "pkg.both:here", "pkg.first:there", "pkg.my-module", "pkg.__init__"),
    ],
)
def test_what_python_can_start_is_no_problem(tmp_path: Path, entry_point: str) -> None:
    packed = make(tmp_path, PACKAGE)
    assert entry_point_problem(packed, entry_point) is None
    assert starts(tmp_path, entry_point)


@pytest.mark.parametrize(
    ("entry_point", "words"),
    [
        ("pkg", "no 'pkg/__main__.py'; name the module to run: 'pkg.main', or add that file"),
        ("main", "did you mean 'pkg.main'?"),
        ("main:train", "did you mean 'pkg.main:train'?"),
        ("tools:tool", "did you mean 'pkg.sub.tools:tool'?"),
        ("sub.tools:tool", "did you mean 'pkg.sub.tools:tool'?"),
        ("pkg/main.py", "did you mean 'pkg.main'?"),
        ("main.py", "did you mean 'pkg.main'?"),
        ("pkg.main.py", "did you mean 'pkg.main'?"),
        ("./pkg/main.py", "none first or last; did you mean 'pkg.main'?"),
        ("pkg.mian", "did you mean 'pkg.main'"),
        ("pgk.main", "did you mean 'pkg.main'"),
        ("pkg.main.train", "did you mean 'pkg.main:train'?"),
        (".main", "none first or last; did you mean 'pkg.main'?"),
        ("..", "none first or last; there is 'pkg.both', "),
        ("pkg..main", "one '.' between its parts"),
        ("", "one '.' between its parts"),
        (":train", "one '.' between its parts"),
        ("pkg.main:", "'' is no name of a function"),
        ("pkg.main:a.b", "'a.b' is no name of a function"),
        ("pkg.main:train:x", "'train:x' is no name of a function"),
        ("pkg.main:tarin", "'pkg/main.py' does not define 'tarin' at its top level; did you mean 'train'"),
        ("pkg.main:zzz", "it defines 'serve', 'test' or 'train'"),
        ("pkg.plain:zzz", "it defines no functions"),
        ("pkg.main:serve", "'serve' in 'pkg/main.py' is an async function"),
        ("pkg.sub", "no 'pkg/sub/__main__.py'; name the module to run: 'pkg.sub.tools', or"),
        ("pkg.sub:tool", "'pkg.sub' has no '__init__.py' that could define 'tool'"),
        ("pkg.first", "no 'pkg/first/__main__.py'; add that file"),
        ("pkg.notes", "no module 'pkg.notes'"),
        ("something.else", "no module 'something.else'"),
    ],
)
def test_what_python_cannot_start_is_named_with_a_remedy(tmp_path: Path, entry_point: str, words: str) -> None:
    problem = entry_point_problem(make(tmp_path, PACKAGE), entry_point)
    assert problem is not None
    assert words in problem
    assert problem.startswith(f"entry point {entry_point!r}: ")
    if "async" not in words:  # which Python would call, to no effect
        assert not starts(tmp_path, entry_point)


@pytest.mark.parametrize(
    ("files", "entry_point", "words"),
    [
        ({"vqe.py": ""}, "vqe", None),
        ({"vqe.py": "def main(): ..."}, "vqe:main", None),
        ({"vqe.py": "def main(): ..."}, "vqe.main", "did you mean 'vqe:main'?"),
        ({"vqe.py": "def main(): ..."}, "vqe.py:main", "did you mean 'vqe:main'?"),
        ({"vqe.py": "def main(): ..."}, "vqe.py", "did you mean 'vqe'?"),
        ({"vqe.py": "def main(): ..."}, "vpe:main", "did you mean 'vqe:main'?"),
        ({"vqe.py": "def main(): ..."}, "other", "; there is 'vqe'"),
        ({"vqe.py": "from x import *"}, "vqe:main", None),
        ({"my-script.py": ""}, "my-script", None),
        ({"my-script.py": "def f(): ..."}, "my-script:f", None),
        ({"a.b.py": "def f(): ..."}, "a.b", None),
        ({"a.b.py": "def f(): ..."}, "a.b:f", "but not imported"),
        ({"a:b.py": ""}, "a:b", "must not have a ':'"),
        ({"queue.py": "def f(): ..."}, "queue", None),
        ({"queue.py": "def f(): ..."}, "queue:f", "Python has a module 'queue' of its own"),
        ({"code/main.py": ""}, "code.main", "Python has a module 'code' of its own"),
        ({"my-pkg/__main__.py": ""}, "my-pkg", None),
        ({"my-pkg/main.py": "def f(): ..."}, "my-pkg.main:f", None),
        ({"pkg-2.1/main.py": ""}, "pkg-2.1.main", "'.' or ':' in its name"),
        ({"pkg/data.txt": ""}, "pkg", "add that file"),
        ({"pkg/data.txt": ""}, "pkg.main", "no Python file in it"),
        ({"pkg/fast.cpython-311-x86_64-linux-gnu.so": ""}, "pkg.fast:f", None),
        ({"pkg/.gitignore": "gen/\nown.py", "pkg/own.py": ""}, "pkg.own", "'pkg/own.py' is not taken along"),
        ({"pkg/.gitignore": "gen/", "pkg/gen/m.py": ""}, "pkg.gen.m", "'pkg/gen/' is not taken along"),
        ({"pkg/.gitignore": "gen/", "pkg/gen/__main__.py": ""}, "pkg.gen", "'pkg/gen/' is not taken along"),
        ({"pkg/main.py": "", "pkg/__init__.py": "x ="}, "pkg.main", "'pkg/__init__.py' is not valid Python"),
        ({"pkg/sub/m.py": "", "pkg/sub/__init__.py": "x ="}, "pkg.sub.m", "'pkg/sub/__init__.py' is not valid"),
        ({"pkg/main.py": "\nx = = 1"}, "pkg.main:f", "'pkg/main.py' is not valid Python, line 2: invalid syntax"),
    ],
)
def test_files_and_folders_of_all_kinds(
    tmp_path: Path, files: Mapping[str, str], entry_point: str, words: str | None
) -> None:
    problem = entry_point_problem(make(tmp_path, files), entry_point)
    assert (problem is None) == (words is None), problem
    assert words is None or words in str(problem)


@pytest.mark.parametrize(
    ("files", "entry_point", "words"),
    [
        ({"new.py": "x = = 1"}, "new", None),
        ({"pkg/new.py": "x = = 1"}, "pkg.new:f", None),
        ({"pkg/new.py": ""}, "pkg.nwe", "did you mean 'pkg.new'?"),
        ({"pkg/new.py": ""}, "pkg.new:f", "does not define 'f'"),
    ],
)
def test_another_python_may_know_another_grammar(
    tmp_path: Path, files: Mapping[str, str], entry_point: str, words: str | None
) -> None:
    problem = entry_point_problem(make(tmp_path, files), entry_point, is_for_this_python=False)
    assert (problem is None) == (words is None), problem
    assert words is None or words in str(problem)


def test_the_default_runs_the_whole_source(tmp_path: Path, nasty_name: str) -> None:
    file = make(tmp_path / "file", {f"{nasty_name}.py": "raise SystemExit('this is not run')"})
    folder = make(tmp_path / "folder", {f"{nasty_name}/__main__.py": ""})
    for packed in (file, folder):
        assert default_entry_point(packed) == nasty_name
        assert entry_point_problem(packed, nasty_name) is None


def test_nothing_is_imported_and_nobody_is_warned(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w')\nx = '\\d'\ndef f(): ...\n"
    packed = make(tmp_path, {"qjob_test_pkg/__init__.py": code, "qjob_test_pkg/main.py": code})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert entry_point_problem(packed, "qjob_test_pkg.main:f") is None
    assert not trace.exists()
    assert "qjob_test_pkg" not in sys.modules
    assert not list(tmp_path.rglob("*.pyc"))


@pytest.mark.parametrize("entry_point", [None, 7, b"pkg.main", len])
def test_what_is_no_text_is_no_entry_point(tmp_path: Path, entry_point: Any) -> None:
    problem = entry_point_problem(make(tmp_path, PACKAGE), entry_point)
    assert "a str is expected" in str(problem)


def test_a_file_that_has_gone_is_named(tmp_path: Path) -> None:
    packed = make(tmp_path, {"pkg/main.py": ""})
    (tmp_path / "pkg/main.py").unlink()
    problem = entry_point_problem(packed, "pkg.main")
    assert "'pkg/main.py' is not valid Python, it cannot be read: No such file" in str(problem)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    files = {f"pkg/m{number:02}.py": "" for number in range(12)}
    problem = entry_point_problem(make(tmp_path, files), "pkg")
    assert re.search(r"'pkg.m00', .*'pkg.m04' or 7 more", str(problem))


def test_imports_from_beside_a_file_are_missed(tmp_path: Path) -> None:
    code = "import helper, numpy, main\nfrom tools.deep import x\ndef f():\n    import late\nfrom .near import y\n"
    files = ["helper.py", "tools/__init__.py", "late/m.py", "near.py", "numpy.txt", "unused.py"]
    packed = make(tmp_path, {"main.py": code} | dict.fromkeys(files, ""))
    assert missing_siblings(packed) == ("helper.py", "late/", "near.py", "tools/")


@pytest.mark.parametrize(
    ("beside", "code"),
    [
        ("json/data.py", "import json"),  # Python's own comes before a folder without __init__.py
        ("sys.py", "import sys"),  # built in: comes before everything
        ("qiskit/results.csv", "import qiskit"),  # no code in it
        ("helper.py", "import = helper"),
        ("helper.py", "x = 'import helper'"),
    ],
)
def test_what_python_would_not_import_from_there_is_not_missed(tmp_path: Path, beside: str, code: str) -> None:
    assert missing_siblings(make(tmp_path, {"main.py": code, beside: ""})) == ()


def test_a_file_of_the_name_of_pythons_own_is_missed_as_it_comes_first(tmp_path: Path) -> None:
    assert missing_siblings(make(tmp_path, {"main.py": "import random", "random.py": ""})) == ("random.py",)


def test_a_folder_misses_nothing(tmp_path: Path) -> None:
    assert missing_siblings(make(tmp_path, {"pkg/main.py": "import pkg, helper", "helper.py": ""})) == ()


def test_siblings_are_looked_for_where_a_link_leads(tmp_path: Path) -> None:
    make(tmp_path / "real", {"main.py": "import helper", "helper.py": ""})
    (tmp_path / "link.py").symlink_to("real/main.py")
    assert missing_siblings(pack_source(tmp_path / "link.py")) == ("helper.py",)
