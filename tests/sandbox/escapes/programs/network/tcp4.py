# tries: to connect to a listener of the host on 127.0.0.1
# escape: the listener gets a connection
# control: outside
import socket

from attack import must_fail, targets


def knock():
    with socket.create_connection(("127.0.0.1", targets["port4"]), timeout=1) as line:
        line.sendall(targets["name"].encode())


must_fail("tcp4", knock)
