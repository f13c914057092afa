"""Umask and resource limits: a job has those of whoever submits it, as what a shell starts has the shell's."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from other_limits import FILES, TELLS, TOLD, UMASK, other_limits
from qjob.engines.local.limits import Limits
from qjob.folder import JobFolder
from qjob.model.outcome import Outcome

_AS_SOMEBODY = f"""
import os, resource
from qjob.engines.local.limits import Limits
resource.setrlimit(resource.RLIMIT_NOFILE, (300, 400))
if os.getuid() == 0:
    os.setuid(65534)
resources = {{resource.RLIMIT_NOFILE: (1000, 2000), resource.RLIMIT_CORE: (0, 0)}}
Limits(umask={UMASK}, resources=resources).apply()
print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE), os.umask(0))
"""


def test_they_are_what_they_were_when_they_were_written_down() -> None:
    with other_limits():
        limits = Limits.now()
    assert (limits.umask, limits.resources[resource.RLIMIT_NOFILE][0]) == (UMASK, FILES)
    assert Limits.from_text(limits.to_text()) == limits
    assert Limits.now() != limits


def test_to_ask_for_them_changes_nothing() -> None:
    umask = os.umask(0o031)
    try:
        assert Limits.now().umask == 0o031
        assert os.umask(umask) == 0o031
    finally:
        os.umask(umask)


def test_who_may_not_have_as_much_has_what_may_be() -> None:
    done = subprocess.run([sys.executable, "-c", _AS_SOMEBODY], check=True, capture_output=True, text=True)
    assert done.stdout == f"(400, 400) (0, 0) {UMASK}\n"


def test_another_stack_takes_a_new_program() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    limits = Limits.now()
    assert not limits.takes_a_new_program
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 22, hard))
    try:
        assert limits.takes_a_new_program
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, (soft, hard))


def test_a_job_has_its_submitters(place: Any, wait_for: Callable[[JobFolder], Outcome]) -> None:
    engine = place.engine(warm=False)
    usual, _ = place.submit(engine, TELLS)  # and so the dispatcher is there already, with the usual ones
    with other_limits():
        folder, _ = place.submit(engine, TELLS)
    for each in (usual, folder):
        assert wait_for(each).status == "COMPLETED"
    assert folder.log(0).read_text() == TOLD
    assert usual.log(0).read_text() != TOLD
