"""Print where the time of a small job goes, from submit() to result(): ``python benchmarks/where_time_goes.py``.

The dispatcher is at work already. The moments come from the clocks of three processes of one machine: from
objects that are handed to the service and note when it uses them, from the job's folder, and from a look at
the local engine's queue at each change of it. Shown are medians over some jobs, in the order of time: what
stands one below the other may have happened in two processes at once.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from qjob.app import EngineCatalogue
from qjob.config import Settings, load_settings, prepare_home
from qjob.engines.local.queue import Queue
from qjob.engines.local.state import LocalState
from qjob.folder import JobFolder
from qjob.logs import TimeIndex
from qjob.model.record import JobRecord
from qjob.model.spec import JobSpec
from qjob.request import Request, prepare
from qjob.service import Service
from qjob.store.store import Store
from qjob.watch import FolderWatch
from room import SCRIPTS, clean_room, fresh_home

_SCRIPT = SCRIPTS / "moments.py"
_LOOK_S = 0.2
_START = "submit() is called"
_FIRST_OUTPUT = "the log: its first output has come"

Note = Callable[..., None]
"""Called with what happens, and when if that is not now."""


class Timeline:
    """What happened when, in seconds since 1970; of what happens twice, the first time."""

    def __init__(self) -> None:
        self.moments: dict[str, float] = {}

    def note(self, what: str, at: float | None = None) -> None:
        """Note that something happens now, or did at another time."""
        self.moments.setdefault(what, time.time() if at is None else at)


class NotingStore(Store):
    """A store that notes when the job comes on record."""

    def __init__(self, settings: Settings, note: Note) -> None:
        super().__init__(settings.index_file, settings.jobs)
        self._note = note

    def insert(self, record: JobRecord) -> bool:
        """Put a new job on record."""
        self._note("submit(): the folder is written")
        done = super().insert(record)
        self._note("submit(): it is on record")
        return done


@dataclass(frozen=True)
class NotingEngine:
    """An engine that notes when it takes the job; all else is the engine's own."""

    engine: Any
    note: Note

    def submit(self, folder: JobFolder, spec: JobSpec) -> str:
        """Take the job."""
        self.note("submit(): the engine is called")
        ref: str = self.engine.submit(folder, spec)
        self.note("submit(): it is in the queue, the dispatcher was rung for")
        return ref

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)


def main(arguments: Sequence[str]) -> int:
    """Run a few jobs one after the other and print the medians of their timelines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=15, help="how many; default: 15")
    jobs = parser.parse_args(arguments).jobs
    timeline = Timeline()
    with clean_room() as root, fresh_home(root):
        service = _service(timeline.note)
        found = [_one_job(service, timeline) for _ in range(3 + jobs)]
    print(_table(found[3:]))
    return 0


def _service(note: Note) -> Service:
    settings = load_settings()
    prepare_home(settings)
    engines = EngineCatalogue(settings)

    def engine_of(name: str) -> Any:
        return NotingEngine(engines(name), note)

    return Service(store=NotingStore(settings, note), engine_of=engine_of, jobs=settings.jobs)


def _one_job(service: Service, timeline: Timeline) -> Mapping[str, float]:
    """Run a job; return its moments in seconds after the call of submit()."""
    timeline.moments.clear()
    state = LocalState(load_settings().local_state)
    with _watched(state, timeline.note):
        timeline.note(_START)
        prepare_home(load_settings())
        timeline.note("submit(): the settings are read")
        submission = prepare(Request(source=_SCRIPT))
        timeline.note("submit(): the request is looked at")
        job_id = service.submit(submission).id
        timeline.note("submit() is back")
        service.wait(job_id)
        service.result(job_id)
        timeline.note("result() is back")
    _note_folder(service.folder(job_id), timeline.note)
    start = timeline.moments[_START]
    return {what: at - start for what, at in timeline.moments.items()}


@contextmanager
def _watched(state: LocalState, note: Note) -> Iterator[None]:
    """Note what the dispatcher does with the next job, in a thread that looks at each change of the queue."""
    if not state.queue.exists():
        yield
        return
    queue, over = Queue(state.queue, durable=False), threading.Event()
    known = {job.id for job in queue.in_state("running")}
    thread = threading.Thread(target=_watch, args=(state.path, queue, known, over, note))
    thread.start()
    yield
    over.set()
    thread.join()
    queue.close()


def _watch(path: Path, queue: Queue, known: set[str], over: threading.Event, note: Note) -> None:
    with FolderWatch([path]) as watch:
        while not over.is_set():
            watch.wait(_LOOK_S)
            for job in queue.in_state("running"):
                if job.id not in known:
                    note("dispatcher: has claimed it")
                if job.id not in known and job.pid is not None:
                    note("dispatcher: has forked its runner")


def _note_folder(folder: JobFolder, note: Note) -> None:
    for event in folder.read_events():
        note(f"runner: event {event.type}", event.time.timestamp())
    for _, at in TimeIndex(folder.log_index(0)).times():
        note(_FIRST_OUTPUT, at)
    first, last = folder.log(0).read_text().split()
    note("script: first line", float(first))
    note("script: the interpreter begins to leave", float(last))
    outcome = folder.read_outcome()
    if outcome is not None:
        note("runner: every process of the job has ended", outcome.ended_at.timestamp())
        note("runner: outcome.json is written (the file's time)", folder.outcome.stat().st_mtime)


def _table(found: Sequence[Mapping[str, float]]) -> str:
    moments = {what: median(times[what] for times in found if what in times) for what in found[0]}
    rows = []
    before = 0.0
    for what, at in sorted(moments.items(), key=lambda item: item[1]):
        rows.append(f"{at * 1000:8.1f} {(at - before) * 1000:+8.1f}  {what}")
        before = at
    return "\n".join([f"{'ms':>8} {'':>8}  medians of {len(found)} jobs", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
