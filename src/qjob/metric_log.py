"""MetricLog: the metric lines of a job, whoever of its instances reports them. MetricMemory: tables to go on with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from qjob.folder import JobFolder
from qjob.logs import LogReader
from qjob.metric_file import MetricFeed
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metric_reader import MetricLines, read_metric_lines
from qjob.model.metric_series import Bucket, MetricSeries, Summary, buckets_of_metric, series_of, summary_of
from qjob.model.metrics import MetricsParser

_Question = tuple[str, MetricType, MetricStatistic]
"""Of which job, over what, and what is kept of several values."""
_MOST_TABLES = 8
_BUCKETS_PER_POINT = 4


class MetricLog:
    """Reads on from where it was, however often it is asked; what it holds does not grow with the log.

    The lines of a job with one instance are parsed once, by whoever reads them first (`qjob.metric_file`). Those
    of several instances have their order from the times in all their indexes, and are parsed each time.
    """

    def __init__(self, folder: JobFolder, instances: Sequence[int]) -> None:
        self._folder = folder
        self._instances = instances
        self._feed = MetricFeed(folder, instances[0]) if len(instances) == 1 else None
        self._reader = LogReader(folder, instances)

    @property
    def goes_on(self) -> bool:
        """Whether what was read is still what anybody reads from the beginning, who then may go on from here."""
        return self._feed is not None and self._feed.certain and self._feed.goes_on()

    def read(self, *, final: bool) -> Iterator[MetricLines]:
        """Yield the metric lines that have come since the last call.

        An unfinished line waits for the rest of it, unless this is the ``final`` call.
        """
        if self._feed is not None:
            return self._feed.read(final=final)
        blocks = self._reader.blocks(final=final)
        return chain.from_iterable(read_metric_lines(data, time_of) for data, time_of in blocks)

    def series(self, name: str, points: int, *, final: bool) -> list[MetricSeries]:
        """Return a metric in at most so many points, for each node that reports it; from the log's beginning on.

        What was parsed before is read from a summary of it, unless that is too coarse for so many points.
        """
        log = MetricLog(self._folder, self._instances)
        found = _of_metric(name, log._summaries(final=final))
        if any(_is_coarse(buckets, points) for buckets in found.values()):
            log = MetricLog(self._folder, self._instances)
            share = _share(found, points)
            found = _of_metric(name, (buckets_of_metric(lines, name, share) for lines in log.read(final=final)))
        return [series_of(key, buckets, points) for key, buckets in found.items()]

    def _summaries(self, *, final: bool) -> Iterator[Summary]:
        if self._feed is not None:
            return self._feed.summaries(final=final)
        return (summary_of(lines) for lines in self.read(final=final))


def _of_metric(name: str, summaries: Iterable[Summary]) -> Summary:
    found: Summary = {}
    for summary in summaries:
        for key, buckets in summary.items():
            if key[0] == name:
                found.setdefault(key, []).extend(buckets)
    return found


def _is_coarse(buckets: Sequence[Bucket], points: int) -> bool:
    return len(buckets) < points and any(bucket.size > 1 for bucket in buckets)


def _share(found: Summary, points: int) -> float:
    """Return how many buckets per value are enough for the metric's points, whichever node it is of."""
    fewest = min(sum(bucket.size for bucket in buckets) for buckets in found.values())
    return min(1.0, _BUCKETS_PER_POINT * points / fewest)


class MetricMemory:
    """Tables that were asked for, each with the log that it was made of, read to where that ended.

    Bounded by their cells; the oldest goes first. A table is in the hands of one caller at a time.
    """

    def __init__(self, most_cells: int = 4_000_000) -> None:
        """Remember nothing yet; ``most_cells`` bounds all tables together, 32 bytes each."""
        self._most_cells = most_cells
        self._tables: dict[_Question, tuple[MetricLog, MetricsParser]] = {}

    def take(self, question: _Question) -> tuple[MetricLog, MetricsParser] | None:
        """Return a table to go on with, and forget it; None when there is none, or the log is another one."""
        table = self._tables.pop(question, None)
        return table if table is not None and table[0].goes_on else None

    def put(self, question: _Question, log: MetricLog, parser: MetricsParser) -> None:
        """Remember a table, if whoever reads the log from its beginning would get the same."""
        if not log.goes_on or parser.cells > self._most_cells:
            return
        self._tables[question] = (log, parser)
        cells = sum(kept.cells for _, kept in self._tables.values())
        while len(self._tables) > _MOST_TABLES or cells > self._most_cells:
            _, oldest = self._tables.pop(next(iter(self._tables)))
            cells -= oldest.cells
