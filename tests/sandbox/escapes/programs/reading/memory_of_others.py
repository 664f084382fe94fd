# tries: to read the memory of its parent, of process 1 and of a known process of the host
# escape: a secret is in the output, or another process's memory can be read at all
# control: outside
# needs: root
import os

from attack import must_fail, targets


def stack_of(pid):
    with open(f"/proc/{pid}/maps") as maps:
        line = next(line for line in maps if "[stack]" in line)
    start, end = (int(part, 16) for part in line.split()[0].split("-"))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(start)
        stack = memory.read(end - start)
    at = stack.find(b"SECRET")
    return stack[at : at + 100]


def read_any(pid):
    try:
        return stack_of(pid)
    except StopIteration:
        raise OSError("no stack to be seen") from None


for pid in sorted({1, os.getppid(), targets["victim"], targets["parent"]} - {os.getpid()}):
    must_fail(f"memory of {pid}", lambda pid=pid: read_any(pid))
