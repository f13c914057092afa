"""What is read from Python code without running it."""

from __future__ import annotations

import ast

import pytest

from qjob.source.code import (
    NotPython,
    changes_imports,
    defined_names,
    imported_names,
    late_imports,
    parse,
    runs_as_main,
)


def tree_of(content: str | bytes) -> ast.Module:
    return parse(content if isinstance(content, bytes) else content.encode(), "module.py")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("x = = 1\n", "line 1: invalid syntax"),
        ("\n\nif True:\nx = 1\n", "line 4: expected an indented block"),
        ("def f(:\n  pass", "line 1: "),
        ("def f():\n  x\n\ty\n", "line 3: "),
        ("x = (1,\n", "line 1: '(' was never closed"),
        ("return 1\n", "line 1: 'return' outside function"),
        ("def f(a, a): pass\n", "line 1: duplicate argument 'a'"),
        ("x = 1\nfrom __future__ import annotations\n", "line 2: from __future__ imports must occur at the beg"),
        (b"x = '\xff'\n", "(unicode error) 'utf-8' codec can't decode byte 0xff"),
        (b"# coding: klingon\nx = 1\n", "unknown encoding: klingon"),
        (b"x = 1\0\n", "null bytes"),
        ("(" * 10_000, "too many nested parentheses"),
        ("-" * 100_000 + "1", "(Python 3."),
    ],
)
def test_code_that_does_not_compile_is_named_with_its_line(content: str | bytes, words: str) -> None:
    with pytest.raises(NotPython) as caught:
        tree_of(content)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\ufeffx = 1\n",
        b"# -*- coding: latin-1 -*-\nx = '\xff'\n",
        "x = 1\r\ny = 2\r\n",
        "def f(a: undefined_name) -> 'also undefined': ...\n",
        "x = '\\d'\nassert (1, 'always true')\nx is 1\n",  # warned of when it runs, and not by us
        "raise SystemExit('this is not run')\n",
    ],
)
def test_code_that_compiles_is_parsed_and_not_run(content: str | bytes) -> None:
    tree_of(content)


@pytest.mark.parametrize(
    "content",
    [
        "def main(): ...",
        "class main: ...",
        "main = 1",
        "main: int = 1",
        "a, (b, *main) = 1, (2, 3)",
        "import main",
        "import main.sub",
        "import x as main",
        "from x import main",
        "from x import y as main",
        "if x:\n  def main(): ...",
        "if x:\n  y\nelse:\n  def main(): ...",
        "try:\n  from x import main\nexcept ImportError:\n  pass",
        "try:\n  x\nfinally:\n  main = 1",
        "with x as main: ...",
        "for main in x: ...",
        "while x:\n  main = 1",
        "if (main := x): ...",
        "match x:\n  case [main]: ...",
        "match x:\n  case {'a': 1, **main}: ...",
        "def f():\n  global main\n  main = 1",
    ],
)
def test_every_way_to_define_a_name_is_seen(content: str) -> None:
    names = defined_names(tree_of(content))
    assert "main" in names.all
    assert names.complete


@pytest.mark.parametrize(
    "content",
    [
        "def f():\n  main = 1",
        "def f():\n  def main(): ...",
        "class C:\n  def main(self): ...",
        "f = lambda main: main",
        "x.main = 1",
        "x['main'] = 1",
        "print(main)",
        "import x.main",
    ],
)
def test_names_of_inner_scopes_are_no_definitions(content: str) -> None:
    names = defined_names(tree_of(content))
    assert "main" not in names.all
    assert names.complete


@pytest.mark.parametrize(
    "content",
    [
        "from x import *",
        "try:\n  from x import *\nexcept ImportError: pass",
        "def __getattr__(name): ...",
        "globals()['main'] = 1",
        "exec('main = 1')",
        "import sys\nsetattr(sys.modules[__name__], 'main', 1)",
        "import sys\nsys.modules[__name__] = x",
    ],
)
def test_what_may_define_more_than_is_seen_is_not_complete(content: str) -> None:
    assert not defined_names(tree_of(content)).complete


def test_functions_and_coroutines_are_told_apart() -> None:
    names = defined_names(
        tree_of(
            "def f(): ...\nclass C: ...\nasync def g(): ...\n@wrap\nasync def h(): ...\n"
            "async def k(): ...\nk = sync(k)\nconstant = 1\n"
        )
    )
    assert names.functions == {"f", "C", "g", "h", "k"}
    assert names.coroutines == {"g"}


def test_imports_are_found_wherever_they_stand() -> None:
    content = """
import a, b.c as d
from e.f import g
from .h import i
from . import j
from ..k import l
def f():
    import m
    try:
        from n import o
    except ImportError:
        pass
"""
    assert imported_names(tree_of(content)) == {"a", "b", "e", "h", "j", "m", "n"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("if __name__ == '__main__':\n  pass", True),
        ('if "__main__" == __name__ and x:\n  pass', True),
        ("if __name__ == 'other':\n  pass", False),
        ("def f():\n  if __name__ == '__main__':\n    pass", False),
        ("x = '__main__'\nif __name__:\n  pass", False),
    ],
)
def test_the_main_guard_is_found(content: str, expected: bool) -> None:
    assert runs_as_main(tree_of(content)) is expected


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("import a\ndef f():\n    import b.c, a\n    from d import e\n    from . import x\n", ["b.c", "d"]),
        ("try:\n    import a\nexcept ImportError:\n    import b\n", ["b"]),
        ("if True:\n    import a\n", ["a"]),
        ("from __future__ import annotations\nif True:\n    from a.b import c\n", ["a.b"]),
        ("class A:\n    import a\nasync def f():\n    from b.c import d\n", ["a", "b.c"]),
        ("x = 1\n", []),
    ],
)
def test_late_imports_are_all_but_those_at_the_top(content: str, names: list[str]) -> None:
    assert late_imports(tree_of(content)) == names


@pytest.mark.parametrize(
    "content",
    [
        "import os\nos.environ['OMP_NUM_THREADS'] = '1'",
        "import os\ndel os.environ['A']",
        "import os\nos.environ |= {}",
        "from os import environ\nenviron.update(A='1')",
        "from os import environ\nenviron['A'] += '1'",
        "import os\nos.environ.setdefault('A', '1')",
        "import os\nos.putenv('A', '1')",
        "from os import putenv",
        "import sys\nsys.path.insert(0, '.')",
        "import sys\nsys.modules.clear()",
        "from sys import path",
        "import os\nos.environb[b'A'] = b'1'",
    ],
)
def test_code_that_changes_what_imports_do_is_noticed(content: str) -> None:
    assert changes_imports(tree_of(content))


@pytest.mark.parametrize(
    "content",
    [
        "import os\nx = os.environ['AMZN_BRAKET_HP_FILE']",
        "import os\nx = os.environ.get('A'), dict(os.environ)",
        "import sys\nsys.exit(sys.argv)",
        "x = {}\nx.update(a=1)\nx['a'] = 2\npath = x.path",
    ],
)
def test_code_that_only_looks_changes_nothing(content: str) -> None:
    assert not changes_imports(tree_of(content))
