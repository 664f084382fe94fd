# tries: to take more memory than the limit by sharing it out: eight children, each within the limit of a process
# escape: together they get more than half as much again as the limit
# outcome: memory exited signalled time
# control: mild 1
import os
import time

from attack import note, rounds

note("family memory")
SHARE = 100 << 20 if rounds > 100 else 10 << 20
read, write = os.pipe()
for _ in range(8):
    if os.fork() == 0:
        try:
            block = bytearray(SHARE)
            for at in range(0, SHARE, 4096):
                block[at] = 1
            os.write(write, b"x")
            time.sleep(1.5)
        except MemoryError:
            note("refused to one of them")
        os._exit(0)
os.close(write)
time.sleep(1)
alive = len(os.read(read, 100) or b"")
note(f"{alive} of 8 hold their share of {SHARE >> 20} MiB")
if alive * SHARE > 384 << 20:
    print("ESCAPED", alive * SHARE >> 20, "MiB together")
