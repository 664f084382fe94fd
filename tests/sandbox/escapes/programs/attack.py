"""What the attacking programs share: their targets, and one line for each attempt.

A line `TRIED what: error` shows that the attempt was made and refused; `ESCAPED what` that it worked. Secrets of the
host that are read count by themselves when they are printed.
"""

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

targets: dict[str, Any] = json.load(sys.stdin)
rounds: int = targets["rounds"]
_libc = ctypes.CDLL(None, use_errno=True)


def note(what: str) -> None:
    """Says that an attempt begins; for attempts that may not come back."""
    print("TRIED", what, flush=True)


def show(what: str, attempt: Callable[[], object]) -> None:
    """Prints what an attempt found, or why it was refused."""
    try:
        found = attempt()
    except (OSError, ValueError) as error:
        print("TRIED", what, error, flush=True)
    else:
        print("TRIED", what, "->", repr(found)[:5000], flush=True)


def must_fail(what: str, attempt: Callable[[], object]) -> None:
    """Makes an attempt that is an escape when the system lets it through."""
    try:
        found = attempt()
    except (OSError, ValueError) as error:
        print("TRIED", what, error, flush=True)
    else:
        print("ESCAPED", what, repr(found)[:200], flush=True)


def syscall(number: int, *arguments: object) -> int:
    """A raw system call of x86-64; raises OSError where it returns -1."""
    result = _libc.syscall(ctypes.c_long(number), *arguments)
    if result == -1:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result
