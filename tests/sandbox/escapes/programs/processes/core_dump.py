# tries: to leave a core file, by way of a crash with its limits raised
# escape: a core file appears on the host
# outcome: signalled
# control: none: where the core would go is the machine's setting
import os
import resource

from attack import note, show, syscall

hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
show("core limit", lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
show("dumpable", lambda: syscall(157, 4, 1, 0, 0, 0))
note("abort")
os.abort()
