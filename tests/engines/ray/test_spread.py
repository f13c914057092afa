"""Where instances sit, and what their keepers are told; tests/live/ray has them on a real cluster."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qjob.engines.ray.spread import Seat, bundle_options, main, seat_variables, seats, spread
from qjob.engines.ray.spread import _keep as keep
from qjob.model.config import InstanceConfig
from qjob.testing import make_folder, make_spec


def test_seats_are_counted_node_by_node() -> None:
    assert seats(["b", "a", "b"]) == [
        Seat(number=0, node=0, local_rank=0, local_size=2),
        Seat(number=1, node=1, local_rank=0, local_size=1),
        Seat(number=2, node=0, local_rank=1, local_size=2),
    ]


def test_a_keeper_is_told_of_its_seat() -> None:
    assert seat_variables(Seat(number=2, node=0, local_rank=1, local_size=2), "10.0.0.1 29500") == {
        "QJOB_INSTANCE_MEETING": "10.0.0.1 29500",
        "QJOB_NODE_RANK": "0",
        "QJOB_LOCAL_RANK": "1",
        "QJOB_LOCAL_SIZE": "2",
    }


def test_a_task_takes_the_whole_of_its_bundle() -> None:
    assert bundle_options({"CPU": 2.0, "GPU": 1.0}) == {"num_cpus": 2.0, "num_gpus": 1.0, "memory": None}
    assert bundle_options({"memory": 1.0}) == {"num_cpus": 0, "num_gpus": 0, "memory": 1}


def test_what_a_keeper_says_is_in_the_folder(tmp_path: Path) -> None:
    assert keep(["sh", "-c", "echo $WORD; exit 3"], {"WORD": "said"}, str(tmp_path / "log")) == 3
    assert (tmp_path / "log").read_text() == "said\n"


class PlayedRay:
    """As much of the module ``ray`` as the launcher uses; every task but the last is lost."""

    class RayError(Exception):
        pass

    def __init__(self) -> None:
        self.bundles: list[dict[str, float]] = []
        self.removed: list[Any] = []
        self.started: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.exceptions = SimpleNamespace(RayError=self.RayError)
        strategy = SimpleNamespace(PlacementGroupSchedulingStrategy=lambda **words: words)
        self.util = SimpleNamespace(
            placement_group=self._group,
            placement_group_table=lambda group: {"bundles_to_node_id": {0: "a", 1: "b"}},
            remove_placement_group=self.removed.append,
            scheduling_strategies=strategy,
        )

    def remote(self, function: Any) -> Any:
        def start(options: dict[str, Any], *arguments: Any) -> str:
            self.started.append((function.__name__, arguments, options))
            return f"{function.__name__} {len(self.started)}"

        return SimpleNamespace(
            options=lambda **options: SimpleNamespace(remote=lambda *arguments: start(options, *arguments))
        )

    def wait(self, refs: list[str], timeout: float) -> tuple[list[str], list[str]]:
        return refs[:1], refs[1:]

    def get(self, ref: str) -> object:
        if ref == "_keep 2":
            raise self.RayError("The node was lost.\nAnd more.")
        return "10.0.0.1 29500" if ref == "_meeting 1" else None

    def _group(self, bundles: list[dict[str, float]], strategy: str) -> Any:
        self.bundles = bundles
        return SimpleNamespace(ready=lambda: "ready", strategy=strategy)


def test_a_keeper_starts_in_each_bundle_and_the_end_of_a_lost_one_is_told(tmp_path: Path) -> None:
    spec = make_spec(instance_config=InstanceConfig(instanceCount=2), options={"cpus": 2})
    folder = make_folder(tmp_path, spec)
    folder.instances_state.mkdir()
    ray = PlayedRay()
    spread(ray, folder, spec)
    assert ray.bundles == [{"CPU": 2.0}, {"CPU": 2.0}]
    assert [name for name, _, _ in ray.started] == ["_meeting", "_keep", "_keep"]
    places = [options["scheduling_strategy"]["placement_group_bundle_index"] for _, _, options in ray.started]
    assert places == [0, 0, 1]
    assert [options["num_cpus"] for _, _, options in ray.started[1:]] == [2.0, 2.0]
    assert [arguments[0][-2:] for _, arguments, _ in ray.started[1:]] == [
        [str(folder.path), "0"],
        [str(folder.path), "1"],
    ]
    assert "The node was lost" in folder.instance_state(0).read_text()
    assert not folder.instance_state(1).exists()  # its keeper tells
    assert len(ray.removed) == 1


def test_it_says_how_it_is_used(capsys: Any) -> None:
    assert main([]) == 2
    assert "usage: python -m qjob.engines.ray.spread FOLDER" in capsys.readouterr().err
