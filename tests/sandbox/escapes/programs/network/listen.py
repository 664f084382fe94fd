# tries: to open a door: listens on a port while the host knocks on it
# escape: the host's knock is answered
# control: outside
import socket

from attack import note, targets

with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as door:
    note("listen")
    try:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", targets["port_door"]))
        door.listen()
        door.settimeout(1.5)
        line, address = door.accept()
        print("ESCAPED door opened by", address)
        line.close()
    except OSError as error:
        note(f"door: {error}")
