"""Becoming the program: the last steps of a process before, and for Python also after, code that a policy wrote runs in it.

Runs inside the sandbox; the standard library only.
"""

from __future__ import annotations

import atexit
import gc
import os
import resource
import signal
import sys
import threading
import types
from typing import NoReturn

from dunwu.sandbox.inside.request import Request

_SLACK_SECONDS = 1
_OPEN_FILES = 512
_OPEN_FILES_UNBOUND = 64  # where no control group counts what pipes and sockets hold
_LOCKED_BYTES = 64 * 2**10
_COMMON_MODULES = (
    *(
        "abc",
        "bisect",
        "collections",
        "copy",
        "dataclasses",
        "datetime",
        "decimal",
        "enum",
        "fractions",
        "functools",
        "heapq",
    ),
    *(
        "io",
        "itertools",
        "json",
        "math",
        "operator",
        "os",
        "random",
        "re",
        "statistics",
        "string",
        "time",
        "typing",
    ),
)


def set_limits(request: Request, own_processes: int) -> None:
    """Bound this process and all that it starts.

    Args:
        own_processes: processes of the keeper that the kernel counts together with the program's.
    """
    seconds = int(request.cpu_seconds) + 1 + _SLACK_SECONDS
    _bound(resource.RLIMIT_CPU, seconds, seconds + 1)
    _bound(
        resource.RLIMIT_CORE, 1, 1
    )  # too small for a file; and the only size with which no crash handler is started
    _bound(resource.RLIMIT_FSIZE, request.file_bytes, request.file_bytes)
    files = _OPEN_FILES_UNBOUND if request.resident_bytes else _OPEN_FILES
    _bound(resource.RLIMIT_NOFILE, files, files)
    _bound(resource.RLIMIT_MEMLOCK, _LOCKED_BYTES, _LOCKED_BYTES)
    _bound(resource.RLIMIT_STACK, request.stack_bytes, request.stack_bytes)
    if own_processes >= 0:
        most = request.processes + own_processes
        _bound(resource.RLIMIT_NPROC, most, most)
    if request.data_bytes:
        _bound(resource.RLIMIT_DATA, request.data_bytes, request.data_bytes)


def _bound(which: int, soft: int, hard: int) -> None:
    """Set a limit, or keep the one that holds already where that is lower."""
    ceiling = resource.getrlimit(which)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(which, (soft, hard))


def execute(request: Request, started_fd: int) -> NoReturn:
    """Replace this process by the command. A failure to do so is written to `started_fd`, which closes on success."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    name = request.argv[0]
    paths = [name] if "/" in name else [f"{place}/{name}" for place in request.env["PATH"].split(":")]
    failure = f"there is no program {name!r} in the sandbox"
    for path in paths:
        try:
            os.execve(path, request.argv, request.env)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            failure = f"{name!r} cannot be started: {error}"
            break
    os.write(started_fd, failure.encode())
    os._exit(127)


def prepare_interpreter(python_path: list[str], env: dict[str, str]) -> None:
    """Make this interpreter what a program finds that was started with `python main.py`."""
    import site

    site.setquit()
    site.setcopyright()
    site.sethelper()
    sys.path[:] = [*(path for path in sys.path if path), *python_path]
    sys.argv[:] = ["main.py"]
    os.environ.clear()
    os.environ.update(env)
    _prepare_streams()


def preload_modules() -> None:
    """Import what most programs import, for all that are forked from this process."""
    for name in _COMMON_MODULES:
        __import__(name)
    gc.collect()
    gc.freeze()


def _prepare_streams() -> None:
    """Make sys.stdin, stdout and stderr those of a program whose output goes to pipes; what they lead to comes later."""
    kept = [os.dup(fd) for fd in (1, 2)]
    pipe = os.pipe()
    for fd, mode in ((0, "r"), (1, "w"), (2, "w")):
        if fd > 0:
            os.dup2(pipe[1], fd)
        name = ("stdin", "stdout", "stderr")[fd]
        errors = "backslashreplace" if fd == 2 else "surrogateescape"
        stream = open(  # noqa: SIM115
            fd, mode, encoding="utf-8", errors=errors, closefd=False, buffering=1 if fd == 2 else -1
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    for fd, copy in zip((1, 2), kept):  # noqa: B905 (strict= needs Python 3.10)
        os.dup2(copy, fd)
        os.close(copy)
    for fd in pipe:
        os.close(fd)


def run_python(request: Request, work: str, started_fd: int) -> NoReturn:
    """Run main.py in this process as the interpreter would, and end the process as the interpreter would.

    Departures: at the end, only the program's own globals are torn down, not every module's.
    """
    main = types.ModuleType("__main__")
    path = os.path.join(work, "main.py")
    source = _dress_up(request, main, path)
    os.close(started_fd)
    code = 0
    try:
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException as error:
        code = 1
        error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next  # without this frame
        sys.excepthook(type(error), error, error.__traceback__)
    _end(main, code)


def _dress_up(request: Request, main: types.ModuleType, path: str) -> bytes:
    """Set what a program sees of its interpreter and what differs from run to run."""
    for file in request.files:  # goes before a module of the same name that is there already
        name = file.partition("/")[0].removesuffix(".py")
        if name in sys.modules and name not in sys.builtin_module_names:
            del sys.modules[name]
    main.__dict__.update(__file__=path, __builtins__=__builtins__)
    sys.modules["__main__"] = main
    sys.path.insert(0, os.path.dirname(path))
    if request.env != os.environ:
        os.environ.clear()
        os.environ.update(request.env)
    return request.files["main.py"]


def _exit_code(error: SystemExit) -> int:
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _end(main: types.ModuleType, code: int) -> NoReturn:
    """Wait for threads, run exit functions, let go of the program's objects, write what is buffered, and end."""
    for step in (threading._shutdown, atexit._run_exitfuncs, main.__dict__.clear, gc.collect):  # type: ignore[attr-defined]
        try:
            step()
        except SystemExit as error:
            code = _exit_code(error)
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:
            code = code or 120
    os._exit(code)
