# tries: to send a packet towards an address outside of the machine; the address is reserved for documentation
# escape: the system has a route for it
# control: none: whether the machine itself has a route is its own affair
import errno
import socket

from attack import note


def has_route(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as line:
        try:
            line.connect((address, 9))
        except OSError as error:
            note(f"{address}: {error}")
            return error.errno not in (errno.ENETUNREACH, errno.EPERM, errno.EACCES, errno.EADDRNOTAVAIL)
    return True


for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "169.254.169.254"),
                        (socket.AF_INET6, "2001:db8::1")):  # fmt: skip
    try:
        if has_route(family, address):
            print("ESCAPED route to", address)
    except OSError as error:
        note(f"{address}: no socket: {error}")
