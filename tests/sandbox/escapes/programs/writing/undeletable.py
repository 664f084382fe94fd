# tries: to leave what a clean-up stumbles over: depth, rights, odd names, flags, pipes, sockets
# escape: something is left in the folders for temporary files, or the run does not end
# control: none: nobody cleans up outside
import fcntl
import os
import socket
import struct

from attack import note, show

for place in (os.getcwd(), "/tmp"):
    os.chdir(place)
    for name in ("\n", " ", "-rf", "\udcff\udcfe", "*", "x" * 255):
        show(repr(name)[:20], lambda name=name: os.close(os.open(name, os.O_CREAT | os.O_WRONLY, 0)))
    show("fifo", lambda: os.mkfifo("fifo"))
    with socket.socket(socket.AF_UNIX) as door:
        show("socket", lambda door=door: door.bind("socket"))

    def immutable():
        file = os.open("fixed", os.O_CREAT | os.O_RDWR)
        fcntl.ioctl(file, 0x40086602, struct.pack("l", 0x10))  # FS_IOC_SETFLAGS, FS_IMMUTABLE_FL

    show("immutable", immutable)
    depth = 0
    try:
        while depth < 1500:
            os.mkdir("d" * 20)
            os.chdir("d" * 20)
            depth += 1
    except OSError as error:
        note(f"depth: {error}")
    note(f"{depth} deep")
    show("no rights", lambda: os.chmod("..", 0))
