"""A Python program that is forked from the keeper finds what `python main.py` would give it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from dunwu.sandbox.records import Command

from .conftest import LIMITS

PROGRAMS = {
    "name and file": "print(__name__, __file__.rpartition('/')[2], __builtins__ is not None)",
    "main module": "import sys, __main__; x = 1; print(__main__.x, sys.modules['__main__'].__dict__ is globals())",
    "arguments": "import sys; print(sys.argv, sys.path[0] != '')",
    "quit": "quit()",
    "exit code": "exit(7)",
    "exit with text": "import sys; sys.exit('that is all')",
    "exit with None": "import sys; sys.exit(None)",
    "exit code beyond a byte": "import sys; sys.exit(256 + 5)",
    "uncaught": "def f():\n    return 1 / 0\nf()",
    "chained": "try:\n    int('x')\nexcept ValueError as e:\n    raise KeyError('y') from e",
    "syntax error": "print(1\n",
    "indentation": "if True:\nprint(1)",
    "annotations": "def f(x: 1 / 0): pass",
    "recursion": "def f(n): return f(n + 1)\ntry:\n    f(0)\nexcept RecursionError as e:\n    print('deep')",
    "depth": "import sys\ndef f(n): return n if n == 0 else f(n - 1)\nprint(f(900), sys.getrecursionlimit())",
    "at exit": "import atexit\natexit.register(print, 'bye')\nprint('hello')",
    "at exit after error": "import atexit\natexit.register(print, 'bye')\nraise ValueError('x')",
    "finaliser": "class A:\n    def __del__(self): print('gone')\na = A()\nprint('end')",
    "thread is waited for": (
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\nprint('main')"
    ),
    "thread fails": "import threading\nt = threading.Thread(target=lambda: 1 / 0)\nt.start()\nt.join()\nprint('on')",
    "no newline at end": "print('x', end='')",
    "unflushed error": "import sys\nsys.stderr.write('partial')",
    "closed stdout": "import sys\nsys.stdout.close()",
    "input ends": "input()\ninput()",
    "read all": "import sys\nprint(sys.stdin.read().split(), sys.stdin.encoding, sys.stdout.encoding, sys.stdout.errors)",
    "read lines": "for line in open(0): print(line.strip()[::-1])",
    "unicode": "print('顿悟', input())",
    "bad bytes": "import sys\nsys.stdout.buffer.write(b'\\xff\\n'); print(repr(sys.stdin.buffer.read()))",
    "buffering": "import sys\nprint(sys.stdout.isatty(), sys.stdout.line_buffering, sys.stderr.line_buffering)",
    "hash order": "print(hash('dunwu'), list({'a', 'b', 'c', 'd'}))",
    "children": "import os\nif os.fork() == 0:\n    print('child'); os._exit(0)\nos.wait(); print('parent')",
    "subprocess": (
        "import subprocess, sys\n"
        "print(subprocess.run([sys.executable, '-c', 'print(6*7)'], capture_output=True).stdout)"
    ),
    "multiprocessing": (
        "import multiprocessing as m\n"
        "def f(x): return x * x\n"
        "if __name__ == '__main__':\n    with m.Pool(2) as p: print(p.map(f, [1, 2, 3]))"
    ),
    "asyncio": "import asyncio\nasync def f(): await asyncio.sleep(0.01); return 5\nprint(asyncio.run(f()))",
    "dataclass": "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\nprint(A())",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)",
    "source": "import inspect\ndef f():\n    return 1\nprint(inspect.getsource(f))",
    "warnings": "import warnings\nwarnings.warn('careful')",
    "alarm": "import signal, time\nsignal.alarm(1)\ntime.sleep(20)",
    "broken hook": "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1/0",
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_as_in_an_interpreter_of_its_own(nested, name, tmp_path):
    source, stdin = PROGRAMS[name], "one two\n顿悟\n".encode()
    (tmp_path / "main.py").write_text(source)
    env = {"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    wanted = subprocess.run(
        [sys._base_executable, "-S", "-c", START, "main.py"],
        input=stdin, cwd=tmp_path, env=env, capture_output=True, timeout=60,
    )  # fmt: skip
    got = nested.run_python(source, stdin, {}, LIMITS)
    expected = ("exited", wanted.returncode) if wanted.returncode >= 0 else ("signalled", -wanted.returncode)
    assert (got.outcome, got.exit_code if got.signal is None else got.signal) == expected, got.stderr
    assert got.stdout == wanted.stdout
    assert got.stderr.replace(b"/work/", b"") == wanted.stderr.replace(f"{tmp_path}/".encode(), b"")


START = textwrap.dedent("""
    import runpy, site, sys, os
    site.setquit(); site.sethelper(); site.setcopyright()
    os.execv(sys.executable, [sys.executable, "-s", "-B", sys.argv[1]])
""")


def test_a_programs_own_module_goes_before_one_that_is_loaded_already(nested):
    files = {
        "random.py": b"VALUE = 'mine'",
        "package/__init__.py": b"from package.a import X",
        "package/a.py": b"X = 3",
    }
    execution = nested.run_python(
        "import random, package; print(random.VALUE, package.X)", b"", files, LIMITS
    )
    assert execution.stdout == b"mine 3\n"


def test_text_that_is_no_text_is_the_programs_fault(executor):
    execution = executor.run_python("print('\ud800')", b"", {}, LIMITS)
    assert (execution.outcome, execution.exit_code) == ("exited", 1)
    assert b"SyntaxError" in execution.stderr


def test_random_numbers_differ_from_run_to_run(nested):
    drawn = {
        nested.run_python("import random; print(random.random())", b"", {}, LIMITS).stdout for _ in range(5)
    }
    assert len(drawn) == 5


def test_the_keeper_cannot_be_imported(nested):
    source = "import sys; print([n for n in sys.modules if 'dunwu' in n])\nimport dunwu"
    execution = nested.run_python(source, b"", {}, LIMITS)
    assert execution.stdout == b"[]\n"
    assert b"ModuleNotFoundError" in execution.stderr


def test_packages_of_the_environment_are_not_there(nested):
    for command in (["import pydantic"], ["import pip"]):
        assert b"ModuleNotFoundError" in nested.run_python(command[0], b"", {}, LIMITS).stderr
    execution = nested.run(Command(("python3", "-c", "import pydantic")), LIMITS)
    assert b"ModuleNotFoundError" in execution.stderr


SEARCH = """
needle = {reversed_secret!r}.encode()  # backwards, so that this program itself does not hold what it looks for
hits = 0
with open('/proc/self/mem', 'rb', 0) as memory:
    for line in open('/proc/self/maps'):
        start, end = (int(x, 16) for x in line.split()[0].split('-'))
        if 'rw' in line and end - start < 2**28:
            memory.seek(start)
            try:
                hits += memory.read(end - start)[::-1].count(needle)
            except OSError:
                pass
print(hits)
"""


def test_no_memory_of_one_run_is_in_the_next(nested):
    secret = "tulip-orchard-7391"
    search = SEARCH.format(reversed_secret=secret[::-1])
    for _ in range(6):  # every place has held it
        execution = nested.run_python(
            f"x = {secret!r}\nprint(input() == x)", secret.encode(), {"note.txt": secret.encode()}, LIMITS
        )
        assert execution.stdout == b"True\n"
    for _ in range(3):
        assert nested.run_python(search, b"", {}, LIMITS).stdout == b"0\n"
    with_secret = nested.run_python("kept = input()\n" + search, secret.encode(), {}, LIMITS)
    assert int(with_secret.stdout) > 0  # the search finds what is there
