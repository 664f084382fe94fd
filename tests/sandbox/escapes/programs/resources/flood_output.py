# tries: to fill the host's memory with output
# escape: the host keeps more than the limit, or the run does not end
# outcome: output
# control: mild 4
# limits: output=65536
import os

from attack import note, rounds

note("flood")
for _ in range(rounds):
    os.write(1, b"x" * 8192)
