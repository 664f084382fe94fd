# tries: to confuse the host by closing its standard files, putting others there, and then not ending
# escape: the run does not end by its limit
# outcome: time
# limits: cpu=1 wall=2
# control: none: outside nobody has a limit
import os
import time

from attack import note

note("no stdio")
for fd in (0, 1, 2):
    os.close(fd)
read, write = os.pipe()
os.dup2(write, 2)
while True:
    time.sleep(1)
