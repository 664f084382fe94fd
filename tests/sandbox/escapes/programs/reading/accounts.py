# tries: to read the host's password hashes and keys
# escape: one of them can be read
# control: outside
# needs: root
import os

from attack import must_fail, note


def read(path):
    with open(path, "rb") as file:
        return len(file.read(4096))


for path in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers"):
    must_fail(path, lambda path=path: read(path))
for path in (os.path.expanduser("~"), "/root", "/home"):
    for name in (".ssh", ".netrc", ".gitconfig", ".bash_history", ".cache", ".bashrc"):
        if os.path.exists(os.path.join(path, name)):
            print("ESCAPED", os.path.join(path, name), "is there")
        else:
            note(os.path.join(path, name))
