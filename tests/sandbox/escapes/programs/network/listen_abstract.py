# tries: to open a door: listens on an abstract unix socket while the host knocks on it
# escape: the host's knock is answered
# control: outside
import socket

from attack import note, targets

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
    note("listen abstract")
    try:
        door.bind("\0" + targets["abstract_door"])
        door.listen()
        door.settimeout(1.5)
        door.accept()
        print("ESCAPED abstract door opened")
    except OSError as error:
        note(f"abstract door: {error}")
