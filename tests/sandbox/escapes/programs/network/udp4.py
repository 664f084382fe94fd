# tries: to send a datagram to a socket of the host on 127.0.0.1; sending succeeds into the void, so hearing counts
# escape: the host's socket hears it
# control: outside
import socket

from attack import show, targets

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
    show("udp4", lambda: line.sendto(targets["name"].encode(), ("127.0.0.1", targets["port_udp"])))
