# tries: to hold as many open files as it can, in several processes, so that others find none
# escape: the host, or a run beside it, cannot open files (asserted by the honest runs)
# outcome: exited time
# control: none: the honest runs beside it are the measure
import os
import time

from attack import note

children = 0
try:
    for _ in range(6):
        if os.fork() == 0:
            break
        children += 1
except OSError as error:
    note(f"fork: {error}")
held = []
try:
    while len(held) < 200_000:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    note(f"{len(held)} held: {error}")
time.sleep(0.5)
