# tries: to stay behind: a grandchild in a session of its own, all files closed, that knocks on the host for ever
# escape: the grandchild outlives the run
# control: none: outside it would stay behind
import os
import time

from attack import note

note("daemon")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(64):
            try:
                os.close(fd)
            except OSError:
                continue
        end = time.monotonic() + 60
        while time.monotonic() < end:
            time.sleep(0.1)
    os._exit(0)
os.wait()
