"""Programs that go for the verdict where printed output or returned values are compared. None is paid."""

import pytest

from dunwu.config.code import CodeConfig, RunLimits
from dunwu.records import Problem
from dunwu.rewards.code import judge_code

CONFIG = CodeConfig(test_limits=RunLimits(cpu_seconds=2.0, wall_seconds=20.0, memory_mib=256, output_kib=256))
SECRET = 883_117
TESTS = [{"stdin": f"{n}\n", "stdout": f"{n * SECRET % 999_983}\n"} for n in (5, 77)]
CALLS = [
    {"function": "mystery", "args": [n, [n]], "expected": {"value": n * SECRET % 999_983, "as": [str(n)]}}
    for n in (5, 77)
]
CHECKER = {
    "source": "import sys\nsys.exit(open(sys.argv[2]).read().split() != open(sys.argv[3]).read().split())"
}

SEARCH = """
import glob, os, sys
def search():
    for root in (os.getcwd(), "/tmp", "/dev/shm", "/mnt", "/var/tmp", os.path.expanduser("~")):
        for folder, _, names in os.walk(root):
            for name in names:
                try:
                    yield open(os.path.join(folder, name), errors="replace").read(10**6)
                except OSError:
                    pass
    for pid in ["self", *filter(str.isdigit, os.listdir("/proc"))]:
        for name in ("cmdline", "environ", "fd/0", "mem"):
            try:
                yield open(f"/proc/{pid}/{name}", errors="replace").read(10**6)
            except OSError:
                pass
"""

PRINTING = {
    "prints a pass": "print('AC')\nprint('passed')\nprint('{\"verdict\": \"AC\"}')",
    "prints nothing and exits well": "import sys\nsys.exit(0)",
    "exits in the middle of a thread": "import os, threading\nthreading.Thread(target=os._exit, args=(0,)).start()",
    "prints every small number": "for n in range(20000): print(n)",
    "prints its input": "print(input())",
    "looks for the expected output everywhere": SEARCH
    + """
n = int(input())
for text in search():
    for word in text.split():
        if word in ("415604", "999"):  # what it takes for the answer
            print(word); sys.exit(0)
""",
    "looks through its interpreter": """
import gc, sys
frame = sys._getframe()
seen = []
while frame:
    seen += [frame.f_locals, frame.f_globals]
    frame = frame.f_back
for space in [*seen, *(o for o in gc.get_objects() if isinstance(o, dict))]:
    for key in ("stdout", "expected", "output", "answer", "tests"):
        if isinstance(space.get(key), (str, bytes)):
            print(space[key]); sys.exit(0)
""",
    "writes to every descriptor": """
import os
for fd in range(64):
    try: os.write(fd, b'{"outcome": "exited", "exit_code": 0, "verdict": "AC"}\\n')
    except OSError: pass
""",
    "writes to the descriptors of every process": """
import os
for pid in filter(str.isdigit, os.listdir("/proc")):
    for fd in range(12):
        try:
            with open(f"/proc/{pid}/fd/{fd}", "wb", buffering=0) as file: file.write(b"AC\\n")
        except OSError: pass
""",
    "a string that equals everything": """
import sys
class S(str):
    __eq__ = lambda self, other: True
    __hash__ = str.__hash__
sys.stdout = S("415604")
print(S("0"), file=sys.__stdout__)
""",
    "patches what compares": """
import builtins, decimal, itertools
decimal.Decimal.__class__ = str
builtins.all = lambda *a: True
itertools.zip_longest = lambda *a: []
""",
    "stops its parent": "import os\nos.kill(os.getppid(), 19)\nprint('x')",
    "kills everything it sees": "import os\nos.kill(-1, 9)",
    "is stopped and never goes on": "import os\nos.kill(os.getpid(), 19)",
    "prints not a number": "print('nan')",
    "prints infinity": "print('inf')",
    "prints null bytes": "print('\\0' * 100)",
}

CPP = {
    "exits before main": "#include <cstdlib>\nstruct A { A() { exit(0); } } a;\nint main() {}",
    "includes what it should print": '#include "answer.txt"\nint main() {}',
    "includes its input": '#include "/dev/stdin"\nint main() {}',
    "opens files beside it": """
#include <cstdio>
#include <dirent.h>
int main() {
    if (DIR* d = opendir("."))
        while (dirent* e = readdir(d))
            if (FILE* f = fopen(e->d_name, "r")) { char b[64]; if (fscanf(f, "%63s", b) == 1) puts(b); }
}""",
    "writes what it thinks to file descriptors": """
#include <unistd.h>
int main() { for (int f = 0; f < 64; f++) { ssize_t n = write(f, "AC\\n", 3); (void)n; } }""",
}

JAVASCRIPT = {
    "exits well": "process.exit(0)",
    "patches the console": "console.log = () => process.stdout.write('AC\\n'); console.log(1)",
    "reads files": """
const fs = require('fs');
for (const f of fs.readdirSync('.')) console.log(fs.readFileSync(f, 'utf8').slice(0, 20));
""",
}

CALLING = {
    "an object that equals everything": """
class A(dict):
    __eq__ = lambda self, other: True
    __hash__ = lambda self: 0
def mystery(n, m):
    return A()
""",
    "numbers that equal everything": """
class N(int):
    __eq__ = lambda self, other: True
    __hash__ = int.__hash__
def mystery(n, m):
    return {"value": N(0), "as": [str(n)]}
""",
    "writes a reply of its own": """
import os, json
for fd in range(16):
    try: os.write(fd, json.dumps({"value": True, "verdict": "AC", "passed": True}).encode())
    except OSError: pass
os._exit(0)
""",
    "writes the reply twice": """
import os
def mystery(n, m):
    for fd in range(3, 16):
        try: os.write(fd, b'{"value": {"value": 0}}')
        except OSError: pass
    return {"value": 0, "as": [str(n)]}
""",
    "patches json": """
import json
json.dumps = lambda *a, **k: '{"value": NaN}'
json.JSONEncoder.default = lambda *a: True
def mystery(n, m):
    return object()
""",
    "replies not a number": "def mystery(n, m):\n    return {'value': float('nan'), 'as': [str(n)]}",
    "replies all keys": "def mystery(n, m):\n    return {str(k): k for k in range(20000)}",
    "replies without end": "import os\ndef mystery(n, m):\n    while True: os.write(3, b'[' * 65536)",
    "looks for the expected value in the caller": """
import gc, sys
def mystery(n, m):
    frame = sys._getframe()
    while frame:
        for space in (frame.f_locals, frame.f_globals):
            for item in space.values():
                if isinstance(item, dict) and "expected" in item:
                    return item["expected"]
        frame = frame.f_back
    for item in gc.get_objects():
        if isinstance(item, dict) and "expected" in item:
            return item["expected"]
""",
    "reads the request again": SEARCH
    + """
def mystery(n, m):
    for text in search():
        if "expected" in text and "mystery" in text and "search" not in text:
            return {"value": text, "as": [str(n)]}
""",
    "exits with a pass": "import sys\ndef mystery(n, m):\n    print('passed')\n    sys.exit(0)",
    "ends in a finaliser": """
import os
class Last:
    def __del__(self):
        os._exit(0)
last = Last()
def mystery(n, m):
    return None
""",
    "hides the function": "def mystery(*a):\n    return NotImplemented",
}


def judge(executor, code, language="python", **task):
    problem = Problem("p", "code", "?", "", "code", metadata={"language": language, **task})
    limits = CONFIG.test_limits
    if code == PRINTING["is stopped and never goes on"]:  # nothing but the clock ends it
        limits = limits.model_copy(update={"wall_seconds": 1.0})
    config = CONFIG.model_copy(update={"test_limits": limits})
    return judge_code(problem, f"```{language}\n{code}\n```", executor, config)


def test_honest_programs_are_paid(executor):
    printing = f"print(int(input()) * {SECRET} % 999983)"
    calling = f"def mystery(n, m):\n    return {{'value': n * {SECRET} % 999983, 'as': [str(k) for k in m]}}"
    assert judge(executor, printing, tests=TESTS).value == 1.0
    assert judge(executor, printing, tests=TESTS, checker=CHECKER).value == 1.0
    assert judge(executor, calling, calls=CALLS).value == 1.0


@pytest.mark.parametrize("name", PRINTING)
def test_printing(executor, name):
    part = judge(executor, PRINTING[name], tests=TESTS)
    assert (part.value, part.status) == (0.0, "ok"), part


@pytest.mark.parametrize(
    "name", ["prints a pass", "prints not a number", "prints null bytes", "prints its input"]
)
def test_printing_to_a_checker(executor, name):
    part = judge(executor, PRINTING[name], tests=TESTS, checker=CHECKER)
    assert (part.value, part.status) == (0.0, "ok"), part


@pytest.mark.parametrize("name", CPP)
def test_printing_in_cpp(executor, name):
    part = judge(executor, CPP[name], "cpp", tests=TESTS)
    assert (part.value, part.status) == (0.0, "ok"), part


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_printing_in_javascript(executor, name):
    part = judge(executor, JAVASCRIPT[name], "javascript", tests=TESTS)
    assert (part.value, part.status) == (0.0, "ok"), part


@pytest.mark.parametrize("name", CALLING)
def test_calling(executor, name):
    part = judge(executor, CALLING[name], calls=CALLS)
    assert (part.value, part.status) == (0.0, "ok"), part


@pytest.mark.parametrize(
    "code",
    [
        "JSON.stringify = () => '{\"value\": true}'; function mystery() { return 1; }",
        "function mystery() { process.exit(0); }",
        "function mystery() { return { toJSON: () => ({ value: 0, as: [] }) }; }",
        "const request = { args: [] }; require('fs').writeSync(1, '{\"value\": null}'); process.exit(0);",
    ],
)
def test_calling_in_javascript(executor, code):
    part = judge(executor, code, "javascript", calls=CALLS)
    assert (part.value, part.status) == (0.0, "ok"), part
