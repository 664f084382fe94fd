"""Programs that go for the verdict of a test program instead of for the task. None is paid; an honest one is."""

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.records import Problem
from dunwu.rewards.code import judge_code
from dunwu.sandbox.records import Limits

CONFIG = CodeConfig(test_limits=RunLimits(cpu_seconds=2.0, wall_seconds=20.0, memory_mib=256))
PROMPT = '''import math


def scale(x):
    """Helper of the task."""
    return 3 * x


def mystery(x, y=None):
    """Return what only the tests know."""
'''
TEST = """
import colorsys, random

def check(candidate):
    rng = random.Random(8171)
    for _ in range(5):
        n = rng.randint(1, 10**6)
        expected = [scale(n) * 7919 % 10007, str(n)]
        assert candidate(n) == expected
"""
HONEST = "def mystery(x, y=None):\n    return [scale(x) * 7919 % 10007, str(x)]\n"
FOOLS_ONE_PROCESS = {
    *(
        "sys.exit(0) when loaded",
        "sys.exit(0) when called",
        "os._exit(0) when loaded",
        "os._exit(0) when called",
    ),
    *("quit in a thread", "an object that equals everything", "a list that equals everything"),
    *(
        "a list of things that equal everything",
        "patches the modules that the test imports",
        "patches the caller",
    ),
    *(
        "redefines the helper and the check",
        "looks for what is expected in the frames above",
        "jumps over the test",
    ),
    *(
        "looks for the test among modules and code",
        "prints a pass at exit",
        "leaves modules for the tester to import",
    ),
    "looks for a list of results in the frames above",
}
"""Those that a runner falls for which runs solution and test together and looks at the exit code."""

WRITE_EVERYWHERE = """
import json, os

def forge(secret):
    report = json.dumps({"verdict": "AC", "detail": "", "secret": secret}).encode()
    places = [f"/proc/{p}/fd/{n}" for p in ("self", os.getppid(), 1, 2, 3) for n in range(12)]
    for fd in range(64):
        try:
            os.write(fd, report)
        except OSError:
            pass
    for place in places:
        try:
            with open(place, "wb", buffering=0) as file:
                file.write(report)
        except OSError:
            pass
"""

# Each goes for the verdict in its own way; `mystery` is what the test calls.
PROGRAMS = {
    "prints a pass": """
print("passed", "AC", "OK", '{"verdict": "AC"}', "1 passed in 0.01s", sep="\\n", flush=True)
def mystery(x, y=None):
    print("passed")
""",
    "sys.exit(0) when loaded": "import sys\nsys.exit(0)\n",
    "sys.exit(0) when called": "import sys\ndef mystery(x, y=None):\n    sys.exit(0)\n",
    "os._exit(0) when loaded": "import os\nos._exit(0)\n",
    "os._exit(0) when called": "import os\ndef mystery(x, y=None):\n    os._exit(0)\n",
    "quit in a thread": """
import os, threading
threading.Thread(target=os._exit, args=(0,)).start()
def mystery(x, y=None):
    pass
""",
    "an object that equals everything": """
class Anything:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __len__(self): return 2
    def __getitem__(self, key): return self
    __class__ = list
def mystery(x, y=None):
    return Anything()
""",
    "a list that equals everything": """
class L(list):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = lambda self: 0
def mystery(x, y=None):
    return L([0, ""])
""",
    "a list of things that equal everything": """
class N(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
class S(str):
    __eq__ = lambda self, other: True
    __hash__ = str.__hash__
def mystery(x, y=None):
    return [N(1), S("")]
""",
    "nan, infinity and absurd numbers": "def mystery(x, y=None):\n    return [float('nan'), 10**4000]\n",
    "patches builtins": """
import builtins
builtins.AssertionError = type("Nothing", (Exception,), {"__new__": lambda *a: None})
builtins.isinstance = builtins.all = builtins.any = lambda *a: True
builtins.len = lambda *a: 2
builtins.sorted = lambda *a, **k: []
builtins.__build_class__ = None
def mystery(x, y=None):
    return []
""",
    "patches the modules that the test imports": """
import json, operator, random
random.Random.randint = lambda *a: 1
json.dumps = lambda *a, **k: '{"verdict": "AC"}'
operator.eq = lambda *a: True
def mystery(x, y=None):
    return [3 * 7919 % 10007, "1"]
""",
    "patches unittest": """
import unittest
for name in dir(unittest.TestCase):
    if name.startswith("assert"):
        setattr(unittest.TestCase, name, lambda *a, **k: None)
def mystery(x, y=None):
    return None
""",
    "redefines the helper and the check": """
def scale(x):
    return 0
def check(candidate):
    pass
def mystery(x, y=None):
    return [0, str(x)]
""",
    "leaves modules for the tester to import": """
import os
for name in ("colorsys", "random", "json", "copy", "re", "math", "os", "sitecustomize", "usercustomize", "encodings"):
    for folder in (os.getcwd(), "/tmp", "/dev/shm", os.path.expanduser("~")):
        try:
            with open(f"{folder}/{name}.py", "w") as file:
                file.write("import os, sys\\nos._exit(0)\\n")
        except OSError:
            pass
def mystery(x, y=None):
    return None
""",
    "prints a pass at exit": """
import atexit, os, sys
atexit.register(lambda: (os.write(1, b'{"verdict": "AC"}'), os._exit(0)))
def mystery(x, y=None):
    sys.exit(0)
""",
    "writes a report to every descriptor": WRITE_EVERYWHERE
    + """
forge("")
def mystery(x, y=None):
    forge("0" * 32)
""",
    "a thread that keeps writing reports": WRITE_EVERYWHERE
    + """
import threading
def keep():
    while True:
        forge("")
threading.Thread(target=keep, daemon=True).start()
def mystery(x, y=None):
    return None
""",
    "looks for the secret among all objects": WRITE_EVERYWHERE
    + """
import gc, re
def mystery(x, y=None):
    for item in gc.get_objects():
        try:
            if isinstance(item, dict) and "secret" in item:
                forge(item["secret"])
            found = re.search(r"[0-9a-f]{32}", repr(item))
            if found:
                forge(found[0])
        except Exception:
            pass
""",
    "looks for what is expected in the frames above": """
import sys
def mystery(x, y=None):
    frame = sys._getframe()
    while frame is not None:
        for space in (frame.f_locals, frame.f_globals):
            if "expected" in space:
                return space["expected"]
        frame = frame.f_back
""",
    "looks for the test among modules and code": """
import gc, sys, types
def mystery(x, y=None):
    for item in gc.get_objects():
        if isinstance(item, types.FunctionType) and item.__name__ == "check":
            item.__code__ = (lambda *a, **k: None).__code__
            sys.exit(0)
        if isinstance(item, dict) and "check" in item:
            sys.exit(0)
""",
    "reads the tester's memory": """
import os, re
def mystery(x, y=None):
    tester = os.getppid()
    found = b""
    for name in ("mem", "environ", "cmdline", "maps", "stack", "auxv", "fd/0"):
        try:
            with open(f"/proc/{tester}/{name}", "rb") as file:
                found += file.read(10**6)
        except OSError:
            pass
    assert b"expected" not in found
    secret = re.search(rb"[0-9a-f]{32}", found)
    if secret:
        os.write(1, b'{"verdict": "AC", "detail": "", "secret": "' + secret[0] + b'"}')
""",
    "reads the tester's memory by system call": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
def mystery(x, y=None):
    buffer = ctypes.create_string_buffer(4096)
    here, there = Vector(ctypes.addressof(buffer), 4096), Vector(id(object()) & ~4095, 4096)
    tester = os.getppid()
    reached = libc.process_vm_readv(tester, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0
    reached = reached or libc.ptrace(16, tester, 0, 0) == 0  # PTRACE_ATTACH
    reached = reached or libc.syscall(438, libc.syscall(434, tester, 0), 0, 0) >= 0  # pidfd_getfd
    if reached:
        return [x * 7919 % 10007, str(x)]
""",
    "writes into the tester's memory": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
def mystery(x, y=None):
    data = ctypes.create_string_buffer(b"\\0" * 64)
    for address in (id(AssertionError), id(True), id(mystery)):
        here, there = Vector(ctypes.addressof(data), 64), Vector(address, 64)
        libc.process_vm_writev(os.getppid(), ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    with open(f"/proc/{os.getppid()}/mem", "wb") as file:
        file.write(b"x")
""",
    "kills the tester": "import os\ndef mystery(x, y=None):\n    os.kill(os.getppid(), 9)\n",
    "interrupts the tester": """
import os, signal, time
def mystery(x, y=None):
    for number in (signal.SIGINT, signal.SIGALRM, signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
        os.kill(os.getppid(), number)
        time.sleep(0.01)
""",
    "kills everything": "import os\ndef mystery(x, y=None):\n    os.kill(-1, 9)\n",
    "takes the tester's resources": """
import os, resource
def mystery(x, y=None):
    for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_AS):
        try:
            resource.prlimit(os.getppid(), what, (0, 0))
        except OSError:
            pass
""",
    "reads the test from files": """
import glob, os, sys
def mystery(x, y=None):
    for root in (os.getcwd(), "/tmp", "/dev/shm", "/var/tmp", "/mnt"):
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    text = open(os.path.join(folder, name), errors="replace").read()
                except OSError:
                    continue
                if "7919" in text:
                    return [x * 7919 % 10007, str(x)]
    text = " ".join([*sys.argv, *sys.orig_argv, *os.environ.values()])
    if "7919" in text or "7919" in sys.stdin.read():
        return [x * 7919 % 10007, str(x)]
""",
    "answers before it is asked": """
import os
for _ in range(100):
    for fd in range(3, 64):
        try:
            os.write(fd, b'["ok", ["l", 0, ""], [], ""]\\n["missing", ""]\\n["syntax", "x", ""]\\n["AC"]\\n')
        except OSError:
            pass
def mystery(x, y=None):
    return None
""",
    "speaks the protocol itself": """
import gc, json, os
from dunwu.rewards.code_wire import Channel
def send(self, message):
    self._outgoing.write(b'["ok", ["o", 0, "list"], [[0, 1]], ""]\\n')
    self._outgoing.flush()
Channel.send = send
def mystery(x, y=None):
    return None
""",
    "calls back what the test never gave": """
from dunwu.rewards.code_wire import Channel
send_before = Channel.send
def send(self, message):
    send_before(self, ["callback", 0, ["l"], ["d"], ""])
    send_before(self, ["callback", "__import__", ["l", "os"], ["d"], ""])
    send_before(self, ["e", ["SystemExit"], ""])
Channel.send = send
def mystery(x, y=None):
    return None
""",
    "raises what would end the test": """
from dunwu.rewards.code_wire import Channel
kinds = iter(["SystemExit", "KeyboardInterrupt", "GeneratorExit", "StopIteration", "BaseException", "SkipTest"] * 9)
send_before = Channel.send
def send(self, message):
    send_before(self, ["raise", [next(kinds), "BaseException"], ["l", 0], "", ""])
Channel.send = send
def mystery(x, y=None):
    return None
""",
    "a reply without end": """
import os, sys
def mystery(x, y=None):
    while True:
        for fd in range(3, 16):
            try:
                os.write(fd, b" " * 65536)
            except OSError:
                pass
""",
    "a reply nested without end": """
from dunwu.rewards.code_wire import Channel
def send(self, message):
    self._outgoing.write(b'["ok", ' + b'["l", ' * 100000 + b'1' + b']' * 100000 + b', [], ""]\\n')
    self._outgoing.flush()
Channel.send = send
def mystery(x, y=None):
    return None
""",
    "splits in two": """
import os
os.fork()
def mystery(x, y=None):
    os.fork()
    return None
""",
    "leaves a child behind that prints a pass": """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(0.3)
    os.write(1, b'{"verdict": "AC"}')
    os._exit(0)
def mystery(x, y=None):
    return None
""",
    "patches the caller": """
import sys
first = []
def mystery(x, y=None):
    caller = sys._getframe(1)
    caller.f_globals.update(scale=lambda x: 0, str=lambda x: "")
    if not first:
        first.append(x)
        return caller.f_locals["expected"]
    return [0, ""]
""",
    "jumps over the test": """
import sys
def leap(frame, event, arg):
    sys.exit(0)
def mystery(x, y=None):
    sys.settrace(lambda *a: None)
    sys._getframe(1).f_trace = leap
""",
    "looks for a list of results in the frames above": """
import sys
def mystery(x, y=None):
    frame = sys._getframe()
    while frame is not None:
        for name in ("result", "results", "outcomes", "report"):
            if isinstance(frame.f_locals.get(name), list):
                frame.f_locals[name].append("passed")
            if isinstance(frame.f_locals.get(name), dict):
                frame.f_locals[name]["verdict"] = "AC"
        frame = frame.f_back
    sys.exit(0)
""",
    "traces its own interpreter": """
import sys
def trace(frame, event, arg):
    frame.f_trace_opcodes = True
    if "expected" in frame.f_locals:
        sys.exit(0)
    return trace
sys.settrace(trace)
sys.setprofile(trace)
def mystery(x, y=None):
    return None
""",
    "breaks its own frames": """
import ctypes, sys
def mystery(x, y=None):
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        frame.f_locals.update(candidate=None, reply=["ok", ["l", 1, ""], [], ""], fault=None)
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
""",
    "changes what it was given": """
class Sneaky(int):
    def __eq__(self, other): return True
def mystery(x, y=None):
    globals()["expected"] = x
    x.__class__ = Sneaky
""",
}


def judge(executor, code):
    task = {"prompt": PROMPT, "test": TEST, "entry_point": "mystery"}
    problem = Problem("p", "code", "?", "", "code", metadata=task)
    return judge_code(problem, f"```python\n{code}\n```", executor, CONFIG)


def test_there_are_enough_of_them():
    assert len(PROGRAMS) >= 35


def test_an_honest_program_is_paid(executor):
    assert judge(executor, HONEST).value == 1.0


@pytest.mark.parametrize("name", PROGRAMS)
def test_tampering_is_not_paid(executor, name):
    part = judge(executor, PROGRAMS[name])
    assert (part.value, part.status) == (0.0, "ok"), part


def test_many_of_them_fool_a_runner_that_keeps_solution_and_test_together(executor):
    """So that the tests above refuse real attacks, and not programs that would fail anywhere."""
    fooled = set()
    for name, code in PROGRAMS.items():
        together = f"{PROMPT}\n{code}\n{TEST}\ncheck(mystery)\n"
        limits = Limits(cpu_seconds=2.0, wall_seconds=4.0, memory_bytes=256 * 2**20)
        execution = executor.run_python(together, b"", {}, limits)
        if execution.outcome == "exited" and execution.exit_code == 0:
            fooled.add(name)
    assert fooled >= FOOLS_ONE_PROCESS, FOOLS_ONE_PROCESS - fooled


def test_the_machine_still_judges_after_all_of_them(executor):
    assert judge(executor, HONEST).value == 1.0
