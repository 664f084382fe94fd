"""Whether a program ended for want of memory."""

from __future__ import annotations

import signal
from dataclasses import replace

from dunwu.sandbox.cgroups import Group
from dunwu.sandbox.records import Execution

_COMPLAINTS = (b"std::bad_alloc", b"JavaScript heap out of memory")
_END_BYTES = 4096


def judge_memory(execution: Execution, group: Group | None) -> Execution:
    """Complete an execution by what the control group, or else the program's last words, say about memory."""
    if group is not None:
        peak = group.peak_bytes()
        if peak is not None:
            execution = replace(execution, peak_memory_bytes=peak)
        killed = group.ran_out_of_memory()
        if killed and execution.outcome in ("exited", "signalled"):
            used = max(execution.peak_memory_bytes or 0, group.allowed_bytes)
            return _out_of_memory(replace(execution, peak_memory_bytes=used), "used more memory than allowed")
    if complains_of_memory(execution):
        return _out_of_memory(execution, "was denied memory")
    return execution


def _out_of_memory(execution: Execution, detail: str) -> Execution:
    return replace(execution, outcome="memory", exit_code=None, signal=None, detail=detail)


def complains_of_memory(execution: Execution) -> bool:
    """Whether a failed program's last words are those of its language when memory is denied."""
    end = execution.stderr[-_END_BYTES:]
    if execution.outcome == "exited" and execution.exit_code == 1:
        lines = end.strip().splitlines()
        return bool(lines) and lines[-1].startswith(b"MemoryError")
    if execution.outcome == "signalled" and execution.signal in (signal.SIGABRT, signal.SIGTRAP):
        return any(complaint in end for complaint in _COMPLAINTS)
    return False
