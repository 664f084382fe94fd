# tries: to use what its parent left open: files, folders, sockets (the host holds inheritable ones)
# escape: a secret is in the output, or a socket or folder of the host is there
# control: outside
import os
import socket
import stat

from attack import note, show

for fd in range(3, 1024):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    link = os.readlink(f"/proc/self/fd/{fd}")
    note(f"{fd} {link}")
    if stat.S_ISDIR(mode):
        show(f"{fd} as a folder", lambda fd=fd: os.read(os.open("canary.txt", os.O_RDONLY, dir_fd=fd), 200))
        show(
            f"{fd} as a way up",
            lambda fd=fd: os.read(os.open("../../canary.txt", os.O_RDONLY, dir_fd=fd), 200),
        )
    elif stat.S_ISREG(mode):
        show(f"{fd} as a file", lambda fd=fd: os.pread(fd, 200, 0))
    elif stat.S_ISSOCK(mode):
        with socket.socket(fileno=os.dup(fd)) as line:
            if line.family in (socket.AF_INET, socket.AF_INET6):
                print("ESCAPED an inherited network socket", line)
note("all looked at")
