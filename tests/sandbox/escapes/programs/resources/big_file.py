# tries: to fill the disk with one file, past SIGXFSZ
# escape: the file grows past the limit on files
# outcome: exited signalled memory output
# control: mild 4
# limits: file=8388608
import os
import signal

from attack import note, rounds

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
note("big file")
size = 0
try:
    with open("big", "wb", buffering=0) as file:
        while size < min(rounds, 64):
            file.write(b"x" * (1 << 20))
            size += 1
except OSError as error:
    note(f"{size} MiB: {error}")
if os.path.getsize("big") > 16 << 20:
    print("ESCAPED", os.path.getsize("big"), "bytes")
