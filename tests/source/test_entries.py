"""What of an archive's entries is taken, and what is refused; a real extraction is the judge."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qjob.source.entries import MAX_ENTRIES, Entry, Kind, Plan, Refused, safe_path

GIB = 1 << 30


def file(path: str, size: int = 0) -> Entry:
    return Entry(path=path, kind=Kind.FILE, size=size)


def folder(path: str) -> Entry:
    return Entry(path=path, kind=Kind.DIRECTORY)


def link(path: str, target: str) -> Entry:
    return Entry(path=path, kind=Kind.LINK, target=target)


def copy(path: str, target: str) -> Entry:
    return Entry(path=path, kind=Kind.COPY, target=target)


def plan_of(*entries: Entry, archive_bytes: int = 0) -> Plan:
    plan = Plan(archive_bytes=archive_bytes)
    for entry in entries:
        plan.add(entry)
    return plan


@pytest.mark.parametrize(
    ("name", "path"),
    [("a/b.py", "a/b.py"), ("./a/b.py", "a/b.py"), ("a//b.py", "a/b.py"), ("a/./b/", "a/b"), (".", ""), ("./", "")],
)
def test_a_path_is_made_plain(name: str, path: str) -> None:
    assert safe_path(name) == path


REFUSED = {
    "an absolute path": ([file("/etc/passwd")], "'/etc/passwd' has an absolute path"),
    "up": ([file("../x")], "'../x' leads up"),
    "up in the middle": ([file("a/../../x")], "leads up"),
    "up, but inside": ([file("a/../x")], "leads up"),
    "a null": ([file("a\0b")], "null character"),
    "a long name": ([file("x" * 256)], "longer name"),
    "a long path": ([file("x/" * 2000 + "y")], "longer name"),
    "a device": ([Entry(path="dev", kind=Kind.DEVICE)], "'dev' is a device or a named pipe"),
    "nobody knows what": ([Entry(path="odd", kind=Kind.UNKNOWN)], "'odd' is of an unknown kind"),
    "an absolute link": ([link("l", "/etc")], "'l' is a link to '/etc', outside"),
    "a link up": ([link("l", "..")], "outside"),
    "a link up from below": ([link("a/b/l", "../../../etc")], "outside"),
    "a link up, by and by": ([link("a/l", "b/../../../etc")], "outside"),
    "a link to nothing": ([link("l", "")], "outside"),
    "a file below a link": ([link("l", "a"), file("l/x")], "below 'l', which is a symbolic link"),
    "a file below a file": ([file("a"), file("a/x")], "below 'a', which is a file"),
    "a link over a folder": ([file("a/x"), link("a", "b")], "'a' twice, as a folder and as a symbolic link"),
    "a link over a file": ([file("a"), link("a", "b")], "'a' twice"),
    "a hard link outside": ([copy("a", "/etc/passwd")], "absolute path"),
    "a hard link to what comes later": ([copy("a", "b"), file("b")], "no file before it"),
    "a hard link to itself": ([file("a"), copy("a", "a")], "no file before it"),
    "a hard link to a link": ([link("l", "x"), copy("a", "l")], "no file before it"),
    "a size": ([file("a", 2 * GIB)], "more than 1,073,741,824 bytes"),
    "sizes together": ([file("a", GIB), file("b", 1)], "more than 1,073,741,824 bytes"),
    "a negative size": ([file("a", -1)], "bytes"),
}


@pytest.mark.parametrize(("entries", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_hostile_is_refused(entries: Sequence[Entry], words: str) -> None:
    with pytest.raises(Refused) as caught:
        plan_of(*entries)
    assert words in str(caught.value)


def test_a_large_archive_may_unpack_to_more() -> None:
    assert plan_of(file("a", 20 * GIB), archive_bytes=GIB).bytes == 20 * GIB


def test_too_many_entries_are_refused() -> None:
    plan = Plan(archive_bytes=0)
    plan.count = MAX_ENTRIES - 1
    plan.add(file("last"))
    with pytest.raises(Refused, match="more than 200,000 entries"):
        plan.add(file("one more"))


def test_folders_that_are_implied_count_as_well() -> None:
    deep = [file(f"{number}/" + "d/" * 1000 + "x") for number in range(MAX_ENTRIES // 1000)]
    with pytest.raises(Refused, match="more than 200,000 entries"):
        plan_of(*deep, file("one more"))


def test_folders_come_before_what_is_in_them() -> None:
    plan = plan_of(file("a/b/c.py"), folder("a/"), folder("a/b"), file("a/d.py"))
    assert list(plan.entries) == ["a", "a/b", "a/b/c.py", "a/d.py"]


def test_of_two_of_a_name_the_later_counts() -> None:
    plan = plan_of(file("a", 1), file("b", 2), file("./a", 3))
    assert (plan.entries["a"].size, plan.numbers["a"]) == (3, 2)


def test_hard_links_of_hard_links_are_those_of_the_file() -> None:
    assert plan_of(file("a"), copy("b", "a"), copy("c", "./b")).entries["c"].target == "a"


@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        *(("real/m.py", "real/m.py"), ("dir/m.py", "real/m.py"), ("sub/up/m.py", "real/m.py"), ("one", "real/m.py")),
        *(("hard", "real/m.py"), ("loop", "loop"), ("gone", "nowhere"), ("no/such", "no/such")),
    ],
)
def test_links_are_followed(path: str, leads_to: str) -> None:
    links = [link("dir", "real"), link("sub/up", "../dir"), link("one", "sub/up/m.py"), link("loop", "loop")]
    plan = plan_of(file("real/m.py"), *links, link("gone", "nowhere"), copy("hard", "real/m.py"))
    assert plan.resolved(path) == leads_to
    assert (plan.leads_to(path) is Kind.FILE) == (leads_to == "real/m.py")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pkg/sub/deep.py", "data/x.csv", "README.md"], "pkg"),
        (["run.py", "data/x.csv"], "run.py"),
        (["pkg/m.py", "run.py"], None),
        (["pkg.py/data.csv", "run.py"], "run.py"),
        (["data/x.csv"], "data"),
        (["x.csv"], None),
        (["data/x.csv", "x.csv"], None),
        ([], None),
    ],
)
def test_the_one_entry_of_code_is_found(names: list[str], expected: str | None) -> None:
    assert plan_of(*map(file, names)).one_entry() == expected


parts = st.sampled_from(["a", "b", "..", ".", "", "/", "c.py"])
paths = st.lists(parts, min_size=1, max_size=5).map("/".join)
entries = st.builds(
    Entry,
    path=paths,
    kind=st.sampled_from([Kind.FILE, Kind.DIRECTORY, Kind.LINK, Kind.COPY]),
    target=paths,
)


@settings(max_examples=300, deadline=None)
@given(st.lists(entries, max_size=8))
def test_whatever_is_taken_stays_inside_when_the_system_follows_it(
    tmp_path_factory: pytest.TempPathFactory, tried: list[Entry]
) -> None:
    plan = Plan(archive_bytes=0)
    for entry in tried:
        try:
            plan.add(entry)
        except Refused:
            continue
    root = tmp_path_factory.mktemp("deep") / "a/b/c/d/e"
    root.mkdir(parents=True)
    lay_out(plan, root)
    for path in plan.entries:
        where = Path(os.path.realpath(root / path))
        assert where.is_relative_to(root)
        assert not where.exists() or os.path.samefile(where, root / plan.resolved(path))


def lay_out(plan: Plan, root: Path) -> None:
    for path, entry in plan.entries.items():
        if entry.kind is Kind.DIRECTORY:
            (root / path).mkdir()
        elif entry.kind is Kind.FILE:
            (root / path).touch(exist_ok=False)
        elif entry.kind is Kind.LINK:
            (root / path).symlink_to(entry.target)
        else:
            os.link(root / entry.target, root / path)
