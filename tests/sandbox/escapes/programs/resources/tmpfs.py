# tries: to take memory, or the host's disk, as files in every folder that it may write
# escape: it gets more than the limit
# outcome: memory exited signalled output
# control: mild 16
import os

from attack import note, rounds

note("files")
block = b"x" * (1 << 20)
total = 0
for folder in (
    os.getcwd(),
    "/tmp",
    "/dev/shm",
    "/var/tmp",
    "/run",
    "/dev",
    "/home",
    "/root",
    os.environ.get("HOME", "/"),
):
    for number in range(1000):
        before = total
        try:
            with open(f"{folder}/hoard-{number}", "xb") as file:
                for _ in range(8):
                    file.write(block)
                    total += 1
        except OSError as error:
            if total == before:
                note(f"{folder}, {total} MiB in all: {error}")
                break
        if total >= min(400, rounds):
            break
if total >= 400:
    print("ESCAPED", total, "MiB")
