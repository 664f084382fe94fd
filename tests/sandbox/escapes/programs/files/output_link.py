# tries: to have the host read a file for it: the expected output is a symbolic link
# escape: a secret, or any file of the host, comes back as an output
# through: compile leak-home leak-tmp leak-passwd
# control: none: outside nobody fetches outputs
import os

from attack import note, targets

for place in ("home", "tmp"):
    os.symlink(targets["canaries"][place], f"leak-{place}")
os.symlink("/etc/hostname", "leak-passwd")
note("links laid")
