# tries: to outlive its run inside of the machinery, and to meddle with the next run from there
# escape: the next run sees a process that is not its own
# outcome: exited signalled
# control: none: outside it would stay behind
import os
import signal
import time

from attack import note

note("leave child")
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for pid in range(2, 60):
                if pid != os.getpid():
                    try:
                        os.kill(pid, signal.SIGUSR1)
                    except OSError:
                        continue
            time.sleep(0.02)
        os._exit(0)
