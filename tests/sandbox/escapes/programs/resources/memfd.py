# tries: to take memory as a file without a name, which no limit on address space sees
# escape: it gets more than the limit
# outcome: memory exited signalled output
# control: mild 16
import os

from attack import note, rounds

note("memfd")
block = b"x" * (1 << 20)
total = 0
try:
    while total < 400 and total < rounds:
        file = os.memfd_create("hoard")
        for _ in range(8):
            os.write(file, block)
            total += 1
except OSError as error:
    note(f"{total} MiB: {error}")
if total >= 400:
    print("ESCAPED", total, "MiB")
