# tries: to start threads without end
# escape: the host sees more threads than the limit, or a run beside it suffers
# outcome: exited time memory signalled
# control: mild 4
# limits: wall=2 processes=16
import threading

from attack import note, rounds

note("thread bomb")
gate = threading.Event()
threads = []
try:
    while len(threads) < min(rounds, 100_000):
        threads.append(threading.Thread(target=gate.wait, daemon=True))
        threads[-1].start()
except (RuntimeError, MemoryError) as error:
    note(f"{len(threads)} started: {error}")
    if len(threads) > 200:
        print("ESCAPED", len(threads), "threads")
gate.set()
