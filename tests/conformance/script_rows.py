"""What a job script meets: arguments, files and modules.

Most of what Braket does here is its container's and its service's business, which the SDK does not have.
"""

from __future__ import annotations

from pathlib import Path

from conformance.rows import Table, differs, raises, same

_BIND = "hyperparameters that do not fit fail the job with one sentence that says what was expected and given; Braket "

BINDING = Table(
    title="Hyperparameters of a function",
    about="`call(f, ...)` is what the entry point `module:f` returns in a job with these hyperparameters.",
    askable=False,
    rows=(
        same("def f(n: int): return n\ncall(f, n=3)", 3),
        same("def f(x: float): return x\ncall(f, x=0.5)", 0.5),
        same("def f(s: str): return s\ncall(f, s='a b')", "a b"),
        same("def f(s): return s\ncall(f, s=3)", "3"),
        same("def f(n: int, s='b'): return n, s\ncall(f, n=3)", (3, "b")),
        same("def f(**more): return more\ncall(f, n=3)", {"n": "3"}),
        same("def f(): return 'called'\ncall(f)", "called"),
        same("def f(): return 'called'\ncall(f, n=3)", "called"),
        same("def f(n: int): return n\ncall(f, n='many')", raises("Exception")),
        differs(
            "def f(flag: bool): return flag\ncall(f, flag=False)",
            ours=False,
            published=True,
            why="in Python, bool('False') is True, and that is what Braket calls",
        ),
        differs(
            "def f(angles: list): return angles\ncall(f, angles=[1, 2])",
            ours=[1, 2],
            published=["[", "1", ",", " ", "2", "]"],
            why="a list is read as JSON or as Python; Braket makes a list of the text's characters",
        ),
        differs(
            "def f(n: 'int'): return n\ncall(f, n=3)",
            ours=3,
            published=raises("TypeError"),
            why="an annotation may be a string, as all are after `from __future__ import annotations`",
        ),
        differs(
            "def f(n: int | None): return n\ncall(f, n=None)",
            ours=None,
            published=raises("TypeError"),
            why="Optional, unions, Literal, Enum, Path, dict, tuple and set are understood",
        ),
        same("def f(place: Path): return place\ncall(f, place='a/b')", Path("a/b")),
        differs(
            "def f(n: int = 1): return n\ncall(f, m=3)",
            ours=raises("TypeError"),
            published=1,
            why=_BIND + "calls the function with nothing instead",
        ),
    ),
)

INPUTS = Table(
    title="Input data, below the job's input directory",
    about="`tree(...)` makes files; `inputs(...)` are the files that the job has of this `input_data`.",
    askable=False,
    rows=(
        same("tree('data/a.csv', 'data/deep/b.csv', 'data/.c'); inputs('data')",
             ["input/.c", "input/a.csv", "input/deep/b.csv"]),
        same("tree('data/a.csv'); inputs('data/a.csv')", ["input/a.csv"]),
        same("tree('data/a.csv'); inputs({'train': 'data', 'test': 'data/a.csv'})", ["test/a.csv", "train/a.csv"]),
        same("tree('data/a.csv'); inputs({'not a name': 'data'})", raises("ValueError")),
        same("inputs('gone')", raises("Exception")),
        same("inputs({})", []),
        differs(
            "tree('data/a.csv', 'data_backup.bin'); inputs('data')",
            ours=["input/a.csv"],
            published=["input/data/a.csv", "input/data_backup.bin"],
            why="a path is that path; Braket takes everything whose path begins with the same letters",
        ),
        differs(
            "tree('data/a.csv'); given = {'train': 'data'}; inputs(given); given",
            ours={"train": "data"},
            published="a dict of S3 configurations",
            why="what is passed is never changed, and can be passed again",
        ),
    ),
)  # fmt: skip

SOURCE = Table(
    title="The source, as the job has it",
    about="`tree(...)` makes files; `source(...)` are the files that the job has of this `source_module`.",
    askable=False,
    rows=(
        same("tree('job.py', 'other.py'); source('job.py')", ["job.py"]),
        same("tree('pkg/__main__.py', 'pkg/sub/m.py', 'pkg/data.txt'); source('pkg')",
             ["pkg/__main__.py", "pkg/data.txt", "pkg/sub/m.py"]),
        same("source('gone')", raises("Exception")),
        differs(
            "tree('pkg/m.py', 'pkg/__pycache__/m.pyc', 'pkg/.git/HEAD'); source('pkg')",
            ours=["pkg/m.py"],
            published=["pkg/.git/HEAD", "pkg/__pycache__/m.pyc", "pkg/m.py"],
            why="caches, what git ignores, and git's own folder are left out, and the job's record says so",
        ),
    ),
)  # fmt: skip

ENTRY_POINT = Table(
    title="Entry points",
    about="`tree(...)` makes Python files with a function `f`; `run(...)` submits a source with an entry point.",
    rows=(
        same("tree('first_job.py'); run('first_job.py')", "first_job"),
        same("tree('first_job.py'); run('first_job.py', 'first_job:f')", "first_job:f"),
        same("tree('first_pkg/__init__.py', 'first_pkg/m.py'); run('first_pkg', 'first_pkg.m')", "first_pkg.m"),
        same("tree('first_pkg/__init__.py', 'first_pkg/m.py'); run('first_pkg', 'first_pkg.m:f')", "first_pkg.m:f"),
        same("tree('first_pkg/__init__.py', 'first_pkg/__main__.py'); run('first_pkg')", "first_pkg"),
        same("tree('first_job.py'); run('first_job.py', 'no_such_job')", raises("ValueError")),
        same("tree('first_pkg/__init__.py'); run('first_pkg', 'first_pkg.no_such')", raises("ValueError")),
        differs(
            "tree('first_job.py'); run('first_job.py', 'first_job:no_such')",
            ours=raises("ValueError"),
            published="first_job:no_such",
            why="a function that the module does not have is told before anything is started; "
            "with Braket the job fails",
        ),
        differs(
            "tree('first_pkg/__init__.py', 'first_pkg/m.py'); run('first_pkg', '.m:f')",
            ours=raises("ValueError"),
            published=".m:f",
            why="Braket lets entry points that begin with a dot pass, and its container cannot import them",
        ),
        differs(
            "Path('noisy_pkg').mkdir(); Path('noisy_pkg/__init__.py').write_text('print(1)'); tree('noisy_pkg/m.py')\n"
            "run('noisy_pkg', 'noisy_pkg.m'); printed()",
            ours="",
            published="1\n",
            why="the source is read to check an entry point, never run; Braket imports it where one submits",
        ),
    ),
)
