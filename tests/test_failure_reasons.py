"""Every way to fail has a reason that reads like the service's: ``AlgorithmError: <Type>: <message>, exit code: 1``.

Braket's container writes one for an uncaught ``Exception`` alone. For all else that is here (the end of the script by
itself, what an entry point lacks, hyperparameters that do not fit, annotations that are strings, a setup that
failed) a user of it is told of an exit code, or of nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from qjob.errors import InvalidInput
from qjob.job import Job

Submit = Callable[..., Job]
MAX_CHARS = 1024
"""What GetJob's failureReason may have."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A way to fail.

    Attributes:
        text: the script.
        reason: the whole of the job's failureReason; ``...`` in it stands for any text.
        asked: what else is submitted.
    """

    text: str
    reason: str
    asked: Mapping[str, Any] = field(default_factory=dict)


def call(**hyperparameters: object) -> dict[str, Any]:
    return {"entry_point": "script:main", "hyperparameters": hyperparameters}


UNREADABLE = """
import sys
sys.stderr.buffer.write(b"\\xff\\xfe noise \\xff\\n")
raise ValueError(b"caf\\xe9".decode("utf-8", "surrogateescape"))
"""
UNICODE_ERROR = 'open("latin.txt", "wb").write(b"caf\\xe9"); open("latin.txt", encoding="utf-8").read()'

FAILURES = {
    "an exception": Failure(
        text="open('fake_file')",
        reason="AlgorithmError: FileNotFoundError: [Errno 2] No such file or directory: 'fake_file', exit code: 1",
    ),
    "an exception without a message": Failure(
        text="raise RuntimeError", reason="AlgorithmError: RuntimeError, exit code: 1"
    ),
    "an exception of the script's own": Failure(
        text="class Diverged(Exception): pass\nraise Diverged('at step 7')",
        reason="AlgorithmError: Diverged: at step 7, exit code: 1",
    ),
    "sys.exit with a text": Failure(
        text="import sys; sys.exit('boom')", reason="AlgorithmError: SystemExit: boom, exit code: 1"
    ),
    "sys.exit with an object": Failure(
        text="raise SystemExit(['no', 'way'])", reason="AlgorithmError: SystemExit: ['no', 'way'], exit code: 1"
    ),
    "sys.exit with a number": Failure(
        text="import sys; sys.exit(7)", reason="The script ended with exit code 7 and gave no reason."
    ),
    "an interrupt": Failure(text="raise KeyboardInterrupt", reason="AlgorithmError: KeyboardInterrupt, exit code: 130"),
    "a module that is not there": Failure(
        text="import nothing_like_this",
        reason="AlgorithmError: ModuleNotFoundError: No module named 'nothing_like_this' (...), exit code: 1",
    ),
    "a name that a module lacks": Failure(
        text="from json import nothing_like_this",
        reason="AlgorithmError: ImportError: cannot import name 'nothing_like_this' from 'json' (...), exit code: 1",
    ),
    "a syntax error in what is imported": Failure(
        text="import sys\nopen('broken.py', 'w').write('def f(:')\nsys.path.append('.')\nimport broken",
        reason="AlgorithmError: SyntaxError: invalid syntax (broken.py, line 1), exit code: 1",
    ),
    "an attribute that the entry point lacks": Failure(
        text="def main(): pass\ndel main",
        reason="AlgorithmError: AttributeError: module 'script' has no attribute 'main', exit code: 1",
        asked=call(),
    ),
    "an entry point that fails before it is there": Failure(
        text="1 / 0\ndef main(): pass",
        reason="AlgorithmError: ZeroDivisionError: division by zero, exit code: 1",
        asked=call(),
    ),
    "an entry point that cannot be called": Failure(
        text="main = 3", reason="AlgorithmError: TypeError: 3 is not a callable object, exit code: 1", asked=call()
    ),
    "a hyperparameter that is no number": Failure(
        text="def main(steps: int): pass",
        reason="AlgorithmError: TypeError: hyperparameter steps='many' is no int: invalid literal for int() "
        "with base 10: 'many', exit code: 1",
        asked=call(steps="many"),
    ),
    "a hyperparameter that is no truth value": Failure(
        text="def main(flag: bool): pass",
        reason="AlgorithmError: TypeError: hyperparameter flag='maybe' is no bool: true or false is expected, "
        "exit code: 1",
        asked=call(flag="maybe"),
    ),
    "a hyperparameter and an annotation that is a string": Failure(
        text="from __future__ import annotations\ndef main(steps: int): pass",
        reason="AlgorithmError: TypeError: hyperparameter steps='many' is no int: invalid literal for int() "
        "with base 10: 'many', exit code: 1",
        asked=call(steps="many"),
    ),
    "hyperparameters that are missing and too many": Failure(
        text="def main(theta: float, steps: int = 3): pass",
        reason="AlgorithmError: TypeError: main(theta: float, steps: int = 3) cannot take the hyperparameters given "
        "(angle='0.5'): missing a required argument: 'theta', exit code: 1",
        asked=call(angle=0.5),
    ),
    "a message that is not UTF-8": Failure(
        text=UNREADABLE, reason=r"AlgorithmError: ValueError: caf\udce9, exit code: 1"
    ),
    "a file that is not UTF-8": Failure(
        text=UNICODE_ERROR,
        reason="AlgorithmError: UnicodeDecodeError: 'utf-8' codec can't decode byte 0xe9 in position 3: "
        "unexpected end of data, exit code: 1",
    ),
    "a message in any language": Failure(
        text="raise ValueError('größe ⚛')", reason="AlgorithmError: ValueError: größe ⚛, exit code: 1"
    ),
    "a crash in native code": Failure(
        text="import ctypes; ctypes.string_at(0)",
        reason="The script crashed in native code (signal 11, SIGSEGV); the log ends with the Python stack at "
        "that moment.",
    ),
    "a signal": Failure(
        text="import os; os.kill(os.getpid(), 9)",
        reason="The script was killed by signal 9 (SIGKILL), which qjob did not send.",
    ),
    "a group of exceptions": Failure(
        text="raise ExceptionGroup('two tasks', [ValueError('a'), KeyError('b')])",
        reason="AlgorithmError: ExceptionGroup: two tasks (2 sub-exceptions), exit code: 1",
    ),
    "too deep a recursion": Failure(
        text="def f(): f()\nf()",
        reason="AlgorithmError: RecursionError: maximum recursion depth exceeded..., exit code: 1",
    ),
    "an exception in a thread that the script lets end it": Failure(
        text="from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor() as pool: pool.submit(lambda: 1 / 0).result()",
        reason="AlgorithmError: ZeroDivisionError: division by zero, exit code: 1",
    ),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_the_reason_is_that_of_the_service(submit: Submit, failure: Failure) -> None:
    job = submit(failure.text, **failure.asked)
    assert job.wait() == "FAILED"
    reason = job.metadata()["failureReason"]
    start, gap, end = failure.reason.partition("...")
    assert reason.startswith(start)
    assert reason.endswith(end) if gap else reason == start
    assert 1 <= len(reason) <= MAX_CHARS


def test_a_reason_of_any_length_fits(submit: Submit) -> None:
    job = submit("raise ValueError('x' * 100_000)")
    assert job.wait() == "FAILED"
    reason = job.metadata()["failureReason"]
    assert len(reason) <= MAX_CHARS
    assert reason.startswith("AlgorithmError: ValueError: xxx")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("def f(:\n", "'script.py' is not valid Python, line 1: invalid syntax"),
        ("x = 1", "'script.py' does not define 'main' at its top level"),
    ],
)
def test_what_can_be_known_before_is_no_failure_but_refused(submit: Submit, text: str, problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        submit(text, **call())
