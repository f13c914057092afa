"""``qjob sweep`` and ``qjob table``: many jobs over one script, and what came out of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from qjob.cli import axes
from qjob.cli.render import json_text
from qjob.cli.session import Session, pass_session
from qjob.cli.submit import job_options, request_of
from qjob.cli.sweep_text import failures_text, sweep_submitted_text, swept_table
from qjob.cli.sweeps import tell_counts, wait_for_sweep
from qjob.cli.table import csv_text
from qjob.cli.terminal import Notices, out, print_table, say
from qjob.cli.values import KEY_VALUE, SWEEP, to_mapping
from qjob.errors import InvalidInput
from qjob.model.points import RandomPoints
from qjob.sweep_request import prepare_sweep
from qjob.sweep_table import SweepTable, swept_jobs


@click.command()
@click.argument("script", type=click.Path())
@click.option(
    "--grid",
    type=KEY_VALUE,
    multiple=True,
    metavar="NAME=VALUES",
    help="A hyperparameter and its values: 1,2,3, or START:STOP:COUNT for evenly spread numbers, both ends included. "
    "Repeatable: every combination is a job.",
)
@click.option(
    "--random",
    "ranges",
    type=KEY_VALUE,
    multiple=True,
    metavar="NAME=RANGE",
    help="A hyperparameter drawn at random: LOW:HIGH, LOW:HIGH:log, or one of a,b,c. Repeatable; with --samples.",
)
@click.option("--samples", type=click.IntRange(min=1), help="How many points are drawn for --random.")
@click.option("--seed", type=int, help="The seed for --random: the same one gives the same points.  [default: 0]")
@click.option(
    "--points",
    "points_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a point a line: CSV with a line of names, or JSON objects.",
)
@click.option("--concurrency", type=click.IntRange(min=1), help="At most so many of its jobs run at a time.")
@click.option("--wait", "waits", is_flag=True, help="Wait until all of its jobs have ended.")
@job_options("copy_checkpoints_from")
@pass_session
def sweep(session: Session, /, script: str, quiet: bool, waits: bool, concurrency: int | None, **asked: Any) -> None:
    """Submit a job for each point of a grid, and print the sweep's id.

    SCRIPT is what `qjob submit` takes; it is stored once for all jobs. `qjob wait`, `cancel`, `resume`, `show` and
    `rm` take the sweep's id or name as they take a job's; `qjob table` shows what came out. The jobs are named
    after the sweep, NAME-0 and so on.

    \b
      qjob sweep vqe.py --grid theta=0:3.14:20 --grid seed=1,2,3 --name h2
      qjob wait h2 && qjob table h2 --sort energy
      qjob sweep qnn.py --random rate=1e-4:1e-1:log --random layers=1,2,4 --samples 50 --seed 7
    """
    grid = _points(asked)
    with Notices(quiet=quiet) as notices:
        submission = prepare_sweep(request_of(session, script, asked), grid, concurrency)
        record = session.service.sweeps.submit(submission)
        notices.say(sweep_submitted_text(record, submission.spec.engine))
        if not waits:
            out(record.id)
            return
        counts = wait_for_sweep(session.service, record.id, notices)
        code = tell_counts(record, counts, notices, quiet=False)
    raise click.exceptions.Exit(code)


@click.command()
@click.argument("sweep", type=SWEEP)
@click.option("--sort", "sort_by", metavar="COLUMN", help="Sort by a column: smallest first; -COLUMN: largest first.")
@click.option("-n", "--rows", type=click.IntRange(min=1), help="At most so many rows.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="For a person, or for a program.",
)
@pass_session
def table(session: Session, sweep: str, sort_by: str | None, rows: int | None, output: str) -> None:
    """Show what came out of a sweep: a row for each job.

    The columns are the hyperparameters that the sweep varies, the last value of each metric, and the results that
    are numbers or texts. A name that stands twice gets `metric.` or `result.` in front.

    \b
      qjob table h2 --sort energy -n 5
      qjob table h2 -o csv > h2.csv
    """
    jobs = swept_jobs(session.service, session.service.sweeps.resolve(sweep))
    found = SweepTable(jobs)
    shown = _sorted(found, sort_by)[:rows]
    if output == "json":
        out(json_text(shown))
    elif output == "csv":
        out(csv_text(swept_table(found.columns, shown)))
    else:
        print_table(swept_table(found.columns, shown))
        if failures := failures_text(jobs):
            say(failures, "red")


def _points(asked: dict[str, Any]) -> object:
    """Return the points that the options ask for; raises click.UsageError."""
    grid, ranges = asked.pop("grid"), asked.pop("ranges")
    samples, seed, file = asked.pop("samples"), asked.pop("seed"), asked.pop("points_file")
    if sum(map(bool, (grid, ranges, file))) != 1:
        raise click.UsageError("Say which points: --grid, or --random with --samples, or --points; one of the three.")
    if bool(ranges) != (samples is not None) or (seed is not None and not ranges):
        raise click.UsageError("--samples says how many points --random draws: give both. --seed goes with them.")
    if file is not None:
        return axes.points_in(file)
    if grid:
        to_mapping(grid, "--grid")
        return axes.axes(grid)
    drawn = {name: axes.random_range(name, text) for name, text in to_mapping(ranges, "--random").items()}
    return RandomPoints(drawn, samples=samples, seed=seed or 0)


def _sorted(table: SweepTable, sort_by: str | None) -> list[dict[str, Any]]:
    if sort_by is None:
        return list(table)
    descends = sort_by not in table.columns and sort_by.startswith("-")
    column = sort_by[1:] if descends else sort_by
    if column not in table.columns:
        raise InvalidInput(f"--sort {column}: there is no such column; there is {', '.join(table.columns)}.")
    with_value = [row for row in table if _order(row[column]) is not None]
    without = [row for row in table if _order(row[column]) is None]
    return sorted(with_value, key=lambda row: _order(row[column]) or (0, 0.0, ""), reverse=descends) + without


def _order(value: Any) -> tuple[int, float, str] | None:
    """Return what to sort a cell by, numbers before texts; None for one that stands at the end."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, int | float):
        return 0, value, ""
    return (1, 0.0, value) if isinstance(value, str) else None
