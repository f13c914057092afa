"""What is shipped: a front that costs nothing to import, Braket's published shapes, and a whole wheel."""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import qjob

ROOT = Path(__file__).resolve().parents[1]
FRONT = ROOT / "src" / "qjob" / "__init__.py"
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

COSTLY = {"asyncio", "ctypes", "dataclasses", "inspect", "json", "logging", "sqlite3", "subprocess", "tomllib"}
"""Modules of the standard library that `import qjob` must not load: each takes milliseconds."""

LOADED = """
import sys
before = set(sys.modules)
{statement}
print(*sorted(set(sys.modules) - before), sep="\\n")
"""


# ---------------------------------------------------------------- the front


def test_importing_qjob_loads_next_to_nothing() -> None:
    loaded = loaded_by("import qjob")
    assert [name for name in loaded if name.startswith("qjob")] == ["qjob"]
    assert third_party(loaded) == set()
    assert COSTLY & set(loaded) == set()


def test_what_is_loaded_is_seen() -> None:
    """The test above would see a third-party module and a costly one."""
    loaded = loaded_by("import qjob, pytest, sqlite3")
    assert "pytest" in third_party(loaded)
    assert "sqlite3" in COSTLY & set(loaded)


def test_using_every_name_loads_no_third_party_module() -> None:
    loaded = loaded_by("import qjob; [getattr(qjob, name) for name in qjob.__all__]")
    assert "qjob.job" in loaded
    assert third_party(loaded) == set()


@pytest.mark.parametrize("name", qjob.__all__)
def test_every_public_name_is_there(name: str) -> None:
    found = getattr(qjob, name)
    assert getattr(found, "__name__", name) == name
    assert found is getattr(importlib.import_module(found.__module__), name)


def test_the_three_lists_of_names_agree() -> None:
    promised = {node.module: {alias.name for alias in node.names} for node in type_checking_imports()}
    table = {module: set(names.split()) for module, names in qjob._NAMES.items()}
    assert promised == table
    assert qjob.__all__ == sorted(set().union(*table.values()))
    assert dir(qjob) == qjob.__all__


def test_there_is_no_other_name() -> None:
    with pytest.raises(AttributeError, match="module 'qjob' has no attribute 'experiment'"):
        qjob.experiment  # noqa: B018


def loaded_by(statement: str) -> list[str]:
    """Return the modules that a statement loads in a fresh interpreter."""
    command = [sys.executable, "-I", "-c", LOADED.format(statement=statement)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def third_party(loaded: list[str]) -> set[str]:
    """Return the packages among them that are neither ours nor in the standard library."""
    return {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names - {"qjob"}


def type_checking_imports() -> list[ast.ImportFrom]:
    """Return the imports of ours that stand for type checkers alone in the front."""
    blocks = [node for node in ast.parse(FRONT.read_bytes()).body if isinstance(node, ast.If)]
    found = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return [node for node in found if str(node.module).startswith("qjob.")]


# ---------------------------------------------------------------- Braket's published shapes


@pytest.fixture(scope="module")
def published_job() -> Any:
    """Return the published interface."""
    return pytest.importorskip("braket.jobs.quantum_job").QuantumJob


@pytest.fixture(scope="module")
def published_config() -> Any:
    """Return the module of the published configuration classes."""
    return pytest.importorskip("braket.jobs.config")


def test_the_interface_has_the_published_members(published_job: Any) -> None:
    ours, theirs = members(qjob.QuantumJob), members(published_job)
    assert {name: kind(member) for name, member in ours.items()} == {
        name: kind(member) for name, member in theirs.items()
    }
    assert qjob.QuantumJob.__abstractmethods__ == published_job.__abstractmethods__


def test_the_interface_takes_the_published_parameters(published_job: Any) -> None:
    ours, theirs = members(qjob.QuantumJob), members(published_job)
    methods = [name for name, member in theirs.items() if inspect.isfunction(member)]
    assert methods
    assert {name: parameters(ours[name]) for name in methods} == {name: parameters(theirs[name]) for name in methods}


def test_a_job_takes_the_published_parameters(published_job: Any) -> None:
    """The handle's own definitions, which could depart from the interface that it implements.

    What is ours besides can be given by its name only, so that it is in nobody's way.
    """
    for name, member in members(published_job).items():
        if inspect.isfunction(member):
            found, published = parameters(getattr(qjob.Job, name)), parameters(member)
            assert found[: len(published)] == published, name
            assert {kind for _, kind, _ in found[len(published) :]} <= {inspect.Parameter.KEYWORD_ONLY}, name


def test_a_job_implements_the_whole_interface() -> None:
    assert issubclass(qjob.Job, qjob.QuantumJob)
    assert not inspect.isabstract(qjob.Job)


def test_every_published_configuration_class_is_there(published_config: Any) -> None:
    classes = {name for name, _ in inspect.getmembers(published_config, inspect.isclass)}
    assert classes - set(qjob.__all__) == set()


@pytest.mark.parametrize(
    "name", ["CheckpointConfig", "DeviceConfig", "InstanceConfig", "OutputDataConfig", "StoppingCondition"]
)
def test_configuration_classes_have_the_published_fields(published_config: Any, name: str) -> None:
    """Their names and defaults in the order in which they are given by position; and changeable, as those are."""
    ours, theirs = getattr(qjob, name), getattr(published_config, name)
    assert parameters(ours) == parameters(theirs)
    assert [(field.name, field.default) for field in dataclasses.fields(ours)] == [
        (field.name, field.default) for field in dataclasses.fields(theirs)
    ]
    assert ours.__dataclass_params__.frozen == theirs.__dataclass_params__.frozen


@pytest.mark.parametrize("arguments", [("s3://bucket/key",), ("s3://bucket/key", "text/csv")])
def test_s3_data_has_the_published_shape(published_config: Any, arguments: tuple[str, ...]) -> None:
    ours, theirs = qjob.S3DataSourceConfig, published_config.S3DataSourceConfig
    assert parameters(ours) == parameters(theirs)
    assert ours(*arguments).config == theirs(*arguments).config


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("braket.jobs.metrics_data.definitions", "MetricPeriod"),
        ("braket.jobs.metrics_data.definitions", "MetricStatistic"),
        ("braket.jobs.metrics_data.definitions", "MetricType"),
        ("braket.jobs_data", "PersistedJobDataFormat"),
    ],
)
def test_enumerations_have_the_published_names_and_values(module: str, name: str) -> None:
    theirs: type[enum.Enum] = getattr(pytest.importorskip(module), name)
    ours, published = values(getattr(qjob, name)), values(theirs)
    assert ours[: len(published)] == published
    assert name == "MetricStatistic" or ours == published  # it has three more
    assert issubclass(getattr(qjob, name), str) == issubclass(theirs, str)


def members(interface: type) -> dict[str, Any]:
    """Return the public members of a class."""
    return {name: member for name, member in vars(interface).items() if not name.startswith("_")}


def kind(member: object) -> object:
    """Return what a member is: ``property``, ``function``, or the value of a constant."""
    return type(member).__name__ if isinstance(member, property) or inspect.isfunction(member) else member


def parameters(function: Any) -> list[tuple[str, object, object]]:
    """Return the name, kind and default of each parameter, in order."""
    return [(each.name, each.kind, plain(each.default)) for each in inspect.signature(function).parameters.values()]


def plain(default: object) -> object:
    """Return a default that compares with one of the other package: of an enumeration its class and name."""
    return (type(default).__name__, default.name) if isinstance(default, enum.Enum) else default


def values(enumeration: type[enum.Enum]) -> list[tuple[str, object]]:
    """Return the names and values of an enumeration, in order."""
    return [(name, member.value) for name, member in enumeration.__members__.items()]


# ---------------------------------------------------------------- the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel as pip would."""
    directory = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(directory)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(directory / done.stdout.split()[-1])


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    package = ROOT / "src"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    shipped = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert shipped == {name for name in files if "__pycache__" not in name}
    assert {"qjob/py.typed", "qjob/store/schema.sql", "qjob/runner/bootstrap.py"} <= shipped


def test_the_wheel_has_the_licence(wheel: zipfile.ZipFile) -> None:
    [licence] = [name for name in wheel.namelist() if name.endswith("/LICENSE")]
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert "License-Expression: Apache-2.0" in metadata(wheel).splitlines()


def test_the_wheel_has_the_version(wheel: zipfile.ZipFile) -> None:
    assert f"Version: {qjob.__version__}" in metadata(wheel).splitlines()


def test_the_command_of_the_wheel_is_there(wheel: zipfile.ZipFile) -> None:
    [entry_points] = [name for name in wheel.namelist() if name.endswith("/entry_points.txt")]
    [(module, function)] = re.findall(r"^qjob = ([\w.]+):(\w+)$", wheel.read(entry_points).decode(), re.MULTILINE)
    assert callable(getattr(importlib.import_module(module), function))


def test_the_version_is_that_of_the_project() -> None:
    assert PROJECT["version"] == qjob.__version__


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text().split("\n\n")[0]


def metadata(wheel: zipfile.ZipFile) -> str:
    """Return the wheel's METADATA."""
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return wheel.read(name).decode()
