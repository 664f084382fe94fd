"""Runs a test program against a solution in another process, and says how it ended. Runs inside the sandbox.

The tester forks the solution's process before it has read the task, so that no memory, file descriptor or file of
that process ever holds the test program, what it expects, or the secret that a verdict is signed with. It makes
itself unreadable to processes of the same user first, and the other side checks that this holds. It is the only one
to have the sandbox's standard output. Imports the standard library only; `code_program` sends it into the sandbox.
"""

import builtins
import ctypes
import json
import os
import signal
import sys
import types
from collections.abc import Iterator
from typing import Any

from dunwu.rewards.code_remote import Solution, SolutionEndedError
from dunwu.rewards.code_servant import Servant, places
from dunwu.rewards.code_wire import Channel

PR_SET_DUMPABLE = 4
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm", "/work")
MAX_DESCRIPTORS = 4096
SHORT = 1000


def main() -> None:
    """Fork the solution's process, run the test program here, write the verdict."""
    protected = ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    to_solution, from_solution = os.pipe(), os.pipe()
    tester = os.getpid()
    process = os.fork()
    if process == 0:
        _be_solution(tester, to_solution[0], from_solution[1])
    os.close(to_solution[0])
    os.close(from_solution[1])
    verdict_file = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _forget_writable_folders()
    task = json.load(sys.stdin)
    channel = Channel(os.fdopen(from_solution[0], "rb"), os.fdopen(to_solution[1], "wb"))
    if channel.receive() != "shut out" or not protected:
        report = {"verdict": "unprotected", "detail": "the solution could read the tester's memory"}
    else:
        solution = Solution(channel, own_equality=task["own_equality"])
        report = run_repository(solution, task) if "ids" in task else run_test(solution, task)
    report["secret"] = task["secret"]
    os.kill(process, signal.SIGKILL)
    with os.fdopen(verdict_file, "w") as file:
        json.dump(report, file)
    os._exit(0)


def _be_solution(tester: int, incoming: int, outgoing: int) -> None:
    """Let go of all that is the tester's, see that its memory is out of reach, and serve."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    low, high = sorted((incoming, outgoing))
    for first, end in ((3, low), (low + 1, high), (high + 1, MAX_DESCRIPTORS)):
        os.closerange(first, end)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    channel = Channel(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))
    try:
        os.close(os.open(f"/proc/{tester}/mem", os.O_RDONLY))
        channel.send("let in")
    except OSError:
        channel.send("shut out")
    try:
        Servant(channel).serve()
    finally:
        os._exit(0)


def run_repository(solution: Solution, task: dict[str, Any]) -> dict[str, Any]:
    """Lay the repository's files in the solution's process, run its unit tests here, and return their verdicts."""
    from dunwu.rewards.code_unit_tests import run_unit_tests  # sent along only where there are any

    try:
        solution.unpack(task["files"], task["folders"])
        outcomes = run_unit_tests(solution, task)
    except BaseException as error:
        outcomes = {}
        solution.fault = solution.fault or _words(error)
    if solution.unsupported:
        return {"verdict": "unsupported", "detail": solution.unsupported}
    return {"verdict": "ran", "detail": solution.fault, "outcomes": outcomes}


def run_test(solution: Solution, task: dict[str, Any]) -> dict[str, Any]:
    """Load the solution, run the test program, and return the verdict with what was seen."""
    try:
        fault = solution.load(task["solution"])
        if fault is not None:
            return {"verdict": "CE", "detail": fault}
        space = _space(solution, task)
    except (Exception, SolutionEndedError) as error:
        return {"verdict": "RE", "detail": _words(error)}
    try:
        exec(compile(task["program"], "test_program", "exec", dont_inherit=True), space)
    except BaseException as error:
        if solution.unsupported:
            return {"verdict": "unsupported", "detail": solution.unsupported}
        verdict = "WA" if isinstance(error, AssertionError) else "RE"
        return {"verdict": verdict, **_seen(error, solution, task["program"])}
    if solution.unsupported:
        return {"verdict": "unsupported", "detail": solution.unsupported}
    if solution.fault:
        return {"verdict": "RE", "detail": solution.fault}
    return {"verdict": "AC", "detail": ""}


def _space(solution: Solution, task: dict[str, Any]) -> dict[str, Any]:
    """The test program's globals: what the prompt defines, then the solution's names.

    The prompt's own helpers are run here, from the task, so that a solution cannot replace them. With an entry point
    only that is the solution's; without one, every name that nothing here defines.
    """
    space: dict[str, Any] = {"__name__": "test_program", "__builtins__": builtins}
    exec(compile(task["prompt"], "prompt", "exec", dont_inherit=True), space)
    code = compile(task["program"], "test_program", "exec", dont_inherit=True)
    names = {task["entry_point"]} if task["entry_point"] else set(_names(code))
    for name in names:
        if name in sys.stdlib_module_names:
            space[name] = __import__(name)
        elif name == task["entry_point"] or (name not in space and not hasattr(builtins, name)):
            try:
                space[name] = solution.look_up(name)
            except KeyError:
                if name == task["entry_point"]:
                    raise NameError(f"the program does not define {name}") from None
    return space


def _names(code: types.CodeType) -> Iterator[str]:
    """Every name that code or a function in it loads; attributes are among them, which does no harm."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _seen(error: BaseException, solution: Solution, program: str) -> dict[str, str]:
    """The line of the test program that failed, the latest call, and what it returned, each shortened."""
    lines = program.split("\n")
    numbers = [line for file, line in places(error) if file == "test_program"]
    seen = {"detail": _words(error)}
    if numbers:
        seen["expected"] = lines[numbers[-1] - 1].strip()[:SHORT]
    if solution.last_call is not None:
        seen["input"] = solution.last_call[0][:SHORT]
        seen["got"] = repr(solution.last_call[1])[:SHORT]
    return seen


def _words(error: BaseException) -> str:
    notes = " ".join(getattr(error, "__notes__", ()))
    text = notes or str(error)
    return f"{type(error).__name__}{': ' + text if text else ''}"[:SHORT]


def _forget_writable_folders() -> None:
    """Import nothing from where the solution can write: its own folder and those for temporary files."""
    shared = tuple(os.path.join(os.path.realpath(folder), "") for folder in (os.getcwd(), *SHARED_FOLDERS))

    def is_out_of_reach(folder: str) -> bool:
        if not folder or not os.path.exists(folder):
            return False
        inside = os.path.join(os.path.realpath(folder), "").startswith(shared)
        return not inside or bool(os.statvfs(folder).f_flag & os.ST_RDONLY)

    sys.path[:] = [folder for folder in sys.path if is_out_of_reach(folder)]
    sys.path_importer_cache.clear()
