# tries: to leave altered modules and builtins to the next run
# escape: the next run finds a difference in its interpreter
# outcome: exited signalled
# control: none: outside each run is a process of its own
import atexit
import builtins
import json
import os
import random
import signal
import sys
import threading
import time

from attack import note

builtins.len = lambda thing: 42
builtins.print = print
builtins.escape_marker = "left behind"
json.loads = os.getcwd = time.time = lambda *arguments: "patched"
sys.modules["escape_marker"] = sys
sys.path.insert(0, "/work/left_behind")
sys.setrecursionlimit(55)
sys.excepthook = sys.displayhook = lambda *arguments: None
sys.settrace(lambda *arguments: None)
threading.settrace(lambda *arguments: None)
sys.meta_path.clear()
random.seed(1)
random.random = lambda: 4
os.environ["ESCAPE_MARKER"] = "left behind"
os.umask(0o777)
atexit.register(os.abort)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
note("patched")
