# tries: to burn more processor time than a limit on each process sees: a family, whose members take turns
# escape: the run does not end by its limit
# outcome: time exited
# limits: cpu=1 wall=2
# control: none: outside nobody has a limit
import os

from attack import note

note("busy family")
while True:
    child = os.fork()
    if child == 0:
        count = 0
        while count < 3_000_000:
            count += 1
        os._exit(0)
    os.waitpid(child, 0)
