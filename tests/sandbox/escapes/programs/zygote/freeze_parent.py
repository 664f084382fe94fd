# tries: to stop, starve and trace the process that started it, through each way that leads to it
# escape: a following run gets no answer, or a way is open
# outcome: exited signalled time
# control: none: outside this would stop the tests
import os
import resource
import signal

from attack import note

parent = os.getppid()
note(f"parent {parent}")
WAYS = {
    "priority": lambda: os.setpriority(os.PRIO_PROCESS, parent, 19),
    "files": lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, 3)),
    "processes": lambda: resource.prlimit(parent, resource.RLIMIT_NPROC, (0, 0)),
    "processor": lambda: os.sched_setaffinity(parent, {0}),
    "group": lambda: os.setpgid(parent, 0),
    "memory": lambda: os.close(os.open(f"/proc/{parent}/mem", os.O_RDWR)),
    "killed first": lambda: os.close(os.open(f"/proc/{parent}/oom_score_adj", os.O_WRONLY)),
    "stop": lambda: os.kill(parent, signal.SIGSTOP),
    "kill": lambda: os.kill(parent, signal.SIGKILL),
}
for name, way in WAYS.items():
    try:
        way()
        note(f"{name}: open")
    except OSError as error:
        note(f"{name}: {error}")
