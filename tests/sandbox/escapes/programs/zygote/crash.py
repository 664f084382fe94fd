# tries: to take the machinery down with it: a crash of the interpreter in a thread, while another holds its lock
# escape: a following run gets no answer
# outcome: signalled
# control: none: outside there is no machinery
import ctypes
import threading

from attack import note

note("crash")
threading.Thread(target=lambda: ctypes.string_at(8), daemon=True).start()
while True:
    ctypes.memset(16, 1, 8)
