# tries: to watch what the host does with the programs that both see: watches on a folder of the system are told of everyone
#        who opens a file there (the host opens one all the time)
# escape: it is told
# control: outside
import ctypes
import fcntl
import os
import select
import signal
import time

from attack import note, show, syscall

INOTIFY_INIT1, INOTIFY_ADD_WATCH, IN_OPEN, DN_ACCESS, DN_MULTISHOT = 294, 254, 0x20, 1, 0x80000000
told = []


def watch():
    watches = syscall(INOTIFY_INIT1, 0)
    syscall(INOTIFY_ADD_WATCH, watches, ctypes.c_char_p(b"/usr/bin"), IN_OPEN)
    if select.select([watches], [], [], 0.7)[0]:
        told.append(os.read(watches, 4096)[16:40])


def notify():
    signal.signal(signal.SIGIO, lambda *_: told.append("F_NOTIFY"))
    folder = os.open("/usr/bin", os.O_RDONLY)
    fcntl.fcntl(folder, fcntl.F_NOTIFY, DN_ACCESS | DN_MULTISHOT)
    time.sleep(0.7)


show("inotify", watch)
show("F_NOTIFY", notify)
show("lease", lambda: fcntl.fcntl(os.open("/usr/bin/env", os.O_RDONLY), 1024, fcntl.F_RDLCK))
note(f"told of {len(told)}")
if told:
    print("ESCAPED the host was seen:", told[:3])
