# tries: to take memory without end, and use it
# escape: it gets more than the limit
# outcome: memory exited signalled
# control: mild 16
from attack import note, rounds

note("heap")
held = []
try:
    while len(held) < rounds:
        held.append(bytearray(b"x") * (4 << 20))
        if len(held) > 100:
            print("ESCAPED", 4 * len(held), "MiB", flush=True)
            break
except MemoryError:
    note(f"{4 * len(held)} MiB")
