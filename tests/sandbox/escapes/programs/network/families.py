# tries: to open sockets that no network namespace holds back (vsock reaches the hypervisor) or that lead into rarely
#        used kernel code
# escape: one of them opens
# control: outside
# needs: root
import socket

from attack import must_fail

STREAM, DGRAM, RAW, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET
FAMILIES = {
    "vsock": (40, STREAM, 0),
    "vsock datagrams": (40, DGRAM, 0),
    "kernel crypto": (38, SEQPACKET, 0),
    "packet": (17, RAW, socket.htons(3)),
    "packet datagrams": (17, DGRAM, socket.htons(3)),
    "raw ICMP": (socket.AF_INET, RAW, 1),
    "raw IP": (socket.AF_INET, RAW, 255),
    "raw ICMPv6": (socket.AF_INET6, RAW, 58),
    "key": (15, RAW, 2),
    "bluetooth": (31, RAW, 1),
    "can": (29, RAW, 1),
    "tipc": (30, SEQPACKET, 0),
    "rds": (21, SEQPACKET, 0),
    "smc": (43, STREAM, 0),
    "xdp": (44, RAW, 0),
    "mctp": (45, DGRAM, 0),
    "audit": (16, RAW, 9),
    "netfilter": (16, RAW, 12),
    "uevents": (16, DGRAM, 15),
}
for name, arguments in FAMILIES.items():
    must_fail(name, lambda arguments=arguments: socket.socket(*arguments).close())
