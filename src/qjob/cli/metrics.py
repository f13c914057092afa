"""``qjob metrics``: the numbers that a job logs, as a table and as curves."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from qjob.cli.plot import Curve, curve_of, plot
from qjob.cli.render import json_text, metric_names, metrics_table, row_text
from qjob.cli.session import Session, pass_session
from qjob.cli.table import csv_text
from qjob.cli.terminal import Notices, console_of, is_unicode, out, print_table, screen_text, width
from qjob.cli.text import printable
from qjob.cli.values import JOB
from qjob.cli.waiting import follow, tell_end, write_all
from qjob.logs import LogPiece
from qjob.model.config import MetricStatistic, MetricType
from qjob.model.metrics import MetricsParser
from qjob.service import Service

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.text import Text

_Columns = Mapping[str, Sequence[Any]]

_TYPES = {"timestamp": MetricType.TIMESTAMP, "iteration": MetricType.ITERATION_NUMBER}
_STATISTICS = {statistic.name.lower(): statistic for statistic in MetricStatistic}
_ROWS_ON_TERMINAL = 20
_ROWS_LIVE = 5
_REDRAW_S = 0.5


@click.command()
@click.argument("job", type=JOB)
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--by",
    type=click.Choice(list(_TYPES)),
    default="timestamp",
    show_default=True,
    help="What makes a row: one time, or one iteration number.",
)
@click.option(
    "--statistic",
    type=click.Choice(list(_STATISTICS)),
    default="max",
    show_default=True,
    help="What is kept where a row has several values of one metric.",
)
@click.option(
    "-n",
    "--rows",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"The newest rows of the table only; default: {_ROWS_ON_TERMINAL} on a terminal, else all.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json has a list for each column, and null for what is not finite.",
)
@click.option("--plot/--no-plot", "plots", default=None, help="Plot each metric; default: on a terminal.")
@pass_session
def metrics(session: Session, /, job: str, following: bool, by: str, statistic: str, **shown: Any) -> None:
    """Print the metrics of a job, and plot them.

    They are what the job's script reports with log_metric. Each metric is plotted over its iteration numbers,
    or over the time where it has none. With -f on a terminal the picture is drawn anew as numbers come; where
    the output is piped, each row is written as soon as the next one has begun.

    \b
      qjob metrics vqe-1774965600000 --by iteration
      qjob metrics -f vqe-1774965600000
      qjob metrics vqe-1774965600000 --by iteration -o csv > energies.csv
    """
    job_id = session.service.resolve(job)
    kind, kept = _TYPES[by], _STATISTICS[statistic]
    if following:
        parser = MetricsParser(kind, kept)
        raise click.exceptions.Exit(_follow(session.service, job_id, parser, **shown))
    columns = session.service.metrics(job_id, kind, kept)
    with Notices() as notices:
        _print(columns, notices, **shown)


def _print(columns: _Columns, notices: Notices, rows: int | None, output: str, plots: bool | None) -> None:
    if output == "json":
        out(json_text(columns))
    elif not columns:
        notices.say("The job has logged no metrics.")
    elif output == "csv":
        out(csv_text(metrics_table(columns, rows)))
    else:
        columns, on_terminal = _printable(columns), sys.stdout.isatty()
        print_table(metrics_table(columns, rows or (_ROWS_ON_TERMINAL if on_terminal else None)))
        if plots or (plots is None and on_terminal):
            out("\n".join(["", "\n\n".join(_plots(columns))]))


def curves(columns: _Columns) -> Iterator[Curve]:
    """Yield a curve for each metric, and for each node where there are several."""
    if not columns:
        return
    nodes = columns.get("node_id") or [None] * len(columns["timestamp"])
    for name in metric_names(columns):
        for node in dict.fromkeys(nodes):
            chosen = [row for row, its in enumerate(nodes) if its == node and columns[name][row] is not None]
            if chosen:
                yield _curve(columns, name if node is None else f"{name} [{node}]", name, chosen)


def _printable(columns: _Columns) -> _Columns:
    """Return the columns with the names and tags, which a log may make up, such that they can be shown."""
    return {
        printable(name): [printable(cell) if isinstance(cell, str) else cell for cell in column]
        for name, column in columns.items()
    }


def _plots(columns: _Columns) -> list[str]:
    return ["\n".join(plot(each, width=width(), unicode=is_unicode(sys.stdout))) for each in curves(columns)]


def _curve(columns: _Columns, title: str, name: str, rows: Sequence[int]) -> Curve:
    label = "iteration_number"
    over: Sequence[Any] = columns.get(label) or [None] * len(columns[name])
    begin = 0.0
    if any(over[row] is None for row in rows):
        over, begin = columns["timestamp"], columns["timestamp"][rows[0]]
        label = "seconds"
    xs, ys = [over[row] - begin for row in rows], [columns[name][row] for row in rows]
    return curve_of(title, label, xs, ys)


def _follow(
    service: Service, job_id: str, parser: MetricsParser, rows: int | None, output: str, plots: bool | None
) -> int:
    """Show the metrics until the job has ended; return the exit code that tells how that was."""
    on_terminal = sys.stdout.isatty() and output == "table"
    display = _Picture(rows or _ROWS_LIVE, plots is not False) if on_terminal else _Rows(output)
    log = service.metric_log(job_id)

    def read(final: bool) -> Iterator[LogPiece]:
        for lines in log.read(final=final):
            parser.add(lines)
        display.update(parser.columns, final=final)
        yield from ()  # the pieces are not what is shown

    with Notices() as notices:
        with display:
            to_its_end = write_all(follow(service, job_id, read, notices), _ignore)
        return tell_end(service, job_id, notices, to_its_end=to_its_end)


class _Rows:
    """Writes each row once, when no more of it is to come: the next one has begun, or the job has ended."""

    def __init__(self, output: str) -> None:
        self._output = output
        self._written = 0
        self._header: list[str] = []

    def update(self, columns_now: Callable[[], _Columns], *, final: bool) -> None:
        columns = columns_now()
        count = len(next(iter(columns.values()), ()))
        for row in range(self._written, count if final else count - 1):
            self._write({name: [column[row]] for name, column in columns.items()})
            self._written = row + 1

    def _write(self, row: _Columns) -> None:
        if self._output == "table":
            out(row_text(_printable(row), 0))
        elif self._output == "json":
            out(json_text({name: value for name, (value,) in row.items() if value is not None}, indent=None))
        else:
            header, cells = csv_text(metrics_table(row)).split("\n")
            if self._header != [header]:
                out(header)
            self._header = [header]
            out(cells)

    def __enter__(self) -> _Rows:
        return self

    def __exit__(self, *_: object) -> None:
        return


class _Picture:
    """Draws the curves and the newest rows in place, as numbers come."""

    def __init__(self, rows: int, plots: bool) -> None:
        from rich.live import Live

        self._rows = rows
        self._plots = plots
        self._live = Live(
            console=console_of(sys.stdout), auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._drawn_at = 0.0

    def update(self, columns_now: Callable[[], _Columns], *, final: bool) -> None:
        """Draw, unless that was done a moment ago; not before there is something to draw."""
        if not final and time.monotonic() - self._drawn_at < _REDRAW_S:
            return
        columns = _printable(columns_now())
        if columns:
            self._drawn_at = time.monotonic()
            self._live.start()  # harmless to repeat
            self._live.update(self._drawing(columns), refresh=True)

    def _drawing(self, columns: _Columns) -> Text:
        from rich.text import Text

        parts = [screen_text(metrics_table(columns, self._rows))]
        if self._plots:
            parts += _plots(columns)
        return Text("\n\n".join(parts), no_wrap=True, overflow="crop")

    def __enter__(self) -> _Picture:
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


def _ignore(_: LogPiece) -> None:
    return
