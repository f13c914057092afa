"""What surely is there is told apart from what an installer has to decide; `packaging` is the reference."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from qjob.interpreter.distributions import all_there, distributions, fits, metadata_folders
from qjob.interpreter.lines import read_lines

RELEASES = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
SPECIFIERS = st.lists(
    st.tuples(
        st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "~=", "==="]), RELEASES, st.sampled_from(["", ".*", "rc1"])
    )
).map(lambda each: ",".join(f"{comparison}{version}{tail}" for comparison, version, tail in each))


@settings(max_examples=300)
@given(version=st.one_of(RELEASES, RELEASES.map("{}.post1".format), RELEASES.map("{}a1".format)), specifiers=SPECIFIERS)
def test_what_fits_does_so_for_packaging_too(version: str, specifiers: str) -> None:
    try:
        reference = SpecifierSet(specifiers).contains(version)
    except InvalidSpecifier:
        reference = False
    assert not fits(version, specifiers or ">=0") or reference


@settings(max_examples=300)
@given(
    version=RELEASES,
    each=st.tuples(st.sampled_from(["==", "!=", ">=", "<=", ">", "<", "~="]), RELEASES).filter(
        lambda pair: pair[0] != "~=" or "." in pair[1]
    ),
)
def test_plain_versions_are_decided(version: str, each: tuple[str, str]) -> None:
    assert fits(version, " ".join(each)) == SpecifierSet("".join(each)).contains(version)


@pytest.fixture
def installed(tmp_path: Path) -> list[str]:
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (
        first / "numpy-1.26.4.dist-info",
        first / "amazon_braket_sdk-1.100.0.dist-info",
        first / "gone-1.0.dist-info",
        first / "~umpy-1.0.dist-info",
        second / "numpy-2.0.0.dist-info",
        second / "torch-2.1.0+cu118.dist-info",
        second / "old-1.0-py3.11.egg-info",
    ):
        folder.mkdir(parents=True)
        if not folder.name.startswith("gone"):
            (folder / ("PKG-INFO" if folder.suffix == ".egg-info" else "METADATA")).touch()
    return [str(first), str(second), str(tmp_path / "none")]


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("numpy", True),
        ("NumPy>=1.20,<2", True),
        ("amazon.braket-sdk", True),
        ("Amazon_Braket_SDK == 1.100", True),
        ("--no-index\n-f wheels\nnumpy", True),
        ("torch", True),
        ("old", False),
        ("numpy>=2", False),
        ("torch==2.1.0", False),
        ("gone", False),
        ("umpy", False),
        ("scipy", False),
        ("numpy[extra]", False),
        ("numpy; python_version > '3'", False),
        ("numpy @ https://x.org/numpy.whl", False),
        ("--require-hashes\nnumpy", False),
        ("numpy --hash=sha256:1", False),
        ("-c limits.txt\nnumpy", False),
        ("-r more.txt", False),
        ("-e numpy", False),
    ],
)
def test_what_is_there(installed: list[str], text: str, there: bool) -> None:
    assert all_there(read_lines(text), distributions(installed)) is there


def test_what_an_interrupted_uninstall_left_is_not_seen(installed: list[str]) -> None:
    names = ["amazon_braket_sdk-1.100.0.dist-info", "gone-1.0.dist-info", "numpy-1.26.4.dist-info"]
    assert metadata_folders(installed[0]) == names
