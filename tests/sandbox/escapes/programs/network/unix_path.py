# tries: to connect to a unix socket of the host by its path
# escape: the listener gets a connection
# control: outside
import socket

from attack import must_fail, targets

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
    must_fail("unix path", lambda: line.connect(targets["unix"]))
