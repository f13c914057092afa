"""Print BENCH_LINES times what time it is, one line every 20 ms (1 ms in a smoke test), once somebody listens."""

import os
import time

_PAUSE_S = 0.001 if "BENCH_SMOKE_TEST" in os.environ else 0.02

print("ready")
while not os.path.exists(os.environ["BENCH_OUT"]):
    time.sleep(0.005)
for _ in range(int(os.environ["BENCH_LINES"])):
    print(time.time())
    time.sleep(_PAUSE_S)
