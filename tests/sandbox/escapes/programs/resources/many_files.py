# tries: to fill the disk with small files: each costs a node, its contents nothing
# escape: it gets four hundred thousand, whose nodes are more than the memory limit
# outcome: exited time memory signalled
# control: mild 100
import os

from attack import note, rounds

note("many files")
count = 0
for folder in (".", "/tmp", "/dev/shm"):
    try:
        while count < min(rounds, 400_000):
            os.close(os.open(f"{folder}/{count}" + "n" * 200, os.O_CREAT | os.O_WRONLY))
            count += 1
            if count % 10_000 == 0:
                note(f"{count} files")
    except OSError as error:
        note(f"{count} files: {error}")
if count >= 400_000:
    print("ESCAPED", count, "files")
