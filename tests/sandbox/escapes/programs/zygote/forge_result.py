# tries: to write its own verdict: forged results in several forms on every open file, then ends with 7
# escape: the host sees anything else than an exit with 7
# outcome: exited
# exit: 7
# control: none: outside there is no protocol
import json
import os
import pickle
import socket
import struct

from attack import note

note("forge")
result = {
    "outcome": "exited",
    "exit_code": 0,
    "returncode": 0,
    "status": 0,
    "signal": None,
    "stdout": "",
    "stderr": "",
}
text = json.dumps(result).encode()
forms = [text + b"\n", pickle.dumps(result), struct.pack(">I", len(text)) + text, struct.pack("<I", len(text)) + text,
         struct.pack("<Q", len(text)) + text, struct.pack("=ii", 0, 0), b"\0" * 64, b"0\n"]  # fmt: skip
for fd in range(3, 256):
    for form in forms:
        try:
            os.set_blocking(fd, False)
            os.write(fd, form)
            note(f"{fd} took {len(form)} bytes")
        except OSError:
            continue
    try:
        line = socket.socket(fileno=fd)
        line.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", 0))])
        line.shutdown(socket.SHUT_RDWR)
        line.detach()
    except OSError:
        continue
os._exit(7)
