# tries: to kill its parent, its process group and its session
# escape: a process of the host ends, or a run beside it
# outcome: exited signalled
# control: none: outside this would end the tests
import os
import signal

from attack import note, targets

note("kill parent")
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for pid in {os.getppid(), targets["parent"], -targets["parent_group"]} - {os.getpid(), 0}:
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL):
        try:
            os.kill(pid, number)
            note(f"{pid} {number.name}: sent")
        except OSError as error:
            note(f"{pid} {number.name}: {error}")
os.killpg(0, signal.SIGKILL)
