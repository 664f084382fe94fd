# tries: to outstay its time: ignores every signal that can be ignored, sleeps without using the processor
# escape: the run does not end by its limit
# outcome: time
# limits: cpu=1 wall=2
# control: none: outside nobody has a limit
import signal
import time

from attack import note

note("deaf")
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        continue
while True:
    time.sleep(1)
