# tries: to find a network interface other than a loopback of its own
# escape: another interface is there
# control: outside
# needs: interface
import socket

from attack import note

note("interfaces")
try:
    names = [name for _, name in socket.if_nameindex()]
except OSError as error:
    names = []
    note(f"if_nameindex: {error}")
try:
    with open("/proc/net/dev") as table:
        names += [line.split(":")[0].strip() for line in table if ":" in line]
except OSError as error:
    note(f"/proc/net/dev: {error}")
for name in set(names) - {"lo"}:
    print("ESCAPED interface", name)
