# tries: to freeze the machinery that started it, so that nobody ends its run: SIGSTOP to all, parent, 1, itself
# escape: the run does not end by its limit, or a run beside it hangs
# outcome: time signalled exited
# limits: cpu=1 wall=2
# control: none: outside this would freeze the tests
import os
import signal

from attack import note

for pid in (os.getppid(), 1, -1, 0, os.getpid()):
    if pid == 0:
        note("stop own group")
    try:
        os.kill(pid, signal.SIGSTOP)
        note(f"{pid}: sent")
    except OSError as error:
        note(f"{pid}: {error}")
