# tries: to fork without end
# escape: the host sees more processes than the limit, or a run beside it suffers
# outcome: exited time signalled
# control: mild 4
# limits: wall=2 processes=16
import os
import sys
import time

from attack import note, rounds

note("fork bomb")
generation = 0
while generation < rounds:
    try:
        if os.fork():
            generation += 1
        elif rounds < 100:
            os._exit(0)
    except OSError as error:
        note(f"refused: {error}")
        time.sleep(0.01)
if rounds < 100:
    sys.exit(0)
