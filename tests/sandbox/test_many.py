"""Hundreds of programs, honest and hostile, from many threads: all answered, and nothing grows."""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psutil
import pytest

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Command

from .conftest import LIMITS, eventually, needs_bubblewrap, open_files, traces

pytestmark = needs_bubblewrap

HOSTILE = {
    "exited": "import os\nfor _ in range(3): os.fork()\nos._exit(0)",
    "signalled": "import ctypes; ctypes.string_at(0)",
    "time": "import os\nos.fork()\nwhile True: pass",
    "memory": "x = [bytearray(10**7) for _ in range(100)]",
    "output": "while True: print('x' * 10000)",
}
TIGHT = replace(LIMITS, cpu_seconds=0.2, wall_seconds=30, memory_bytes=64 * 2**20)


def run_one(executor, number):
    """Every fourth program is hostile; every sixteenth is not in Python. Returns what it was to end as, and what it did."""
    if number % 16 == 3:
        execution = executor.run(Command(("/bin/cat",), str(number).encode()), LIMITS)
        return "exited", execution.outcome, execution.stdout == str(number).encode()
    if number % 4 == 1:
        expected = list(HOSTILE)[number // 4 % len(HOSTILE)]
        execution = executor.run_python(HOSTILE[expected], b"", {}, TIGHT)
        return expected, execution.outcome, True
    execution = executor.run_python("print(int(input()) + 1)", str(number).encode(), {}, LIMITS)
    return "exited", execution.outcome, execution.stdout == f"{number + 1}\n".encode()


def measure_many(count: int) -> None:
    others = set(psutil.Process().children(recursive=True))
    with open_executor(BubblewrapSandbox(max_parallel=3)) as executor, ThreadPoolExecutor(16) as pool:
        warm = list(pool.map(lambda number: run_one(executor, number), range(32)))
        files, threads = len(open_files()), psutil.Process().num_threads()
        memory = psutil.Process().memory_info().rss
        outcomes = warm + list(pool.map(lambda number: run_one(executor, number), range(count)))
        assert Counter(expected for expected, _, _ in outcomes) == Counter(
            outcome for _, outcome, _ in outcomes
        )
        assert all(expected == outcome and right for expected, outcome, right in outcomes)
        assert len(open_files()) <= files
        assert psutil.Process().num_threads() <= threads
        assert psutil.Process().memory_info().rss - memory < 20e6
        jails_and_janitor = 3 * 3 + 1
        family = psutil.Process()
        assert eventually(lambda: len(set(family.children(recursive=True)) - others) <= jails_and_janitor)
    assert not [trace for trace in traces(os.getpid()) if f"-{id(executor._groups):x}" in trace]


def test_many_programs_leave_nothing_behind():
    measure_many(32)


@pytest.mark.slow
def test_thousands_of_programs_leave_nothing_behind():
    measure_many(5000)
