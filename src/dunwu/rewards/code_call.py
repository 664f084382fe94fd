"""Calls one function of a solution and writes what it returned, as JSON. Runs inside the sandbox.

The process is the solution's: it may write what it likes. What it should return is not in it, so the only thing
worth writing is the right value. Imports the standard library only; `code_run` sends it into the sandbox.
"""

import json
import os
import sys
import types
from typing import Any

LEETCODE = """
from typing import *
from bisect import *
from collections import *
from functools import *
from heapq import *
from itertools import *
from math import *
import bisect, collections, functools, heapq, itertools, math, random, re, string, sys
"""
"""What a program with a class `Solution` finds imported, as it does where such problems come from."""


def main() -> None:
    """Read the solution, the function's name and its arguments from stdin; write one line of JSON to stdout."""
    request = json.load(sys.stdin)
    answer_file = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    reply = perform(request)
    with os.fdopen(answer_file, "w") as file:
        file.write(reply)


def perform(request: dict[str, Any]) -> str:
    """Return {"value"} or {"raised"} or {"syntax"}, as JSON."""
    try:
        code = compile(request["solution"], "solution.py", "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        return json.dumps({"syntax": str(error)})
    module = types.ModuleType("solution")
    sys.modules["solution"] = module
    if "Solution" in code.co_names:
        exec(LEETCODE, vars(module))
    try:
        exec(code, vars(module))
        function = _find(module, request["function"])
        return json.dumps({"value": plain(function(*request["args"], **request["kwargs"]))})
    except BaseException as error:
        where, step = "", error.__traceback__
        while step is not None:
            if step.tb_frame.f_code.co_filename == "solution.py":
                where = f" (line {step.tb_lineno} of the program)"
            step = step.tb_next
        return json.dumps({"raised": f"{type(error).__name__}: {error}"[:1000] + where})


def plain(value: Any) -> Any:
    """Return a value as JSON has it: tuples become lists.

    Raises:
        TypeError: it is not plain data.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    raise TypeError(f"the function returned a {type(value).__name__}, which JSON has no form for")


def _find(module: types.ModuleType, name: str) -> Any:
    """A global function, else a method of the class `Solution`, as LeetCode's problems have it."""
    owner, _, method = name.rpartition(".")
    if owner:
        return getattr(getattr(module, owner)(), method)
    if not hasattr(module, name) and hasattr(module, "Solution"):
        return getattr(module.Solution(), name)
    return getattr(module, name)
