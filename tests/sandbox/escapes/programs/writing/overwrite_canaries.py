# tries: to delete, replace and truncate the host's files
# escape: one of them is changed
# control: outside
import os

from attack import must_fail, targets

for place, path in targets["canaries"].items():
    must_fail(f"truncate {place}", lambda path=path: os.truncate(path, 3))
    must_fail(f"rename {place}", lambda path=path: os.rename(path, path + ".moved"))
    must_fail(f"delete {place}", lambda path=path: os.unlink(path + ".moved"))
