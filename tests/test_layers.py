"""The architecture holds, and each of its rules is proven by a planted violation that turns it red.

The contracts of ``[tool.importlinter]`` are run on a copy of ``src/qjob`` with one line added. What import-linter
cannot say (third-party imports, imports inside functions, cycles of single modules) is read from the source here,
and each reader is proven by a plant as well.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "qjob"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS: dict[str, Any] = {contract["name"]: contract for contract in PROJECT["tool"]["importlinter"]["contracts"]}


@dataclass(frozen=True, kw_only=True)
class Plant:
    """A line that breaks one contract and no other.

    Attributes:
        file: where it is added, below the package; made when it is not there.
        line: the line.
        said: what the linter must say about it.
    """

    file: str
    line: str
    said: str


PLANTS = {
    "Imports go down only": [
        Plant(file="download.py", line="import qjob.config", said="qjob.download is not allowed to import qjob.config"),
        Plant(file="logs.py", line="import qjob.staging", said="qjob.logs is not allowed to import qjob.staging"),
        Plant(file="novel.py", line="", said="- qjob.novel"),
    ],
    "Nothing inside imports through the front": [
        Plant(file="runner/reasons.py", line="from qjob import submit", said="qjob.runner.reasons -> qjob "),
    ],
    "No package takes part in a cycle": [
        Plant(
            file="engines/local/queue.py",
            line="import qjob.engines.local.schedule",
            said="No cycles are allowed in qjob.engines.local.",
        ),
    ],
    "Engines do not know each other": [
        Plant(
            file="engines/novel.py",
            line="import qjob.engines.local.queue",
            said="qjob.engines.novel is not allowed to import qjob.engines.local",
        ),
    ],
    "The doors know no engine and no runner": [
        Plant(
            file="cli/__init__.py",
            line="import qjob.engines.local.queue",
            said="qjob.cli is not allowed to import qjob.engines",
        ),
        Plant(file="cli/novel.py", line="import qjob.runner.run", said="qjob.cli is not allowed to import qjob.runner"),
    ],
    "Nobody but the service uses the index": [
        Plant(
            file="engines/local/queue.py",
            line="import qjob.store.store",
            said="qjob.engines.local.queue -> qjob.store.store",
        ),
    ],
    "The runner knows only the model and the folder": [
        Plant(file="runner/run.py", line="import qjob.engine", said="qjob.runner is not allowed to import qjob.engine"),
    ],
    "The model is plain data": [
        Plant(file="model/naming.py", line="import os", said="qjob.model is not allowed to import os"),
    ],
}

THIRD_PARTY = {"braket/": {"cloudpickle"}, "cli/": {"click", "rich"}}
"""What may be imported besides the standard library, and where; an engine may import what it is an engine for."""

STARTS_THE_JOB = "job code imports it first of all: only what every job uses is loaded"
IN_THE_JOB = "runs in the user's process before the script: only what is needed is loaded"
ONLY_WITH_REQUIREMENTS = "only for a job that has requirements"
NOT_EVERYWHERE = "not every Python was built with it"
STARTS_THE_COMMAND = "a command starts without it in a third of the time"
ONLY_A_TERMINAL = "40 ms, which only a terminal needs"
IMPORTS_IN_FUNCTIONS = {
    ("app.py", "importlib"): "10 ms, and only another engine than ours needs it",
    ("app.py", "qjob.runner.container_paths"): "only `qjob doctor` asks",
    ("braket/hybrid_job.py", "qjob.braket.decorator"): "decorating does nothing; calling does",
    ("cli/main.py", "difflib"): STARTS_THE_COMMAND,
    ("cli/main.py", "qjob.cli.terminal"): STARTS_THE_COMMAND,
    ("cli/metrics.py", "rich"): ONLY_A_TERMINAL,
    ("cli/session.py", "qjob.app"): STARTS_THE_COMMAND,
    ("cli/session.py", "qjob.config"): STARTS_THE_COMMAND,
    ("cli/terminal.py", "qjob.cli.text"): ONLY_A_TERMINAL,
    ("cli/terminal.py", "rich"): ONLY_A_TERMINAL,
    ("cli/values.py", "qjob.cli.completion"): "brings the service, which parsing does not need",
    ("config.py", "tomllib"): "only where there is a file: it costs more than the rest of the settings",
    ("devices.py", "difflib"): "only for a device that there is not",
    ("devices.py", "importlib"): STARTS_THE_JOB,
    ("request.py", "qjob.interpreter.find"): "only for a job that names its interpreter",
    ("request.py", "qjob.interpreter.requirements"): ONLY_WITH_REQUIREMENTS,
    ("runner/bootstrap.py", "importlib"): IN_THE_JOB,
    ("runner/bootstrap.py", "io"): IN_THE_JOB,
    ("runner/bootstrap.py", "qjob"): IN_THE_JOB,
    ("runner/bootstrap.py", "qjob.runner.binding"): IN_THE_JOB,
    ("runner/bootstrap.py", "traceback"): IN_THE_JOB,
    ("runner/free_port.py", "socket"): "only for jobs with several instances",
    ("runner/script.py", "qjob.interpreter.launch"): ONLY_WITH_REQUIREMENTS,
    ("sweep_handle.py", "qjob.braket.sweep_call"): "cloudpickle, only for a sweep over a function",
    ("runtime/__init__.py", "pathlib"): STARTS_THE_JOB,
    ("runtime/__init__.py", "qjob.runtime.document"): STARTS_THE_JOB,
    ("runtime/__init__.py", "qjob.runtime.persisted"): STARTS_THE_JOB,
    ("source/archive.py", "bz2"): NOT_EVERYWHERE,
    ("source/archive.py", "gzip"): NOT_EVERYWHERE,
    ("source/archive.py", "lzma"): NOT_EVERYWHERE,
    ("source/path.py", "qjob.source.archive"): "15 ms, and only an archive needs it",
    ("source/path.py", "qjob.source.ignore"): "5 ms, and a single file needs none of it",
    ("source/path.py", "qjob.source.installed"): "only for a name where no such path is",
}
"""Every import inside a function, and why it is there. Dodging a cycle is no reason."""

IMPORTS_BY_NAME = {
    ("__init__.py", "import_module"): "names are loaded when they are first used",
    ("app.py", "import_module"): "an engine is imported when it is first asked for",
    ("braket/__init__.py", "import_module"): "names are loaded when they are first used",
    ("braket/pickling.py", "import_module"): "the modules that the user names, to take them along",
    ("cli/main.py", "import_module"): "a command is imported when it is used",
    ("engines/local/imports.py", "import_module"): "what jobs import",
    ("engines/ray/spread.py", "import_module"): "Ray, which only this program on the cluster needs",
    ("devices.py", "import_module"): "the SDK that the device's name asks for",
    ("runtime/optional.py", "import_module"): "numpy and its like, where the user's values are theirs",
    ("runner/binding.py", "import_module"): "the user's module",
    ("runner/bootstrap.py", "__import__"): "the packages that the user's script lies in",
}
"""Every import that no linter sees, because the module's name is a value."""

OF_THE_FRONT = {"__file__", "__version__"}
"""What the code inside may ask the front for; everything else has a module of its own."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, to plant in."""
    tree = tmp_path / "src" / "qjob"
    shutil.copytree(PACKAGE, tree, ignore=shutil.ignore_patterns("__pycache__"))
    return tree


# ---------------------------------------------------------------- the contracts of pyproject.toml


def test_every_contract_holds(copy: Path) -> None:
    verdicts, text = lint(copy)
    assert verdicts == dict.fromkeys(CONTRACTS, "KEPT"), text


def test_every_contract_has_a_plant() -> None:
    assert set(PLANTS) == set(CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "plant"),
    [(contract, plant) for contract, plants in PLANTS.items() for plant in plants],
    ids=lambda value: f"{value.file}-{value.line}" if isinstance(value, Plant) else value,
)
def test_a_planted_violation_breaks_just_its_contract(copy: Path, contract: str, plant: Plant) -> None:
    grow(copy, plant.file, plant.line)
    verdicts, text = lint(copy)
    assert [name for name, verdict in verdicts.items() if verdict == "BROKEN"] == [contract], text
    assert plant.said in text


def test_no_floor_imports_from_above_nor_from_beside(copy: Path) -> None:
    """All at once: every module on the list imports all those above it, and those beside it."""
    floors = [re.findall(r"\w+", floor) for floor in CONTRACTS["Imports go down only"]["layers"]]
    pairs = [(low, high) for above, below in combinations(floors, 2) for high in above for low in below]
    pairs += [(one, other) for floor in floors for one in floor for other in floor if one != other]
    for importer, imported in pairs:
        grow(
            copy,
            f"{importer}/__init__.py" if (copy / importer).is_dir() else f"{importer}.py",
            f"import qjob.{imported}",
        )
    _, text = lint(copy)
    expected = {f"qjob.{importer} is not allowed to import qjob.{imported}:" for importer, imported in pairs}
    assert sorted(expected - set(text.splitlines())) == []


def lint(package: Path) -> tuple[dict[str, str], str]:
    """Run the contracts on a copy of the package; return each one's verdict, and all that was said."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("lint-imports"),
            "--config",
            ROOT / "pyproject.toml",
            "--no-cache",
            "--no-logo",
        ],
        cwd=package.parent,  # import-linter puts the working directory first
        env=os.environ | {"COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    verdicts = dict(re.findall(r"^(.*) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE))
    assert done.returncode == ("BROKEN" in verdicts.values()), text
    return verdicts, text


def grow(package: Path, file: str, line: str) -> None:
    """Add a line to a module, which is made when it is not there."""
    path = package / file
    with path.open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")


# ---------------------------------------------------------------- what is read from the source


@dataclass(frozen=True, kw_only=True)
class Import:
    """One imported module or name.

    Attributes:
        file: where, below the package.
        module: what, by its full name; for ``from a import b`` this is ``a``.
        name: ``b``; empty for ``import a``.
        inside: whether it stands in a function.
    """

    file: str
    module: str
    name: str
    inside: bool

    @property
    def package(self) -> str:
        """The package that it is imported from."""
        return self.module.partition(".")[0]

    @property
    def is_ours(self) -> bool:
        """Whether that is qjob."""
        return self.package == "qjob"


def test_only_the_standard_library_is_imported() -> None:
    assert third_party(PACKAGE) == []


def test_a_planted_third_party_import_is_found(copy: Path) -> None:
    grow(copy, "judge.py", "import numpy.linalg")
    grow(copy, "source/tree.py", "def late():\n    from pathspec import PathSpec")
    grow(copy, "store/novel.py", "from rich import print")
    assert third_party(copy) == [
        "judge.py imports numpy",
        "source/tree.py imports pathspec",
        "store/novel.py imports rich",
    ]


def test_what_may_be_imported_is_a_dependency() -> None:
    declared = {re.split(r"\W", dependency)[0] for dependency in PROJECT["project"]["dependencies"]}
    assert declared == set().union(*THIRD_PARTY.values())


def test_imports_inside_functions_are_those_on_the_list() -> None:
    assert imports_in_functions(PACKAGE) == set(IMPORTS_IN_FUNCTIONS)


def test_a_planted_import_inside_a_function_is_found(copy: Path) -> None:
    grow(
        copy,
        "judge.py",
        "class A:\n    async def late(self):\n        if self:\n            from qjob.store import store",
    )
    assert imports_in_functions(copy) - imports_in_functions(PACKAGE) == {("judge.py", "qjob.store")}


def test_imports_by_name_are_those_on_the_list() -> None:
    assert imports_by_name(PACKAGE) == set(IMPORTS_BY_NAME)


@pytest.mark.parametrize("call", ["import_module('x')", "importlib.import_module('x')", "__import__('x')"])
def test_a_planted_import_by_name_is_found(copy: Path, call: str) -> None:
    grow(copy, "judge.py", call)
    assert {file for file, _ in imports_by_name(copy) - imports_by_name(PACKAGE)} == {"judge.py"}


def test_no_module_takes_part_in_a_cycle() -> None:
    assert cycle(PACKAGE) == []


def test_a_planted_cycle_of_modules_is_found(copy: Path) -> None:
    """Through a package's own module, where the contract on packages does not look."""
    grow(copy, "runner/__init__.py", "from qjob.runner import run")
    grow(copy, "runner/reasons.py", "import qjob.runner")
    assert set(cycle(copy)) == {"qjob.runner", "qjob.runner.run", "qjob.runner.reasons"}


def test_the_doors_take_nothing_but_the_question_from_the_store() -> None:
    assert taken_from_the_store(PACKAGE) == []


def test_a_planted_store_in_a_door_is_found(copy: Path) -> None:
    grow(copy, "job.py", "from qjob.store.store import Store")
    grow(copy, "cli/__init__.py", "import qjob.store.store")
    assert taken_from_the_store(copy) == ["cli/__init__.py imports all of it", "job.py imports Store"]


def test_the_front_is_asked_for_nothing_else() -> None:
    assert asked_of_the_front(PACKAGE) == []


def test_a_planted_use_of_the_front_is_found(copy: Path) -> None:
    grow(copy, "cli/novel.py", "import qjob\n\ndef late():\n    return qjob.submit('x')")
    grow(copy, "cli/text.py", "from qjob import Job, errors")
    assert asked_of_the_front(copy) == ["cli/novel.py asks for submit", "cli/text.py asks for Job"]


def third_party(package: Path) -> list[str]:
    """Return the imports of what is neither ours nor in the standard library, where that is not allowed."""
    foreign = {each for each in imports(package) if not each.is_ours and each.package not in sys.stdlib_module_names}
    return sorted({f"{each.file} imports {each.package}" for each in foreign if not _may_import(each)})


def _may_import(each: Import) -> bool:
    if each.file.startswith("engines/") and not each.file.startswith("engines/local/"):
        return True
    return any(each.file.startswith(place) and each.package in names for place, names in THIRD_PARTY.items())


def imports_in_functions(package: Path) -> set[tuple[str, str]]:
    """Return the file and module of each import that stands in a function; of a foreign one its package."""
    inside = [each for each in imports(package) if each.inside]
    return {(each.file, each.module if each.is_ours else each.package) for each in inside}


def imports_by_name(package: Path) -> set[tuple[str, str]]:
    """Return the file and function of each call that imports what a value names."""
    called = {
        (file, getattr(node.func, "attr", getattr(node.func, "id", "")))
        for file, tree in modules(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }
    return {(file, function) for file, function in called if function in ("import_module", "__import__")}


def cycle(package: Path) -> list[str]:
    """Return the modules of one import cycle, if there is any; the front's lazy names are no imports."""
    names = {_module_name(file) for file, _ in modules(package)}
    graph: dict[str, set[str]] = {name: set() for name in names - {"qjob"}}
    for each in imports(package):
        importer, deeper = _module_name(each.file), f"{each.module}.{each.name}"
        imported = deeper if deeper in names else each.module
        if importer in graph and imported in graph and importer != imported:
            graph[importer].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def taken_from_the_store(package: Path) -> list[str]:
    """Return what the doors and the handle import of the store besides `Query`."""
    return sorted(
        f"{each.file} imports {each.name or 'all of it'}"
        for each in imports(package)
        if each.module.startswith("qjob.store") and each.name != "Query" and each.file.startswith(("cli/", "job.py"))
    )


def asked_of_the_front(package: Path) -> list[str]:
    """Return what the code inside takes from the package itself."""
    found = modules(package)
    ours = {_module_name(file).removeprefix("qjob.") for file, _ in found}
    asked = {(each.file, each.name) for each in imports(package) if each.module == "qjob" and each.name} | {
        (file, node.attr)
        for file, tree in found
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "qjob"
    }
    return sorted(f"{file} asks for {name}" for file, name in asked if name not in ours | OF_THE_FRONT)


def imports(package: Path) -> Iterator[Import]:
    """Yield every import of a package, also those for type checkers alone."""
    for file, tree in modules(package):
        inside = _nodes_in_functions(tree)
        for node in ast.walk(tree):
            for module, name in _imported(file, node):
                yield Import(file=file, module=module, name=name, inside=node in inside)


def modules(package: Path) -> list[tuple[str, ast.Module]]:
    """Return the modules of a package: their files below it, and their source."""
    files = sorted(package.rglob("*.py"))
    return [(file.relative_to(package).as_posix(), ast.parse(file.read_bytes())) for file in files]


def _nodes_in_functions(tree: ast.Module) -> set[ast.AST]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {node for function in functions for node in ast.walk(function)}


def _imported(file: str, node: ast.AST) -> list[tuple[str, str]]:
    if isinstance(node, ast.Import):
        return [(alias.name, "") for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert not node.level, f"{file}:{node.lineno}: a relative import, which these tests do not read"
        return [(str(node.module), alias.name) for alias in node.names]
    return []


def _module_name(file: str) -> str:
    return ".".join(["qjob", *Path(file).with_suffix("").parts]).removesuffix(".__init__")
