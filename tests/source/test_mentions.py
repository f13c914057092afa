"""Whether a source names the container's paths, and what it costs to look."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from qjob.source.generated import GeneratedSource
from qjob.source.mentions import mentions_container_paths
from qjob.source.path import pack_source


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("main.py", "data = open('/opt/braket/input/data/input/x.csv')", True),
        ("main.py", "model = '/opt/ml/model'", True),
        ("main.py", "CHECKPOINTS = '/opt/jobs/checkpoints'", True),
        ("main.py", "from braket.jobs import get_results_dir\npath = '/opt/conda'", False),
        ("main.py", "", False),
        ("sub/deep/run.sh", "cp x /opt/ml/model", True),
        ("settings.yaml", "out: /opt/braket/model", True),
        ("settings.json", '{"out": "/opt/braket/model"}', True),
        ("tour.ipynb", '{"source": ["open(\\"/opt/braket/x\\")"]}', True),
        ("data.csv", "/opt/ml/model", False),
        ("main.py", "#" * (1 << 20) + "/opt/ml/model", False),
        ("main.py", b"\xff\xfe /opt/ml/model", True),
    ],
)
@pytest.mark.parametrize("packed_as", ["folder", "archive"])
def test_code_and_settings_that_name_a_path_are_found(
    tmp_path: Path, name: str, content: str | bytes, expected: bool, packed_as: str
) -> None:
    path = tmp_path / "pkg" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = tmp_path / "pkg"
    if packed_as == "archive":
        source = Path(shutil.make_archive(str(tmp_path / "code"), "gztar", tmp_path / "pkg"))
    assert mentions_container_paths(pack_source(source)) is expected


def test_a_file_that_has_gone_is_left_to_the_copy_to_tell_of(tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text("/opt/ml")
    packed = pack_source(tmp_path / "vqe.py")
    (tmp_path / "vqe.py").unlink()
    assert not mentions_container_paths(packed)
    with pytest.raises(FileNotFoundError):
        packed.write_to(tmp_path / "job")


def test_a_single_file_takes_no_time_to_speak_of(tmp_path: Path) -> None:
    (tmp_path / "vqe.py").write_text("theta = 0.1  # a line of code\n" * 1000)
    packed = pack_source(tmp_path / "vqe.py")
    times = []
    for _ in range(50):
        start = time.perf_counter()
        assert not mentions_container_paths(packed)
        times.append(time.perf_counter() - start)
    assert sorted(times)[25] < 0.0005


def test_generated_code_is_looked_at_too() -> None:
    source = GeneratedSource(name="f", uri="python:f", contents={"call.pkl": b"..\x8c/opt/braket/input"})
    assert mentions_container_paths(source)
    assert not mentions_container_paths(GeneratedSource(name="f", uri="python:f", contents={"a.py": b"/opt/b"}))
