# tries: to be neither running nor dead: stops itself, and its children too
# escape: the run does not end by its limit
# outcome: time
# limits: cpu=1 wall=2
# control: none: outside nobody has a limit
import os
import signal

from attack import note

note("stop self")
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
