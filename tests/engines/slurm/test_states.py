"""What Slurm's words mean: every one of them has a place and a sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from qjob.engine import Presence
from qjob.engines.slurm.rows import Row
from qjob.engines.slurm.states import (
    ENDINGS,
    EXIT_NO_FOLDER,
    EXIT_NO_PYTHON,
    PRESENCES,
    REASONS,
    ending_text,
    observation_of,
    waiting_text,
)
from qjob.model.status import JobStatus

ROW = Row(
    name="qjob-a",
    index=None,
    slurm_id=1,
    state="PENDING",
    exit_code=0,
    signal=0,
    restarts=0,
    submitted_at=1000.0,
    ended_at=None,
    nodes="",
    reason="",
)
ENDED = [state for state, presence in PRESENCES.items() if presence is Presence.GONE]
FINAL = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT",
}  # fmt: skip
"""The states in which slurm.h has a job ended, of the base states."""


@pytest.mark.parametrize("state", PRESENCES)
def test_every_state_has_a_place_and_a_sentence(state: str) -> None:
    seen = observation_of(replace(ROW, state=state), now=2000.0, settle_s=15.0)
    assert seen.presence is PRESENCES[state]
    assert seen.message
    assert not seen.message.endswith(".")
    assert "\n" not in seen.message


def test_a_state_that_ends_a_job_is_gone_and_no_other() -> None:
    assert set(ENDED) >= FINAL
    assert all(PRESENCES[state] is not Presence.GONE for state in ("PENDING", "RUNNING", "SUSPENDED", "COMPLETING"))
    assert set(ENDINGS) == set(ENDED) - {"FAILED"}, "FAILED is told by its exit code"


@pytest.mark.parametrize("state", ["", "FLYING", "REVOKED", "running", "CANCELLED by 1000", "UPDATE_DB"])
def test_nothing_follows_from_an_unknown_word(state: str) -> None:
    seen = observation_of(replace(ROW, state=state, ended_at=1.0), now=2000.0, settle_s=15.0)
    assert seen.presence is Presence.UNKNOWN
    assert state in seen.message


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_has_a_sentence_and_slurms_own_word(reason: str) -> None:
    text = waiting_text(reason)
    assert text.startswith(REASONS[reason])
    assert not REASONS[reason].endswith(".")
    assert text.endswith(f"(Slurm: {reason})") or not reason


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("Resources", "free nodes, cores or memory (Slurm: Resources)"),
        ("(Resources)", "free nodes, cores or memory (Slurm: (Resources))"),
        (
            "ReqNodeNotAvail, UnavailableNodes:n1",
            "a node that it asks for and that is not available (Slurm: ReqNodeNotAvail, UnavailableNodes:n1)",
        ),
        (
            "QOSMaxCpuPerUserLimit",
            "a limit of its account or quality of service (Slurm: QOSMaxCpuPerUserLimit)",
        ),
        ("AssocGrpCpuLimit", "a limit of its account or quality of service (Slurm: AssocGrpCpuLimit)"),
        ("NeverHeardOf", "Slurm (Slurm: NeverHeardOf)"),
        ("", "Slurm to look at it"),
    ],
)
def test_what_a_job_waits_for(reason: str, text: str) -> None:
    assert waiting_text(reason) == text
    seen = observation_of(replace(ROW, reason=reason), now=2000.0, settle_s=15.0)
    assert (seen.message, seen.waits_since, seen.position) == (text, None, None)


def test_a_job_that_was_put_back_says_since_when() -> None:
    seen = observation_of(replace(ROW, restarts=2, reason="BeginTime"), now=2000.0, settle_s=15.0)
    assert seen.presence is Presence.WAITING
    assert seen.waits_since is not None
    assert 1000 <= seen.waits_since.timestamp() < 1001, "a second in which the job may have begun before"
    assert REASONS["BeginTime"] in seen.message


@pytest.mark.parametrize(
    ("ended_at", "certain"), [(None, False), (1986.0, False), (1985.0, True), (1000.0, True), (2500.0, False)]
)
@pytest.mark.parametrize("state", ENDED)
def test_an_end_is_certain_when_the_disk_had_its_time(state: str, ended_at: float | None, certain: bool) -> None:
    seen = observation_of(replace(ROW, state=state, ended_at=ended_at, nodes="n1"), now=2000.0, settle_s=15.0)
    assert seen.certain is certain


@pytest.mark.parametrize(("restarts", "certain"), [(0, True), (1, False)])
def test_what_never_ran_cannot_have_an_outcome(restarts: int, certain: bool) -> None:
    """One that was put back has run before, without nodes now."""
    ended = replace(ROW, state="CANCELLED", ended_at=1999.0, restarts=restarts)
    assert observation_of(ended, now=2000.0, settle_s=15.0).certain is certain


@pytest.mark.parametrize("state", ENDED)
def test_who_was_cancelled_in_slurm_was_cancelled_and_all_others_failed(state: str) -> None:
    seen = observation_of(replace(ROW, state=state, ended_at=1.0), now=2000.0, settle_s=15.0)
    assert seen.ended_as is (JobStatus.CANCELLED if state == "CANCELLED" else JobStatus.FAILED)


@pytest.mark.parametrize(
    ("code", "signal", "text"),
    [
        (EXIT_NO_FOLDER, 0, "its node cannot write to its folder: QJOB_HOME has to be on a disk that all nodes share"),
        (EXIT_NO_PYTHON, 0, "its node does not have the interpreter: see runner.log, and python in [engines.slurm]"),
        (0, 9, "it was killed; Slurm does that when a job needs more memory than it asked for"),
        (0, 11, "it was ended by signal 11"),
        (74, 0, "its folder could not be written to; it was removed, or the disk is full"),
        (75, 0, "its runner ended with exit code 75; runner.log in its folder may say why"),
    ],
)
def test_a_failure_says_what_to_do(code: int, signal: int, text: str) -> None:
    found = ending_text(replace(ROW, state="FAILED", exit_code=code, signal=signal, nodes="n1"))
    assert found.startswith(text)
    assert found.endswith(f"(Slurm: FAILED {code}:{signal} on n1)")


@pytest.mark.parametrize(
    ("reason", "nodes", "ending"),
    [
        ("", "", "(Slurm: NODE_FAIL)"),
        ("", "n[1-3]", "(Slurm: NODE_FAIL on n[1-3])"),
        ("NodeDown", "n1", "(Slurm: NODE_FAIL, NodeDown on n1)"),
        ("Node_Fail", "", "(Slurm: NODE_FAIL)"),
    ],
)
def test_an_end_has_slurms_own_words(reason: str, nodes: str, ending: str) -> None:
    text = ending_text(replace(ROW, state="NODE_FAIL", reason=reason, nodes=nodes))
    assert text == f"{ENDINGS['NODE_FAIL']} {ending}"


def test_the_exit_codes_of_the_batch_script_are_nobody_elses() -> None:
    from qjob.runner import run

    assert not {EXIT_NO_FOLDER, EXIT_NO_PYTHON} & {
        run.EXIT_OUTCOME, run.EXIT_FOLDER, run.EXIT_TAKEN, run.EXIT_INTERRUPTED, 0, 1, 2, 126, 127,
    }  # fmt: skip
