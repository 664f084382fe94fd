# tries: to lift its own limits, those of its parent and of process 1, and to drop its niceness
# escape: a hard limit goes up, or another's can be set
# control: outside
# needs: root
import os
import resource

from attack import must_fail, note, targets

for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_CORE", "RLIMIT_MEMLOCK",
             "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_MSGQUEUE", "RLIMIT_RTPRIO", "RLIMIT_NICE"):  # fmt: skip
    number = getattr(resource, name)
    hard = resource.getrlimit(number)[1]
    if hard == resource.RLIM_INFINITY:
        note(f"{name} is unlimited already")
        continue
    must_fail(name, lambda number=number, hard=hard: resource.setrlimit(number, (hard + 1, hard + 1)))


def set_as_it_is(pid):
    resource.prlimit(pid, resource.RLIMIT_CORE, resource.prlimit(pid, resource.RLIMIT_CORE))


for pid in {1, os.getppid(), targets["victim"]} - {os.getpid()}:
    must_fail(f"prlimit {pid}", lambda pid=pid: set_as_it_is(pid))
must_fail("nice", lambda: os.nice(-5))
must_fail("round robin", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10)))
