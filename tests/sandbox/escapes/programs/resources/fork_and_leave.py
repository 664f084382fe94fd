# tries: to be faster than the killer: each process forks its successor and ends, so that none lives long
# escape: a process outlives the run
# outcome: exited time signalled
# control: none: outside it would go on for ever
# limits: wall=2 processes=16
import os
import time

from attack import note, show

note("fork and leave")
show("session", os.setsid)
end = time.monotonic() + 60
while time.monotonic() < end:
    try:
        if os.fork():
            os._exit(0)
    except OSError:
        time.sleep(0.001)
