# tries: to take kernel memory through pipes and socket buffers, which no limit on a process's memory sees: a family of
#        twelve, each with as many as it may open, all full
# escape: together they get more than half as much again as the limit
# outcome: memory exited signalled time
# control: mild 8
import os
import socket
import struct
import time

from attack import note, rounds

note("pipes and sockets")
block = b"x" * 65536


def fill(fd):
    os.set_blocking(fd, False)
    total = 0
    try:
        while True:
            total += os.write(fd, block)
    except BlockingIOError:
        return total


def hoard():
    total, held = 0, []
    try:
        while len(held) < rounds and total < 40 << 20:
            held += [*os.pipe(), *(line.detach() for line in socket.socketpair())]
            total += fill(held[-3]) + fill(held[-2]) + fill(held[-1])
    except OSError as error:
        note(f"{total >> 20} MiB: {error}")
    return total


read, write = os.pipe()
for _ in range(12):
    if os.fork() == 0:
        os.write(write, struct.pack("q", hoard()))
        time.sleep(2)
        os._exit(0)
os.close(write)
reports, deadline = b"", time.monotonic() + 1.5
while len(reports) < 12 * 8 and time.monotonic() < deadline:
    reports += os.read(read, 8)
total = sum(struct.unpack(f"{len(reports) // 8}q", reports))
note(f"{total >> 20} MiB together")
if total > 384 << 20:
    print("ESCAPED", total >> 20, "MiB")
