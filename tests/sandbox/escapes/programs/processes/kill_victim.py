# tries: to kill a process of the host by its number, and its neighbours in the table
# escape: the host's process ends
# control: none: the neighbours' numbers may belong to anybody; kill_victim.cpp has the control
import os
import signal

from attack import note, targets

for pid in range(targets["victim"] - 3, targets["victim"] + 4):
    if pid == os.getpid():
        continue
    try:
        os.kill(pid, signal.SIGKILL)
        note(f"{pid}: sent")
    except OSError as error:
        note(f"{pid}: {error}")
