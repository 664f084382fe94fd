# tries: to end in a way that a waiting parent takes for something else: a stop, a go-on, an exec, a vanished leader
# escape: the host sees anything else than an exit with 9
# outcome: exited
# exit: 9
# control: none: it is no attack where nobody waits
import os
import signal
import sys

from attack import note

note("odd endings")
if os.fork() == 0:
    os.kill(os.getppid(), signal.SIGCONT)
    os._exit(0)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", "import os; os._exit(9)"])
