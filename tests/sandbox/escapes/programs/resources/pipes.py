# tries: to take kernel memory through pipes and socket buffers, which no limit on address space sees
# escape: it gets more than the limit
# outcome: memory exited signalled
# control: mild 8
import os
import socket

from attack import note, rounds

note("pipes and sockets")
total, held = 0, []
block = b"x" * 65536


def fill(fd):
    global total
    os.set_blocking(fd, False)
    try:
        while True:
            total += os.write(fd, block)
    except BlockingIOError:
        return


try:
    while len(held) < rounds and total < 400 << 20:
        read, write = os.pipe()
        left, right = socket.socketpair()
        held += [read, write, left, right]
        fill(write)
        fill(left.fileno())
except OSError as error:
    note(f"{total >> 20} MiB: {error}")
if total >= 400 << 20:
    print("ESCAPED", total >> 20, "MiB")
