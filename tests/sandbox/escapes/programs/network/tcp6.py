# tries: to connect to a listener of the host on ::1
# escape: the listener gets a connection
# control: outside
# needs: ipv6
import socket

from attack import must_fail, targets


def knock():
    with socket.create_connection(("::1", targets["port6"]), timeout=1) as line:
        line.sendall(targets["name"].encode())


must_fail("tcp6", knock)
