# tries: to fill the host's memory with output and errors from several processes at once, in sessions of their own
# escape: the host keeps more than the limit, or the run does not end
# outcome: output time
# control: none: flood_output.py has the control
# limits: cpu=1 wall=2 output=65536
import os

from attack import note

note("flood by a family")
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while True:
            try:
                os.write(1, b"x" * 4096)
                os.write(2, b"y" * 4096)
            except OSError:
                os._exit(0)
os.wait()
