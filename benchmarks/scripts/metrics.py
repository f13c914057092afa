"""Log BENCH_LINES values of a metric."""

import os

from qjob.model.metric_line import metric_line

for _number in range(int(os.environ["BENCH_LINES"])):
    print(metric_line("loss", 1 / (1 + _number), timestamp=1.7e9 + _number, iteration_number=_number))
