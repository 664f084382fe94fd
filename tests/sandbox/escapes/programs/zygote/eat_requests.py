# tries: to swallow the requests of the runs that follow: reads every open file, then shuts and closes it
# escape: a request of another run is in the output, or a following run gets no answer
# outcome: exited time
# control: none: outside there is no protocol
import os
import select
import time

from attack import note

note("eat")
end = time.monotonic() + 0.7
while time.monotonic() < end:
    for fd in range(3, 256):
        try:
            if select.select([fd], [], [], 0)[0]:
                os.set_blocking(fd, False)
                data = os.read(fd, 1 << 20)
                if data:
                    print("ESCAPED", fd, data[:200])
        except (OSError, ValueError):
            continue
    time.sleep(0.02)
os.closerange(3, 256)
