"""Metrics: the line that is printed, and what is read from a log."""

from __future__ import annotations

from math import inf, nan

from conformance.rows import Table, differs, raises, same

_WHOLE_NAME = "a metric keeps its whole name; Braket reads the last word only, so that two metrics may become one"

WRITTEN = Table(
    title="Metric lines, written",
    about="`printed()` is what has been printed.",
    rows=(
        same("log_metric('energy', -1.1, 1700000000.5); printed()", "Metrics - timestamp=1700000000.5; energy=-1.1;\n"),
        same(
            "log_metric('energy', -1.1, 1700000000.5, 3); printed()",
            "Metrics - timestamp=1700000000.5; energy=-1.1; iteration_number=3;\n",
        ),
        same("log_metric('e', 2, 1, 0); printed()", "Metrics - timestamp=1; e=2; iteration_number=0;\n"),
        same("log_metric('e', nan, 1); printed()", "Metrics - timestamp=1; e=nan;\n"),
        same("log_metric('e', -inf, 1); printed()", "Metrics - timestamp=1; e=-inf;\n"),
        same("log_metric('e', True, 1); printed()", "Metrics - timestamp=1; e=True;\n"),
        same("log_metric('e', None, 1); printed()", "Metrics - timestamp=1; e=None;\n"),
        same("log_metric('e', 1 + 2j, 1); printed()", "Metrics - timestamp=1; e=(1+2j);\n"),
        same("log_metric('loss/train', 1, 1); printed()", "Metrics - timestamp=1; loss/train=1;\n"),
        same("log_metric('val acc', 1, 1); printed()", "Metrics - timestamp=1; val acc=1;\n"),
        same("log_metric(metric_name='e', value=1, timestamp=2); printed()", "Metrics - timestamp=2; e=1;\n"),
        differs(
            "log_metric('e', 1, timestamp=0); printed() == 'Metrics - timestamp=0; e=1;\\n'",
            ours=True,
            published=False,
            why="the time 0 is a time; Braket takes it for none given, and writes the current one",
        ),
        differs(
            "log_metric('a=b', 1, 1); printed()",
            ours=raises("ValueError"),
            published="Metrics - timestamp=1; a=b=1;\n",
            why="a name with = or ; in it cannot be read from the line again; Braket prints it, and the value is lost",
        ),
        differs(
            "log_metric('', 1, 1); printed()",
            ours=raises("ValueError"),
            published="Metrics - timestamp=1; =1;\n",
            why="a value without a name cannot be read again; Braket prints it, and the value is lost",
        ),
    ),
)

READ = Table(
    title="Metric lines, read",
    about="`read(...)` is `metrics()` of a log with these lines.",
    rows=(
        same("read('Metrics - timestamp=1.5; energy=-1.1;')", {"timestamp": [1.5], "energy": [-1.1]}),
        same(
            "read('Metrics - timestamp=1; energy=-1.1; iteration_number=3;')",
            {"timestamp": [1.0], "energy": [-1.1], "iteration_number": [3.0]},
        ),
        same("read('Metrics - timestamp=1; x=1; y=2; x=3;')", {"timestamp": [1.0], "x": [3.0], "y": [2.0]}),
        same(
            "read('Metrics - timestamp=1; a=1_000; b= 2 ; c=1e3; d=inf;')",
            {"timestamp": [1.0], "a": [1000.0], "b": [2.0], "c": [1000.0], "d": [inf]},
        ),
        same(
            "read('Metrics - timestamp=1; a=0x10; b=1,5; c=2 . 0; d= ; e=None; f=True; g=[1.]; h=1;')",
            {"timestamp": [1.0], "h": [1.0]},
        ),
        same("read('Metrics - timestamp=1; x=nan;')", {"timestamp": [1.0], "x": [nan]}),
        same("read('Metrics - timestamp=1; größe=2;')", {"timestamp": [1.0], "größe": [2.0]}),
        same("read('Metrics - timestamp=1; x=1; y=2')", {"timestamp": [1.0], "x": [1.0]}),
        same("read('Metrics - energy=2;')", {"energy": [2.0], "timestamp": [1600000000.0]}),
        same("read('E=5; Metrics - timestamp=1; x=2;')", {"E": [5.0], "timestamp": [1.0], "x": [2.0]}),
        same("read('INFO Metrics - timestamp=1; x=2; and so on')", {"timestamp": [1.0], "x": [2.0]}),
        same("read('Metrics - epoch 3: x=2; timestamp=1;')", {"x": [2.0], "timestamp": [1.0]}),
        same("read('Metrics - ')", {}),
        same("read('x=1;', 'Metrics: x=1;', 'metrics - x=1;')", {}),
        same(
            "read('[1,mpirank:4,algo-1]<stdout>:Metrics - timestamp=1; x=2;')",
            {"timestamp": [1.0], "x": [2.0], "node_id": ["1,mpirank:4,algo-1"]},
        ),
        same(
            "read('[a]Metrics - timestamp=1; node_id=3;', 'Metrics - timestamp=1; x=2;')",
            {"timestamp": [1.0, 1.0], "node_id": ["a", None], "x": [None, 2.0]},
        ),
        differs(
            "read('Metrics - timestamp=1; train/loss=1;', 'Metrics - timestamp=1; val-loss=3;')",
            ours={"timestamp": [1.0], "train/loss": [1.0], "val-loss": [3.0]},
            published={"timestamp": [1.0], "loss": [3.0]},
            why=_WHOLE_NAME,
        ),
        differs(
            "read('Metrics - timestamp=1; val acc=1;')",
            ours={"timestamp": [1.0], "val acc": [1.0]},
            published={"timestamp": [1.0], "acc": [1.0]},
            why=_WHOLE_NAME,
        ),
        differs(
            "read('Metrics - timestamp=1; acc(%)=1;')",
            ours={"timestamp": [1.0], "acc(%)": [1.0]},
            published={"timestamp": [1.0]},
            why="a name may end in any character; Braket does not see such a metric at all",
        ),
        differs(
            "read(' 50%|##  | loss=0.5]Metrics - timestamp=1; x=2;')",
            ours={"timestamp": [1.0], "x": [2.0]},
            published={"x": [2.0], "timestamp": [1600000000.0]},
            why="what stands before the tag ends there; with Braket a progress bar on the line costs it its time",
        ),
    ),
)

_SAME_ROW = "'Metrics - timestamp=3; x={0}; iteration_number=1;', 'Metrics - timestamp=2; x={1}; iteration_number=1;'"

PIVOT = Table(
    title="Metrics that share a row",
    about="`read(...)` is `metrics()` of a log with these lines, `by` its metric type and `keep` its statistic.",
    rows=(
        same(
            "read('Metrics - timestamp=1; x=1; iteration_number=0;', 'Metrics - timestamp=2; y=2; iteration_number=0;',"
            " by='ITERATION_NUMBER')",
            {"timestamp": [2.0], "x": [1.0], "iteration_number": [0.0], "y": [2.0]},
        ),
        same(
            "read('Metrics - timestamp=1; x=1;', 'Metrics - timestamp=2; y=2; iteration_number=0;',"
            " by='ITERATION_NUMBER')",
            {"timestamp": [2.0], "y": [2.0], "iteration_number": [0.0]},
        ),
        same(
            f"read({_SAME_ROW.format(4, -3)}, by='ITERATION_NUMBER', keep='MAX')",
            {"timestamp": [3.0], "x": [4.0], "iteration_number": [1.0]},
        ),
        same(
            f"read({_SAME_ROW.format(4, -3)}, by='ITERATION_NUMBER', keep='MIN')",
            {"timestamp": [2.0], "x": [-3.0], "iteration_number": [1.0]},
        ),
        same(
            "read('[a]Metrics - timestamp=1; x=1;', '[b]Metrics - timestamp=1; x=2;', 'Metrics - timestamp=1; x=3;')",
            {"timestamp": [1.0, 1.0, 1.0], "x": [1.0, 2.0, 3.0], "node_id": ["a", "b", None]},
        ),
        same(
            "read('Metrics - timestamp=nan; x=1;', 'Metrics - timestamp=nan; x=2;')",
            {"timestamp": [nan, nan], "x": [1.0, 2.0]},
        ),
        same(
            f"read({_SAME_ROW.format('inf', '-inf')}, by='ITERATION_NUMBER')",
            {"timestamp": [3.0], "x": [inf], "iteration_number": [1.0]},
        ),
        differs(
            f"read({_SAME_ROW.format('nan', 2)}, by='ITERATION_NUMBER')",
            ours={"timestamp": [3.0], "x": [2.0], "iteration_number": [1.0]},
            published={"timestamp": [3.0], "x": [nan], "iteration_number": [1.0]},
            why="a number is kept rather than NaN; with Braket it depends on which of them came first",
        ),
        differs(
            f"read({_SAME_ROW.format(4, -3)}, by='ITERATION_NUMBER', keep='LAST')",
            ours={"timestamp": [2.0], "x": [-3.0], "iteration_number": [1.0]},
            published=raises("KeyError"),
            why="LAST, MEAN and COUNT are ours; Braket has MIN and MAX",
        ),
        differs(
            f"read({_SAME_ROW.format(4, -3)}, by='ITERATION_NUMBER', keep='MEAN')",
            ours={"timestamp": [2.0], "x": [0.5], "iteration_number": [1.0]},
            published=raises("KeyError"),
            why="LAST, MEAN and COUNT are ours; Braket has MIN and MAX",
        ),
    ),
)
