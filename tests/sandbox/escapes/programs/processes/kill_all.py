# tries: to kill everything that it may, from a child too, with those that the kernel lets nobody catch
# escape: a process of the host ends, or a run beside it
# outcome: exited signalled
# control: none: outside this would end the machine
import os
import signal
import time

from attack import note

note("kill all")
if os.fork() == 0:
    time.sleep(5)
    os._exit(0)
child = os.fork()
for number in (signal.SIGCONT, signal.SIGTERM, signal.SIGKILL):
    try:
        os.kill(-1, number)
        note(f"{number.name}: sent")
    except OSError as error:
        note(f"{number.name}: {error}")
