# tries: to connect to an abstract unix socket of the host: it has no file, only a network namespace shuts it off
# escape: the listener gets a connection
# control: outside
import socket

from attack import must_fail, targets

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
    must_fail("abstract", lambda: line.connect("\0" + targets["abstract"]))
