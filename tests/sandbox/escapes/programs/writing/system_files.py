# tries: to write into programs, libraries and settings that later runs, or the host, would use
# escape: one of them opens for writing, or takes a new file
# control: outside
# needs: root
import glob
import os
import sys
import sysconfig

from attack import must_fail

with open("/proc/self/maps") as maps:
    libraries = {line.split(maxsplit=5)[5].strip() for line in maps if ".so" in line}
files = [
    *sorted(libraries),
    "/etc/passwd",
    "/etc/ld.so.cache",
    "/usr/bin/env",
    os.__file__,
    *glob.glob("/usr/bin/g++"),
]
for path in files:
    must_fail(path, lambda path=path: os.close(os.open(path, os.O_WRONLY)))
folders = ("/usr", "/usr/bin", "/usr/lib", "/usr/local/bin", "/etc", "/lib", sys.prefix,
           sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"))  # fmt: skip
for folder in folders:
    path = os.path.join(folder, "dunwu_escape_probe")

    def make(path=path):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.unlink(path)

    must_fail(path, make)
