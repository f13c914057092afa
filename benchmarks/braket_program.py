"""Started by `peer_braket` with the Python that has amazon-braket-sdk: parses a log for each line of its input.

Says one line when it is up. A line is ``{"log": ..., "metric_type": ..., "table": ...}``: the log is parsed, its table
is written as JSON to the file ``table``, and the answer is the seconds that the parsing took. Everything said is JSON.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from importlib import import_module
from typing import Any

_PARSER = "braket.jobs.metrics_data"


def main() -> None:
    """Answer until the input ends."""
    definitions: Any = import_module(f"{_PARSER}.definitions")
    parser_of: Any = import_module(f"{_PARSER}.log_metrics_parser").LogMetricsParser
    print(json.dumps("up"), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        gc.collect()
        started = time.monotonic()
        parser = parser_of()
        with open(asked["log"]) as file:
            for message in file:
                parser.parse_log_message("0", message)
        found = parser.get_parsed_metrics(definitions.MetricType(asked["metric_type"]), definitions.MetricStatistic.MAX)
        took_s = time.monotonic() - started
        with open(asked["table"], "w") as out:
            json.dump(found, out)
        print(json.dumps(took_s), flush=True)


if __name__ == "__main__":
    main()
