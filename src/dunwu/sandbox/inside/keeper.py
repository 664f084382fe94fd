"""The first process of a sandbox: it takes requests from dunwu and has a supervisor run each.

As a zygote (mode "nested") it lives in a jail without network or files, and forks a supervisor for each run, which makes the
program's own namespaces and reads the request itself: nothing of one run is ever in the memory from which the next one is forked.
In mode "given" it runs one program in the place that was made for it, and ends.

Runs inside the sandbox; the standard library only.
"""

from __future__ import annotations

import array
import os
import signal
import socket
import sys
from functools import partial

from dunwu.sandbox.inside import program
from dunwu.sandbox.inside.enclosure import GivenEnclosure, NestedEnclosure
from dunwu.sandbox.inside.messages import encode_message, read_message, write_all
from dunwu.sandbox.inside.request import Request
from dunwu.sandbox.inside.supervisor import Supervisor
from dunwu.sandbox.inside.syscalls import seccomp_installer


def main(read_fd: int, write_fd: int) -> None:
    """Greet dunwu, read how to run, and serve until it hangs up. Returns only at the end; a process that is to become a
    Python program leaves by BecomeProgram."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_all(write_fd, encode_message({"python": sys.version.split()[0]}))
    settings, blobs = read_message(partial(os.read, read_fd))
    install = seccomp_installer(blobs[0]) if blobs else None
    if settings["mode"] == "nested":
        program.prepare_interpreter(settings["python_path"], settings["env"])
        program.preload_modules()
        write_all(write_fd, encode_message({"ready": True}))
        serve(read_fd, NestedEnclosure(install, os.getuid(), os.getgid()))
        return
    request = read_request(read_fd)
    if not request.argv:
        program.prepare_interpreter(settings["python_path"], request.env)
    answer(request, GivenEnclosure(settings["work"], settings["count_processes"], install), read_fd, write_fd)


def serve(control_fd: int, enclosure: NestedEnclosure) -> None:
    """Fork a supervisor for each descriptor that arrives, one after the other."""
    control = socket.socket(fileno=os.dup(control_fd))
    os.close(control_fd)
    while True:
        run_fd = _receive_descriptor(control)
        if run_fd is None:
            return
        child = enclosure.fork()
        if child == 0:
            control.close()
            answer(read_request(run_fd), enclosure, run_fd, run_fd)
            os._exit(0)
        os.close(run_fd)
        os.waitpid(child, 0)


def read_request(read_fd: int) -> Request:
    """Read what to run."""
    return Request.from_message(*read_message(partial(os.read, read_fd)))


def answer(
    request: Request, enclosure: NestedEnclosure | GivenEnclosure, read_fd: int, write_fd: int
) -> None:
    """Run one program and write how it ended."""
    proc_fd = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    header, blobs = Supervisor(request, enclosure, proc_fd, read_fd).run()
    write_all(write_fd, encode_message(header, blobs))


def _receive_descriptor(control: socket.socket) -> int | None:
    descriptors = array.array("i")
    data, extra, _, _ = control.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
    for level, kind, content in extra:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: descriptors.itemsize])
    if not data or not descriptors:
        return None
    os.set_inheritable(descriptors[0], False)
    return descriptors[0]
