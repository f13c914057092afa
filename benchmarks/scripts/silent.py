"""Print one line, and then nothing until somebody cancels the job."""

import time

print("ready", flush=True)
time.sleep(3600)
