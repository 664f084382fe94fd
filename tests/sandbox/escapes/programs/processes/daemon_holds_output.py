# tries: to keep the host waiting: a child stays behind with the output's pipe open, so that it never ends
# escape: the run does not end
# outcome: exited time
# control: none: outside it would stay behind
import os
import time

from attack import note

note("holds the output open")
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
os._exit(0)
