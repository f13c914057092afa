"""The defects that were found in Braket's hybrid jobs, each with a test that its behaviour fails and ours passes.

Four kinds: ``SIDE_BY_SIDE`` are lines of code that are true with qjob's names and not with those of the installed
amazon-braket-sdk; ``test_local_...`` are about its LocalQuantumJob, which needs Docker and an account;
``test_cloud_...`` about its AwsQuantumJob; and ``ELSEWHERE`` are those that other tests are about.
"""

from __future__ import annotations

import ast
import os
import stat
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conformance.rows import outcome
from conformance.sides import has_braket, ours, published
from documents import ROOT
from living import processes_naming, wait_until
from qjob.errors import InvalidInput, JobCancelled, JobFailed
from qjob.job import Job, find
from qjob.model.config import InstanceConfig, MetricStatistic, MetricType, StoppingCondition
from qjob.model.metrics import MetricsParser
from qjob.service import Service

Submit = Callable[..., Job]

SIDE_BY_SIDE = {
    "a result that cannot be saved destroys those before it": (
        "save_job_result({'energy': -1.1})\n"
        "try: save_job_result({'state': object()})\n"
        "except TypeError: pass\n"
        "load_job_result() == {'energy': -1.1}"
    ),
    "a checkpoint that cannot be saved destroys the one before it": (
        "save_job_checkpoint({'step': 7})\n"
        "try: save_job_checkpoint({'step': object()})\n"
        "except TypeError: pass\n"
        "load_job_checkpoint() == {'step': 7}"
    ),
    "numbers of numpy cannot be saved": (
        "numpy = __import__('numpy'); save_job_result({'n': numpy.int64(3)}); load_job_result() == {'n': 3}"
    ),
    "arrays cannot be saved": (
        "numpy = __import__('numpy'); save_job_result({'a': numpy.arange(3)})\n"
        "load_job_result()['a'].tolist() == [0, 1, 2]"
    ),
    "complex numbers cannot be saved": "save_job_result(1 + 2j); load_job_result() == {'result': 1 + 2j}",
    "a format given as a word is taken for plain text": (
        "save_job_checkpoint({'s': {1, 2}}, data_format='pickle')\n"
        "load_job_checkpoint(allow_pickle=True) == {'s': {1, 2}}"
    ),
    "the time 0 is taken for none": "log_metric('x', 1, timestamp=0); 'timestamp=0;' in printed()",
    "metric names are cut, so that two become one": (
        "set(read('Metrics - timestamp=1; a/loss=1;', 'Metrics - timestamp=1; b/loss=2;')) "
        "== {'timestamp', 'a/loss', 'b/loss'}"
    ),
    "a NaN that comes first wins": "read('Metrics - timestamp=1; x=nan;', 'Metrics - timestamp=1; x=2;')['x'] == [2.0]",
    "there are two statistics only": "{'LAST', 'MEAN', 'COUNT'} <= set(words(MetricStatistic))",
    "the default name of a function of 37 letters is too long": "valid_name(name_for('f' * 37)) != ''",
    "the default name of a private function is invalid": "valid_name(name_for('_train')) != ''",
    "the default name of a lambda is invalid": "valid_name(name_for('<lambda>')) != ''",
    "checking an entry point runs the code of the packages around it": (
        "Path('loud_pkg').mkdir(); Path('loud_pkg/__init__.py').write_text('print(1)'); tree('loud_pkg/m.py')\n"
        "run('loud_pkg', 'loud_pkg.m'); printed() == ''"
    ),
    "an entry point that begins with a dot is let pass": (
        "tree('dotted_pkg/__init__.py', 'dotted_pkg/m.py')\n"
        "try: run('dotted_pkg', '.m:f'); refused = False\n"
        "except ValueError: refused = True\n"
        "refused"
    ),
    "a misspelt function is found out in the job only": (
        "tree('typo_job.py')\n"
        "try: run('typo_job.py', 'typo_job:g'); refused = False\n"
        "except ValueError: refused = True\n"
        "refused"
    ),
    "an empty hyperparameter is refused by the service alone": "recorded(lambda word: 0, '') != {'word': ''}",
}


@pytest.mark.parametrize("case", SIDE_BY_SIDE.values(), ids=SIDE_BY_SIDE)
def test_the_defect_is_brakets_alone(case: str) -> None:
    if "numpy" in case:
        pytest.importorskip("numpy")
    assert outcome(case, ours()) is True
    if has_braket():
        assert outcome(case, published()) is not True


def test_lines_with_and_without_a_time_cannot_be_compared() -> None:
    """Braket keeps the log's own stamp, a text, for a line without a time: TypeError with the numbers of others."""
    lines = ["Metrics - x=1; iteration_number=1;", "Metrics - timestamp=5; x=2; iteration_number=1;"]
    parser = MetricsParser(MetricType.ITERATION_NUMBER)
    parser.feed("\n".join(lines).encode(), lambda _: 3.0)
    assert parser.columns() == {"x": [2.0], "iteration_number": [1.0], "timestamp": [5.0]}
    if has_braket():
        sdk = pytest.importorskip("braket.jobs.metrics_data.log_metrics_parser")
        theirs = sdk.LogMetricsParser()
        for line in lines:
            theirs.parse_log_message("2026-01-01 00:00:00", line)
        with pytest.raises(TypeError):
            theirs.get_parsed_metrics(sdk.MetricType.ITERATION_NUMBER, sdk.MetricStatistic.MAX)


# LocalQuantumJob


def test_local_the_state_is_always_completed(submit: Submit, service: Service) -> None:
    job = submit("raise ValueError('bad angle')")
    assert job.wait() == "FAILED"
    assert Job(job.arn, service=service).state() == "FAILED"


def test_local_there_is_no_metadata_nor_event_nor_tag(submit: Submit) -> None:
    job = submit("", tags={"run": "7"})
    job.wait()
    data = job.metadata()
    assert (data["status"], data["tags"]) == ("COMPLETED", {"run": "7"})
    assert data["events"][-1]["eventType"] == "COMPLETED"
    assert job.name == data["jobName"]


def test_local_a_job_cannot_be_cancelled(submit: Submit) -> None:
    job = submit("import time\ntime.sleep(600)")
    wait_until(lambda: job.state() == "RUNNING")
    assert job.cancel() in ("CANCELLING", "CANCELLED")
    assert job.wait() == "CANCELLED"


def test_local_create_blocks_and_takes_one_job_at_a_time(submit: Submit, tmp_path: Path) -> None:
    text = "import os, time\nopen({0!r}, 'w')\nwhile not os.path.exists({1!r}): time.sleep(0.01)\n"
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    jobs = [submit(text.format(one, two)), submit(text.format(two, one))]  # each waits for the other
    assert [job.wait(30) for job in jobs] == ["COMPLETED", "COMPLETED"]


def test_local_the_name_must_be_new_in_the_current_directory(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the current directory is what this is about
    (tmp_path / "scan").mkdir()
    jobs = [submit("", name="scan") for _ in range(2)]
    assert [job.wait() for job in jobs] == ["COMPLETED", "COMPLETED"]
    assert jobs[0].id != jobs[1].id
    assert list((tmp_path / "scan").iterdir()) == []


def test_local_a_failure_is_an_exit_code_in_the_log(submit: Submit) -> None:
    job = submit("def angle(): raise ValueError('bad angle')\nangle()")
    with pytest.raises(JobFailed) as failure:
        job.result()
    assert "ValueError: bad angle" in str(failure.value)
    assert "in angle" in str(failure.value)


def test_local_the_log_of_a_job_that_runs_cannot_be_seen(
    submit: Submit, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    go = tmp_path / "go"
    job = submit(f"import os, time\nprint('begun')\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n")

    def said() -> str:
        job.logs()
        return capfd.readouterr().out

    assert wait_until(said) == "begun\n"
    assert job.state() == "RUNNING"
    go.touch()
    assert job.wait() == "COMPLETED"


def test_local_metric_lines_with_a_node_tag_are_dropped(submit: Submit) -> None:
    job = submit("print('[1,mpirank:4,algo-1]<stdout>:Metrics - timestamp=1; x=2;')")
    job.wait()
    assert job.metrics() == {"timestamp": [1.0], "x": [2.0], "node_id": ["1,mpirank:4,algo-1"]}


def test_local_what_is_printed_shortly_before_the_end_is_lost(
    submit: Submit, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    job = submit(
        "from qjob.runtime import log_metric\n"
        "for step in range(5000): print('line', step); log_metric('x', step, timestamp=step + 1)\n"
        "import os; os._exit(0)\n"
    )
    job.logs(wait=True)
    assert capfdbinary.readouterr().out.count(b"line ") == 5000
    assert len(job.metrics()["x"]) == 5000


def test_local_output_that_is_not_utf8_ends_the_capture(
    submit: Submit, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    job = submit(
        "import sys\nsys.stdout.buffer.write(b'caf\\xe9\\n'); print('after'); print('Metrics - timestamp=1; x=2;')"
    )
    job.logs(wait=True)
    assert capfdbinary.readouterr().out == b"caf\xe9\nafter\nMetrics - timestamp=1; x=2;\n"
    assert job.metrics()["x"] == [2.0]


def test_local_docker_is_needed(submit: Submit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no docker there, nor anything else
    assert submit("").wait() == "COMPLETED"


def test_local_the_time_limit_is_ignored(submit: Submit) -> None:
    started = time.monotonic()
    job = submit(
        "import time\ntime.sleep(600)", stopping_condition=StoppingCondition(maxRuntimeInSeconds=1), grace_s=0.2
    )
    assert job.wait(30) == "FAILED"
    assert "maxRuntimeInSeconds of 1 s" in job.metadata()["failureReason"]
    assert time.monotonic() - started < 30


def test_local_credentials_are_told_on_a_command_line(
    submit: Submit, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "A" * 39 + "b"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)  # the submitter's environment goes along
    go = tmp_path / "go"
    job = submit(f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n")
    wait_until(lambda: job.state() == "RUNNING")
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes_naming(str(home))]
    assert not [command for command in commands if secret.encode() in command]
    kept = home / "jobs" / job.id / "environment.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    go.touch()
    assert job.wait() == "COMPLETED"
    assert not kept.exists()


# AwsQuantumJob


def test_cloud_the_result_of_a_failed_job_is_an_empty_dict(submit: Submit) -> None:
    job = submit("from qjob.runtime import save_job_result\nsave_job_result({'half': 1})\nraise ValueError('late')")
    with pytest.raises(RuntimeError, match="ValueError: late"):
        job.result()
    assert job.result(partial=True) == {"half": 1}


def test_cloud_waiting_for_a_failed_job_raises_nothing(submit: Submit) -> None:
    job = submit("raise ValueError('late')")
    with pytest.raises(RuntimeError, match="ValueError: late"):
        job.logs(wait=True)


def test_cloud_the_result_of_a_cancelled_job_is_an_empty_dict(submit: Submit) -> None:
    job = submit("import time\ntime.sleep(600)")
    job.cancel()
    with pytest.raises(JobCancelled):
        job.result()


def test_cloud_results_leave_an_archive_in_the_current_directory(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "empty"
    directory.mkdir()
    monkeypatch.chdir(directory)  # the current directory is what this is about
    job = submit("from qjob.runtime import save_job_result\nsave_job_result({'energy': -1})", name="scan")
    assert job.result() == {"energy": -1}
    assert os.listdir(directory) == []
    job.download_result()
    assert os.listdir(directory) == ["scan"]


def test_cloud_results_of_jobs_of_one_name_meet_in_one_file(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "from qjob.runtime import *\nsave_job_result(get_hyperparameters())"
    jobs = [submit(text, name="scan", hyperparameters={"n": n}) for n in range(3)]
    assert [job.result() for job in jobs] == [{"n": "0"}, {"n": "1"}, {"n": "2"}]


def test_cloud_a_timeout_of_zero_does_not_even_look(submit: Submit) -> None:
    job = submit("from qjob.runtime import save_job_result\nsave_job_result({'energy': -1})")
    job.wait()
    assert job.result(poll_timeout_seconds=0) == {"energy": -1}


def test_cloud_logs_sleep_before_the_first_line(submit: Submit, capfd: pytest.CaptureFixture[str]) -> None:
    job = submit("print('done')")
    job.wait()
    started = time.monotonic()
    job.logs(wait=False, poll_interval_seconds=5)
    assert capfd.readouterr().out == "done\n"
    assert time.monotonic() - started < 4


def test_cloud_the_end_is_noticed_two_polls_late(submit: Submit) -> None:
    started = time.monotonic()
    job = submit("")
    job.logs(wait=True, poll_interval_seconds=20)
    assert time.monotonic() - started < 18  # Braket's takes three polls of 5 s at least


def test_cloud_metrics_end_after_ten_thousand_rows(submit: Submit) -> None:
    job = submit("for n in range(12_000): print(f'Metrics - timestamp={n + 1}; x={n};')")
    job.wait()
    assert job.metrics()["x"] == [float(n) for n in range(12_000)]


def test_cloud_metrics_of_more_than_three_hours_ago_are_not_asked_for(submit: Submit) -> None:
    long_ago = (datetime.now(UTC) - timedelta(days=3)).timestamp()
    job = submit(f"print('Metrics - timestamp={long_ago}; x=1;')")
    job.metadata()  # seen before it started, and kept
    job.wait()
    assert job.metrics() == {"timestamp": [long_ago], "x": [1.0]}


def test_cloud_the_failure_reason_has_to_be_looked_for(submit: Submit) -> None:
    job = submit("raise ValueError('bad angle')")
    job.wait()
    assert job.metadata()["failureReason"] == "AlgorithmError: ValueError: bad angle, exit code: 1"


def test_cloud_jobs_cannot_be_listed(
    submit: Submit, service: Service, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QJOB_HOME", str(home))  # where `find` looks, which takes no service
    jobs = [submit("", name="scan", tags={"n": str(n)}) for n in range(3)]
    for job in jobs:
        job.wait()
    assert find(tags={"n": "1"}) == [jobs[1]]
    assert find(name="scan", status="COMPLETED") == jobs[::-1]
    assert find(name="scan", created_after=datetime.now(UTC)) == []


def test_cloud_a_name_like_the_end_of_an_arn_is_confused_with_it(submit: Submit, service: Service) -> None:
    first = submit("print('one')")
    tail = first.arn[-1]
    second = submit("print('two')", name=tail)
    assert [job.wait() for job in (first, second)] == ["COMPLETED", "COMPLETED"]
    assert Job(tail, service=service) == second
    assert Job(first.arn, service=service) == first


def test_cloud_checkpoints_of_a_job_without_any_are_a_key_error(submit: Submit) -> None:
    without = submit("")
    without.wait()
    with pytest.raises(InvalidInput, match="checkpoint"):
        submit("", copied_from=without.id)


def test_cloud_a_checkpoint_is_found_by_the_old_jobs_name_alone(submit: Submit) -> None:
    first = submit("from qjob.runtime import save_job_checkpoint\nsave_job_checkpoint({'step': 7})", name="first")
    first.wait()
    second = submit(
        "from qjob.runtime import *\nsave_job_result(load_job_checkpoint())", name="second", copied_from=first.id
    )
    assert second.result() == {"step": 7}


# Both


@pytest.mark.parametrize(
    ("annotation", "given", "value"),
    [("bool", "False", False), ("list", "[1, 2]", [1, 2]), ("'int'", "3", 3), ("dict", "{'a': 1}", {"a": 1})],
)
def test_hyperparameters_are_cast_by_calling_their_type(
    submit: Submit, annotation: str, given: str, value: object
) -> None:
    job = submit(
        f"from qjob.runtime import save_job_result\ndef main(x: {annotation}): save_job_result([x])",
        entry_point="script:main",
        hyperparameters={"x": given},
    )
    assert job.result() == {"result": [value]}


def test_hyperparameters_that_do_not_fit_are_left_out_silently(submit: Submit) -> None:
    job = submit("def main(n=1): pass", entry_point="script:main", hyperparameters={"m": 3})
    assert job.wait() == "FAILED"
    assert "main(n=1) cannot take the hyperparameters given (m='3')" in job.metadata()["failureReason"]


def test_data_parallel_adds_hyperparameters_that_break_the_call(submit: Submit) -> None:
    job = submit(
        "import os\nfrom qjob.runtime import save_job_result\n"
        "def main(n: int):\n    if os.environ['RANK'] == '0': save_job_result(n)",
        entry_point="script:main",
        hyperparameters={"n": 3},
        distribution="data_parallel",
        instance_config=InstanceConfig(instanceCount=2),
    )
    assert job.result() == {"result": 3}
    assert job.metadata()["hyperParameters"] == {"n": "3"}


def test_input_data_takes_all_that_begins_alike(
    submit: Submit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a relative path is what goes wrong
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.csv").write_text("1")
    (tmp_path / "data_backup.bin").write_text("2")
    given = {"train": "data"}
    job = submit(
        "import os\nfrom qjob.runtime import *\nsave_job_result(os.listdir(get_input_data_dir('train')))",
        input_data=given,
    )
    assert job.result() == {"result": ["data.csv"]}
    assert given == {"train": "data"}


def test_no_result_and_an_empty_result_look_alike(submit: Submit, home: Path) -> None:
    """`result()` is the published ``{}`` for both; what there is lies in the job's folder, and tells them apart."""
    nothing, empty = submit(""), submit("from qjob.runtime import save_job_result\nsave_job_result({})")
    assert nothing.result() == empty.result() == {}
    files = [sorted(os.listdir(home / "jobs" / job.id / "results")) for job in (nothing, empty)]
    assert files == [[], ["results.json"]]


def test_several_values_of_one_iteration_have_no_mean(submit: Submit) -> None:
    job = submit("for x in (1, 2, 6): print(f'Metrics - timestamp=1; x={x}; iteration_number=0;')")
    job.wait()
    kept = {each.name: job.metrics(MetricType.ITERATION_NUMBER, each)["x"] for each in MetricStatistic}
    assert kept == {"MIN": [1.0], "MAX": [6.0], "LAST": [6.0], "MEAN": [3.0], "COUNT": [3.0]}


ELSEWHERE = {
    "a decorated function cannot be called twice": (
        "braket/test_hybrid_job.py::test_a_function_is_called_twice_and_stays_as_it_is"
    ),
    "a function without a file cannot be a job": "braket/test_interpreters.py::test_exec_without_a_source",
    "code cannot read its own source in a job": "braket/test_hybrid_job.py::test_code_can_read_its_own_source",
    "decorating asks AWS": "braket/test_hybrid_job.py::test_decorating_touches_nothing",
    "a local job needs an account, a region and the network": (
        "braket/test_local.py::test_nothing_of_amazons_is_needed_nor_imported"
    ),
    "configurations that are passed are changed": (
        "braket/test_local.py::test_what_is_passed_is_not_changed_and_serves_twice"
    ),
    "options without meaning are a TypeError, or dropped without a word": (
        "braket/test_local.py::test_what_means_nothing_here_is_said_once"
    ),
    "the decorator's options are a TypeError with local=True": (
        "braket/test_hybrid_job.py::test_all_options_reach_the_job"
    ),
    "hyperparameters are rewritten and shortened, and the rest is lost": (
        "braket/test_hybrid_job.py::test_hyperparameters_are_recorded_and_kept_whole_beside"
    ),
    "importing it takes two seconds and 200 MB": "braket/test_front.py::test_a_job_script_pays_for_what_it_uses",
    "a kill while a checkpoint is written loses it": (
        "test_runtime.py::test_a_killed_job_leaves_its_last_checkpoint_whole"
    ),
    "the names of metrics reach the terminal as they are": (
        "cli/test_metrics.py::test_names_and_tags_of_a_log_do_not_reach_the_terminal_as_they_are"
    ),
    "a failure outside of an Exception has no reason": (
        "test_failure_reasons.py::test_the_reason_is_that_of_the_service"
    ),
    "a script that cannot be started is a TypeError": (
        "runner/test_run.py::test_an_interpreter_that_cannot_be_started"
    ),
    "a download overwrites what is there": "test_local_jobs.py::test_download_repeats_and_overwrites_nothing_else",
}


@pytest.mark.parametrize("place", ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_defects_of_other_tests_are_tested_there(place: str) -> None:
    file, _, name = place.partition("::")
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
