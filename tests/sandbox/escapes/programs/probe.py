"""An honest program: what a run finds in its interpreter and its folders, as JSON. Two fresh runs find the same."""

import builtins
import gc
import json
import os
import random
import resource
import signal
import sys
import threading

FOLDERS = ("/work", "/tmp", "/dev/shm", "/var/tmp", "/run", "/dev", "/home", "/root", "/")
files = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        files[fd] = os.readlink(f"/proc/self/fd/{fd}").split(":")[0]
    except OSError:
        continue
state = {
    "builtins": sorted(name for name in vars(builtins) if name != "_"),
    "len": [len([1, 2, 3]), json.loads("[1]"), type(len).__name__],
    "modules": sorted(sys.modules),
    "path": sys.path,
    "hooks": [
        str(type(hook)) for hook in (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile())
    ],
    "finders": [str(finder) for finder in sys.meta_path],
    "recursion": sys.getrecursionlimit(),
    "random": random.random is random._inst.random,
    "environment": dict(os.environ),
    "arguments": sys.argv,
    "mask": [os.umask(0o22), os.umask(0o22)],
    "signals": {number.name: str(signal.getsignal(number)) for number in signal.Signals},
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "limits": [resource.getrlimit(number) for number in range(16)],
    "folders": {folder: sorted(os.listdir(folder)) for folder in FOLDERS if os.path.isdir(folder)},
    "files": files,
    "processes": len([name for name in os.listdir("/proc") if name.isdigit()]),
    "user": [os.getuid(), os.geteuid(), os.getgid(), os.getgroups()],
    "cwd": os.getcwd(),
    "host": os.uname().nodename,
    "threads": threading.active_count(),
    "collector": gc.isenabled(),
    "priority": [os.nice(0), os.sched_getscheduler(0), sorted(os.sched_getaffinity(0))],
}
print(json.dumps(state))
