# tries: to dead-lock the host: reads none of its large input while it fills its output
# escape: the run does not end by its limit
# outcome: output exited
# input: 8000000
# control: none: outside nobody has a limit
import os
import sys

print("TRIED not to read", flush=True)
for _ in range(64):
    os.write(1, b"x" * 65536)
sys.exit(0)
