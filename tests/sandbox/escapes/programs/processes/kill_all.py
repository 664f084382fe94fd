# tries: to kill everything that it may
# escape: a process of the host ends, or a run beside it
# outcome: exited signalled
# control: none: outside this would end the machine
import os
import signal

from attack import note

note("kill all")
os.kill(-1, signal.SIGCONT)
for number in (signal.SIGTERM, signal.SIGKILL):
    try:
        os.kill(-1, number)
        note(f"{number.name}: sent")
    except OSError as error:
        note(f"{number.name}: {error}")
