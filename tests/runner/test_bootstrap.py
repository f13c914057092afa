"""The script runs as Python would run it, and when it fails the user sees their own traceback and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from qjob.model.status import JobStatus

pytestmark = pytest.mark.live

Run = Callable[..., Any]

OURS = str(Path(sys.modules["qjob"].__path__[0]))


def test_the_script_finds_what_python_would_give_it(run: Run) -> None:
    ran = run(
        "import os, sys\n"
        "print(__name__, sys.argv == [__file__], os.path.relpath(__file__))\n"
        "print(sys.modules['__main__'].__dict__ is globals(), __package__ in (None, ''), __spec__, __builtins__)\n"
        "print(sorted(name for name in globals() if not name.startswith('__')), sys.stdin.read() == '')\n"
        "print(sys.flags.optimize, sys.flags.dev_mode, sys.warnoptions)\n"
    )
    assert ran.log.splitlines() == [
        "__main__ True job.py",
        "True True None <module 'builtins' (built-in)>",
        "['os', 'sys'] True",
        "0 False []",
    ]
    assert ran.outcome.status is JobStatus.COMPLETED


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/smaps is Linux's")
def test_what_is_reserved_for_telling_of_a_failure_takes_no_memory(run: Run) -> None:
    text = "print(next(line for line in open('/proc/self/smaps_rollup') if line.startswith('Anonymous:')).split()[1])"
    plain = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)
    assert int(run(text).log) < int(plain.stdout) + 2048  # KiB, of which 4096 are reserved


def test_classes_of_the_script_can_be_pickled(run: Run) -> None:
    ran = run(
        "import pickle\n"
        "class Point:\n"
        "    def __init__(self, x): self.x = x\n"
        "print(pickle.loads(pickle.dumps(Point(3))).x, Point.__module__)\n"
    )
    assert ran.log == "3 __main__\n"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("script", ["job.py", "ansatz/train.py"])
def test_multiprocessing(run: Run, method: str, script: str) -> None:
    text = (
        "import multiprocessing as mp, os\n"
        "def square(x): return x * x, os.environ['QJOB_JOB_ID']\n"
        "if __name__ == '__main__':\n"
        f"    with mp.get_context({method!r}).Pool(2) as pool: print(pool.map(square, [3, 4]))\n"
    )
    ran = run({script: text} | ({"ansatz/__init__.py": ""} if "/" in script else {}))
    assert ran.outcome.reason is None
    assert ran.log == f"[(9, '{ran.folder.id}'), (16, '{ran.folder.id}')]\n"


@pytest.mark.parametrize("script", ["ansatz/train.py", "ansatz/__main__.py"])
def test_relative_imports_in_a_package(run: Run, script: str) -> None:
    ran = run(
        {
            script: "from .helper import x\nfrom . import helper\nimport ansatz.helper\n"
            "print(__name__, __package__, x, helper is ansatz.helper)\n",
            "ansatz/__init__.py": "print('package')\n",
            "ansatz/helper.py": "x = 42\n",
        }
    )
    assert ran.log == "package\n__main__ ansatz 42 True\n"


def test_a_module_deep_in_a_package(run: Run) -> None:
    ran = run(
        {"a/b/c.py": "from ..near import x\nprint(__package__, x)\n", "a/near.py": "x = 1\n"},
        entry_point="a.b.c",
    )
    assert ran.log == "a.b 1\n"


def test_a_function_of_a_package(run: Run) -> None:
    ran = run(
        {
            "a/b/c.py": "from ..near import x\ndef main(n: int): print(n + x, __name__)\n",
            "a/near.py": "x = 1\n",
        },
        entry_point="a.b.c:main",
        hyperparameters={"n": "2"},
    )
    assert ran.log == "3 a.b.c\n"


@pytest.mark.parametrize("name", ["types.py", "random.py", "traceback.py", "json.py", "importlib_demo.py"])
def test_a_job_named_like_a_module_of_python_hides_nothing(run: Run, name: str) -> None:
    ran = run({name: "import json, random, types, traceback\nprint(json.dumps([1]))\nraise ValueError('mine')\n"})
    assert ran.log.startswith("[1]\nTraceback")
    assert ran.outcome.reason == "AlgorithmError: ValueError: mine, exit code: 1"
    assert "raise ValueError('mine')" in (ran.outcome.traceback or "")


def test_a_folder_with_files_named_like_modules_of_python_hides_nothing(run: Run) -> None:
    noise = "raise RuntimeError('the wrong module')\n"
    ran = run(
        {
            "algo/__main__.py": "import random, types, json, abc, traceback\n1/0\n",
            **{f"algo/{name}.py": noise for name in ("random", "types", "json", "abc", "traceback", "qjob")},
        }
    )
    assert ran.outcome.reason == "AlgorithmError: ZeroDivisionError: division by zero, exit code: 1"


BUNDLE = {
    "vqe.py": "import helper, lib.m, os\nprint(__name__, __package__ or None, helper.x, lib.m.x, os.listdir())\n",
    "helper.py": "x = 1\ndef main(n: int): print('helper', n)\n",
    "lib/m.py": "x = 2\n",
    "lib/__main__.py": "from . import m\nprint('lib', m.x)\n",
}


@pytest.mark.parametrize(
    ("entry_point", "log"),
    [("vqe", "__main__ None 1 2 "), ("lib", "lib 2\n"), ("lib.m", ""), ("helper:main", "helper 7\n")],
)
def test_what_was_in_an_archive_of_several_entries_lies_in_the_working_directory(
    run: Run, entry_point: str, log: str
) -> None:
    ran = run(BUNDLE, source_name="code.tar.gz", entry_point=entry_point, hyperparameters={"n": "7"})
    assert ran.outcome.reason is None
    assert ran.log.startswith(log)


def test_a_bundle_with_a_module_named_like_one_of_python_hides_nothing(run: Run) -> None:
    noise = {"types.py": "raise RuntimeError('the wrong module')\n"}
    ran = run(BUNDLE | noise, source_name="code.tar.gz", entry_point="vqe")
    assert ran.outcome.reason is None


def test_a_bundles_code_comes_before_what_is_installed(run: Run) -> None:
    files = {"vqe.py": "import click\nprint(click.__file__)\n", "click/__init__.py": ""}
    ran = run(files, source_name="code.tar.gz", entry_point="vqe")
    assert ran.log == f"{ran.folder.source / 'click/__init__.py'}\n"


def test_threads_and_exit_handlers_outlive_the_script(run: Run) -> None:
    ran = run(
        "import atexit, threading, time\n"
        "go = threading.Event()\n"
        "atexit.register(print, 'at exit')\n"
        "threading.Thread(target=lambda: (go.wait(), print('thread'))).start()\n"
        "threading.Timer(0.05, go.set).start()\n"
        "print('end of script')\n"
    )
    assert ran.log == "end of script\nthread\nat exit\n"
    assert ran.outcome.status is JobStatus.COMPLETED


def test_exit_handlers_run_after_a_failure(run: Run) -> None:
    ran = run("import atexit\natexit.register(print, 'at exit')\nraise ValueError('x')\n")
    assert ran.log.endswith("ValueError: x\nat exit\n")


def test_the_users_own_hook_prints_the_exception_and_the_reason_is_kept(run: Run) -> None:
    ran = run(
        "import sys\nsys.excepthook = lambda kind, error, trace: print('hook', kind.__name__, trace.tb_lineno)\n1/0\n"
    )
    assert ran.log == "hook ZeroDivisionError 3\n"
    assert ran.outcome.reason == "AlgorithmError: ZeroDivisionError: division by zero, exit code: 1"
    assert ran.outcome.exit_codes == (1,)


def test_a_hook_that_fails_hides_nothing(run: Run) -> None:
    ran = run("import sys\ndef hook(*_): raise KeyError('hook')\nsys.excepthook = hook\n1/0\n")
    assert ran.outcome.reason == "AlgorithmError: ZeroDivisionError: division by zero, exit code: 1"
    assert "ZeroDivisionError" in ran.log
    assert "KeyError: 'hook'" in ran.log
    assert OURS not in ran.log


def test_warnings_name_the_users_line(run: Run) -> None:
    ran = run("import warnings\nwarnings.warn('careful')\n")
    assert "job.py:2: UserWarning: careful" in ran.log
    assert OURS not in ran.log


FAILURES: dict[str, tuple[str | Mapping[str, str], str, str]] = {
    "deep recursion": ("def f(n): return f(n + 1)\nf(0)\n", "RecursionError", "[Previous line repeated"),
    "str of the exception raises": (
        "class Sly(Exception):\n    def __str__(self): raise KeyError('no')\nraise Sly\n",
        "AlgorithmError: Sly, exit code: 1",
        "Sly: <exception str() failed>",
    ),
    "str of the exception is no text": (
        "class Sly(Exception):\n    def __str__(self): return 3\nraise Sly\n",
        "AlgorithmError: Sly, exit code: 1",
        "Sly: <exception str() failed>",
    ),
    "a group": (
        "raise ExceptionGroup('many', [ValueError('one'), KeyError('two')])\n",
        "ExceptionGroup: many (2 sub-exceptions)",
        "ValueError: one",
    ),
    "a note": (
        "try: 1/0\nexcept ZeroDivisionError as e: e.add_note('look here'); raise\n",
        "ZeroDivision",
        "look here",
    ),
    "a chain": (
        "try: 1/0\nexcept ZeroDivisionError as e: raise ValueError('bad') from e\n",
        "AlgorithmError: ValueError: bad, exit code: 1",
        "The above exception was the direct cause of the following exception",
    ),
    "a syntax error in the script": ("x = (\n", "SyntaxError: '(' was never closed", "x = (\n"),
    "a syntax error in an imported module": (
        {"a/__main__.py": "import broken\n", "a/broken.py": "def f(:\n"},
        "SyntaxError: invalid syntax (broken.py, line 1)",
        "import broken",
    ),
    "a syntax error in the package": (
        {"a/__main__.py": "", "a/__init__.py": "def f(:\n"},
        "SyntaxError: invalid syntax (__init__.py, line 1)",
        "def f(:",
    ),
    "an error in an imported module": (
        {"a/__main__.py": "import broken\n", "a/broken.py": "1/0\n"},
        "ZeroDivisionError",
        "import broken",
    ),
    "NUL in the script": ("x = 1\0\n", "source code string cannot contain null bytes", ""),
    "an unusual exception": ("raise GeneratorExit('gen')\n", "GeneratorExit: gen", "raise GeneratorExit"),
    "several lines": ("raise ValueError('a\\nb')\n", "ValueError: a\nb", "a\nb"),
    "half a character": ("raise ValueError('\\ud800')\n", "ValueError: \\ud800", ""),
}


@pytest.mark.parametrize(("source", "reason", "trace"), FAILURES.values(), ids=FAILURES)
def test_a_failure_is_told_as_python_tells_it(
    run: Run, source: str | Mapping[str, str], reason: str, trace: str
) -> None:
    ran = run(source)
    assert ran.outcome.status is JobStatus.FAILED
    assert ran.outcome.exit_codes == (1,)
    assert reason in (ran.outcome.reason or "")
    assert trace in (ran.outcome.traceback or "")
    assert trace in ran.log
    assert OURS not in ran.log + (ran.outcome.reason or "") + (ran.outcome.traceback or "")


@pytest.mark.parametrize(
    ("entry_point", "text", "reason"),
    [
        ("job:main", "def main(theta: float): pass", "main(theta: float) cannot take the hyperparameters given"),
        ("job:main", "def main(do: int, say: str): pass", "hyperparameter do='finish' is no int"),
        ("job:main", "async def main(): pass", "main is a coroutine function"),
        ("job:main", "def main(**kw): 1/0", "division by zero"),
        ("job:main", "1/0", "division by zero"),
        ("job:main", "", "module 'job' has no attribute 'main'"),
        ("nobody:main", "", "No module named 'nobody'"),
        ("nobody", "", "No module named 'nobody'"),
    ],
)
def test_a_function_that_cannot_be_called_is_told_without_our_frames(
    run: Run, entry_point: str, text: str, reason: str
) -> None:
    ran = run(text, entry_point=entry_point)
    assert reason in (ran.outcome.reason or "")
    assert OURS not in ran.log + (ran.outcome.traceback or "")
    assert ran.outcome.exit_codes == (1,)


@pytest.mark.parametrize("character", ["x", "\\U0001f600", "\\x00", "\\ud800"], ids=["x", "wide", "NUL", "half"])
def test_ten_megabytes_of_message_block_nothing(run: Run, character: str) -> None:
    ran = run(f"raise ValueError('{character}' * 10_000_000)\n")
    assert (ran.outcome.reason or "").startswith("AlgorithmError: ValueError: ")
    assert len(ran.outcome.reason or "") < 13_000
    assert "job.py" in (ran.outcome.traceback or "")


@pytest.mark.parametrize(
    ("text", "log", "code"),
    [
        ("import sys\nprint('said')\nsys.stdout.close()\n", "said\n", 0),
        ("import os\nprint('said')\nos.close(1)\n", "said\n", 0),
        ("import os\nos.closerange(0, 100)\n", "", 0),
        ("import sys\nsys.stdout = None\nprint('nothing')\n", "", 0),
        ("import io, sys\nsys.stdout = io.StringIO()\nprint('hidden')\n", "", 0),
    ],
)
def test_a_script_may_close_its_output(run: Run, text: str, log: str, code: int) -> None:
    ran = run(text)
    assert ran.log == log
    assert ran.outcome.status is JobStatus.COMPLETED


@pytest.mark.parametrize("closing", ["sys.stdout.close()", "sys.stdout = None", "sys.stdout = object()", "os.close(1)"])
def test_a_failure_is_told_without_stdout(run: Run, closing: str) -> None:
    ran = run(f"import os, sys\n{closing}\n1/0\n")
    assert (ran.outcome.reason or "").startswith("AlgorithmError: ZeroDivisionError: division by zero, exit code: 1")
    assert ran.log.startswith("Traceback")
    assert OURS not in ran.log


def test_a_failure_is_told_when_both_streams_and_all_descriptors_are_closed(run: Run) -> None:
    ran = run("import os\nos.closerange(0, 100)\n1/0\n")
    assert ran.outcome.status is JobStatus.FAILED
    assert "and gave no reason" in (ran.outcome.reason or "")


def test_a_script_may_become_another_program(run: Run) -> None:
    ran = run(
        "import os, sys\nprint('before')\nos.execv('/bin/sh', ['sh', '-c', 'echo after; ls /proc/self/fd; exit 4'])\n"
    )
    assert ran.log.split()[:2] == ["before", "after"]
    assert set(ran.log.split()[2:]) == {"0", "1", "2", "3"}  # 3 is the directory that ls reads
    assert ran.outcome.reason == "The script ended with exit code 4 and gave no reason."


def test_a_forked_child_that_fails_does_not_speak_for_the_job(run: Run) -> None:
    text = "import os\nif os.fork() == 0:\n    raise KeyError('child')\nos.wait()\n"
    assert run(text).outcome.status is JobStatus.COMPLETED
    ran = run(text + "raise ValueError('parent')\n")
    assert ran.outcome.reason == "AlgorithmError: ValueError: parent, exit code: 1"
    assert "KeyError: 'child'" in ran.log


def test_noise_on_every_descriptor_is_no_report(run: Run) -> None:
    ran = run(
        "import os\nfor fd in range(3, 30):\n    try: os.write(fd, b'noise')\n    except OSError: pass\nos._exit(3)\n"
    )
    assert ran.outcome.status is JobStatus.FAILED
    assert ran.outcome.exit_codes == (3,)
    assert ran.stderr == ""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change its uid")
def test_a_script_may_change_who_and_where_it_is(run: Run) -> None:
    ran = run(
        "import os\n"
        "os.chdir('/'); os.umask(0o777); os.nice(5); os.setgid(65534); os.setuid(65534)\n"
        "print(os.getcwd(), os.getuid())\n"
        "raise ValueError('nobody')\n"
    )
    assert ran.log.startswith("/ 65534\n")
    assert ran.outcome.reason == "AlgorithmError: ValueError: nobody, exit code: 1"


@pytest.mark.parametrize("language", [{"LANG": "C"}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {}], ids=str)
def test_unicode_whatever_the_language(run: Run, language: dict[str, str]) -> None:
    ran = run("print('ψ|0⟩ → é')\nraise ValueError('Schrödinger')\n", environment=language)
    assert ran.log.startswith("ψ|0⟩ → é\n")
    assert ran.outcome.reason == "AlgorithmError: ValueError: Schrödinger, exit code: 1"


def test_the_order_of_print_and_error_output_is_kept(run: Run) -> None:
    ran = run(
        "import sys\n"
        "for i in range(50):\n"
        "    print('out', i)\n"
        "    print('err', i, file=sys.stderr)\n"
        "print('no line end', end='')\n"
        "1/0\n"
    )
    lines = [f"{stream} {i}" for i in range(50) for stream in ("out", "err")]
    assert ran.log.splitlines()[:100] == lines
    assert ran.log.splitlines()[100] == "no line endTraceback (most recent call last):"


def test_every_line_shows_at_once(run: Run) -> None:
    ran = run("import os\nprint('line')\nos._exit(0)\n")
    assert ran.log == "line\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "reason"),
    [
        ("None", 0, None),
        ("0", 0, None),
        ("False", 0, None),
        ("256", 0, None),
        ("3", 3, "The script ended with exit code 3 and gave no reason."),
        ("-1", 255, "The script ended with exit code 255 and gave no reason."),
        ("'no convergence'", 1, "AlgorithmError: SystemExit: no convergence, exit code: 1"),
        ("ValueError('odd')", 1, "AlgorithmError: SystemExit: odd, exit code: 1"),
        ("''", 1, "AlgorithmError: SystemExit: , exit code: 1"),
    ],
)
def test_exit(run: Run, code: str, exit_code: int, reason: str | None) -> None:
    ran = run(f"import sys\nsys.exit({code})\n")
    assert ran.outcome.exit_codes == (exit_code,)
    assert ran.outcome.reason == reason
    assert "Traceback" not in ran.log


def test_a_traceback_needs_no_module(run: Run) -> None:
    ran = run("import sys\nfor name in ('traceback', 'json', 'contextlib'): sys.modules[name] = None\n1/0\n")
    assert ran.outcome.reason == "AlgorithmError: ZeroDivisionError: division by zero, exit code: 1"
    assert "1/0" in ran.outcome.traceback
    assert ran.outcome.traceback == ran.log


def test_a_limit_on_memory_ends_in_the_users_traceback(run: Run) -> None:
    ran = run(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_AS, (100 << 20, 100 << 20))\n"
        "hold = []\n"
        "while True: hold.append(bytearray(1 << 20))\n"
    )
    assert "MemoryError" in (ran.outcome.reason or "")
    assert "hold.append" in (ran.outcome.traceback or "")
    assert ran.outcome.exit_codes == (1,)
