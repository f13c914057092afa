"""What of a source folder is left out: caches, environments, version control, jobs, what .gitignore says.

The patterns are those of gitignore(5), byte for byte as git matches them. pathspec, the library for them,
judges files only, by their whole path. A walk has to judge a folder before it goes in, as a million ignored
files should not be listed; by the three lines ``*``, ``!*/``, ``!*.py`` pathspec 1.1 leaves out every folder.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable, Set
from dataclasses import dataclass

LEFT_OUT_NAMES = frozenset(
    {
        ".git",
        ".hg",
        ".svn",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        "__pycache__",
        "node_modules",
    }
)
"""Names that are never taken along, whatever .gitignore files say."""
LEFT_OUT_SUFFIX = ".pyc"
LEFT_OUT_PREFIX = ".#"  # Emacs marks a file that is being edited by a link to nowhere
ENVIRONMENT_MARK = "pyvenv.cfg"
"""A folder that holds this is a virtual environment, whatever its name."""
JOB_MARKS = frozenset({"spec.json", "record.json", "hyperparameters.json"})
"""A folder that holds these is a job's own: with $QJOB_HOME in the source, each job would hold all before it."""
RULES_FILE = ".gitignore"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One line of a .gitignore file.

    Attributes:
        matches: whether it fits a name, or a path from the folder that holds the .gitignore file.
        by_name: whether it is about names in any folder below, and not about one path.
        folders_only: whether files never fit.
        ignores: False for a line that takes along again what an earlier line left out.
    """

    matches: Callable[[bytes], bool]
    by_name: bool
    folders_only: bool
    ignores: bool


@dataclass(frozen=True, kw_only=True)
class RuleFile:
    """One .gitignore file.

    Attributes:
        rules: its rules, the last line first, as that one counts.
        offset: where, in the absolute path of something below, the path from the file's folder begins.
    """

    rules: tuple[Rule, ...]
    offset: int

    def verdict(self, path: bytes, name: bytes, is_directory: bool) -> bool | None:
        """Say whether the file leaves out what lies at ``path``; None when it says nothing on it."""
        below = path[self.offset :]
        for rule in self.rules:
            if (is_directory or not rule.folders_only) and rule.matches(name if rule.by_name else below):
                return rule.ignores
        return None


@dataclass(frozen=True, kw_only=True)
class Ignore:
    """The choice (see `qjob.source.tree.Choice`) among the entries of a source folder.

    A link is judged as what it leads to, since that is what the job gets; git judges it as a file.

    Attributes:
        rule_files: the .gitignore files that count, the innermost first.
    """

    rule_files: tuple[RuleFile, ...] = ()

    def takes(self, path: str, name: str, is_directory: bool) -> bool:
        """Say whether the entry ``name`` at ``path`` is taken along."""
        if name in LEFT_OUT_NAMES or name.endswith(LEFT_OUT_SUFFIX) or name.startswith(LEFT_OUT_PREFIX):
            return False
        return not self.rule_files or not self.ignores(path, is_directory)

    def takes_folder_with(self, names: Set[str]) -> bool:
        """Say whether a folder that has entries of these names is taken along."""
        return ENVIRONMENT_MARK not in names and not names >= JOB_MARKS

    def below(self, folder: str, names: Set[str]) -> Ignore:
        """Return the choice for the entries of ``folder``, which are ``names``. Raises OSError."""
        return self.with_rules_of(folder) if RULES_FILE in names else self

    def ignores(self, path: str, is_directory: bool) -> bool:
        """Say whether the .gitignore files leave out what lies at ``path``."""
        raw = os.fsencode(path)
        name = raw[raw.rfind(b"/") + 1 :]
        for rule_file in self.rule_files:
            verdict = rule_file.verdict(raw, name, is_directory)
            if verdict is not None:
                return verdict
        return False

    def with_rules_of(self, folder: str) -> Ignore:
        """Return what holds below ``folder``: its .gitignore file, if any, comes first. Raises OSError."""
        path = os.path.join(folder, RULES_FILE)
        if not os.path.isfile(path):
            return self
        with open(path, "rb") as file:
            rules = parse_rules(file.read())
        offset = len(os.fsencode(path)) - len(RULES_FILE)
        return Ignore(rule_files=(RuleFile(rules=rules, offset=offset), *self.rule_files))


def ignore_above(path: str, root: str) -> Ignore:
    """Return what the .gitignore files above ``path`` say, from the repository's ``root`` down.

    They say nothing when they leave out ``path`` itself, which a user has named all the same. Raises OSError.
    """
    ignore = Ignore()
    if root == path:
        return ignore
    folder = root
    for name in os.path.relpath(path, root).split("/"):
        ignore = ignore.with_rules_of(folder)
        folder = os.path.join(folder, name)
        if ignore.ignores(folder, is_directory=True):
            return Ignore()
    return ignore


def parse_rules(content: bytes) -> tuple[Rule, ...]:
    """Return the rules of a .gitignore file with this content, the last line first."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    rules = (_rule(line.removesuffix(b"\r")) for line in reversed(lines))
    return tuple(rule for rule in rules if rule is not None)


def _rule(line: bytes) -> Rule | None:
    """Return the rule on a line; None for a comment, an empty line and a pattern that git never matches."""
    if line.startswith(b"#"):
        return None
    pattern = _trimmed(line)
    ignores = not pattern.startswith(b"!")
    pattern = pattern.removeprefix(b"!")
    folders_only = pattern.endswith(b"/")
    pattern = pattern.removesuffix(b"/")
    by_name = b"/" not in pattern
    matches = _matcher(pattern.removeprefix(b"/"), by_name)
    if matches is None:
        return None
    return Rule(matches=matches, by_name=by_name, folders_only=folders_only, ignores=ignores)


def _trimmed(line: bytes) -> bytes:
    """Return the line without the spaces at its end; one after a backslash counts."""
    kept = line.rstrip(b" ")
    backslashes = len(kept) - len(kept.rstrip(b"\\"))
    return line[: len(kept) + backslashes % 2]


# From here on: the patterns, as wildmatch.c of git matches them (with its WM_PATHNAME).

_SPECIAL = re.compile(rb"[*?\[\\]")
_MEMBER = rb"\[:(?P<kind>[^\]]*):\]|(?P<low>\\.|[^\\])(?:-(?P<high>\\.|[^\\]))?+"
_MEMBERS = rb"(?>\[:[^\]]*:\]|(?:\\.|%b)(?:-(?:\\.|[^\\\]]))?+)"
_EACH_MEMBER = re.compile(_MEMBER, re.DOTALL)
_TOKEN = re.compile(
    rb"(?P<stars>\*+)(?P<slash>/?)"
    rb"|(?P<any>\?)"
    rb"|\[(?P<negation>[!^]?+)(?P<members>%b%b*+)\]"
    rb"|\\(?P<escaped>.)"
    rb"|(?P<plain>[^*?\[\\]+)" % (_MEMBERS % rb"[^\\]", _MEMBERS % rb"[^\\\]]"),
    re.DOTALL,
)
_KINDS = {
    kind: frozenset(members.encode())
    for kind, members in {
        b"alnum": string.ascii_letters + string.digits,
        b"alpha": string.ascii_letters,
        b"blank": " \t",
        b"cntrl": "".join(map(chr, range(32))) + "\x7f",
        b"digit": string.digits,
        b"graph": string.ascii_letters + string.digits + string.punctuation,
        b"lower": string.ascii_lowercase,
        b"print": string.ascii_letters + string.digits + string.punctuation + " ",
        b"punct": string.punctuation,
        b"space": " \t\n\r",
        b"upper": string.ascii_uppercase,
        b"xdigit": string.hexdigits,
    }.items()
}
_NEVER = b"(?!)"


def _matcher(pattern: bytes, by_name: bool) -> Callable[[bytes], bool] | None:
    """Return what says whether a name or path fits the pattern; None when nothing does."""
    special = _SPECIAL.search(pattern)
    if special is None:
        return pattern.__eq__ if pattern else None
    if by_name and pattern.startswith(b"*") and not _SPECIAL.search(pattern, 1):
        suffix = pattern[1:]
        return lambda name: name.endswith(suffix)
    regex = _regex(pattern, special.start())
    if regex is None:
        return None
    fullmatch = re.compile(regex, re.DOTALL).fullmatch
    return lambda path: fullmatch(path) is not None


def _regex(pattern: bytes, literal_end: int) -> bytes | None:
    """Return the regular expression for a pattern whose first special character stands at ``literal_end``.

    None when the pattern is malformed: git never matches it.
    """
    parts = []
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            return None
        # git compares the part without special characters first and starts anew after it, so that
        # "foo**/bar" is read as "foo" and "**/bar".
        begins_name = position in (0, literal_end) or pattern[position - 1 : position] == b"/"
        parts.append(_translated(token, begins_name))
        position = token.end()
    return b"".join(parts)


def _translated(token: re.Match[bytes], begins_name: bool) -> bytes:
    if token["stars"]:
        return _stars(token, begins_name)
    if token["any"]:
        return b"[^/]"
    if token["members"]:
        return _set(token["members"], negated=bool(token["negation"]))
    return re.escape(token["escaped"] or token["plain"])


def _stars(token: re.Match[bytes], begins_name: bool) -> bytes:
    rest = token.string[token.end() :]
    ends_name = token["slash"] or not rest or rest.startswith(rb"\/")
    if len(token["stars"]) > 1 and begins_name and ends_name:
        return b"(?:.*/)?" if token["slash"] else b".*"
    return b"[^/]*" + token["slash"]


def _set(members: bytes, *, negated: bool) -> bytes:
    """Return the regular expression for a set in brackets; no set holds ``/``."""
    chosen: set[int] = set()
    for member in _EACH_MEMBER.finditer(members):
        if member["kind"] is None:
            low = member["low"][-1]
            high = member["high"][-1] if member["high"] else low
            chosen.update((low, *range(low, high + 1)))
        elif member["kind"] in _KINDS:
            chosen |= _KINDS[member["kind"]]
        else:
            return _NEVER
    if negated:
        chosen ^= set(range(256))
    chosen.discard(ord("/"))
    return b"[%b]" % b"".join(b"\\x%02x" % byte for byte in sorted(chosen)) if chosen else _NEVER
