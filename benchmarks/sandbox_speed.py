"""How many programs a second the sandbox runs on one core: `python -m benchmarks.sandbox_speed`.

Each kind of start is measured for some seconds on one core, one program after the other, and reported by the wall clock and by
the processor time that dunwu, its jails and the programs took together; on a machine with other work, only the latter tells.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.sandbox.bubblewrap import BubblewrapExecutor
from dunwu.sandbox.cgroups import find_hierarchies
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.jail_root import root_arguments
from dunwu.sandbox.open import compile_filters, make_blueprint
from dunwu.sandbox.records import Command, Limits

PROGRAM = "print(sum(map(int, input().split())))"
LIMITS = Limits(cpu_seconds=5, wall_seconds=20, memory_bytes=256 * 2**20)


def processor_seconds() -> float:
    """Processor time of this process, of what it has waited for, and of what still runs below it."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    total = sum(usage.ru_utime + usage.ru_stime for usage in used)
    for child in psutil.Process().children(recursive=True):
        try:
            total += sum(child.cpu_times()[:4])
        except psutil.NoSuchProcess:
            continue
    return total


def measure(run: Callable[[], bool], seconds: float) -> dict[str, float]:
    """Run again and again for `seconds`; return runs per second of wall clock and of processor time."""
    for _ in range(3):
        assert run()
    count, used, started = 0, processor_seconds(), time.perf_counter()
    while time.perf_counter() - started < seconds:
        assert run()
        count += 1
    wall, used = time.perf_counter() - started, processor_seconds() - used
    return {
        "runs": count,
        "per_second": count / wall,
        "per_core_second": count / used,
        "cpu_ms": 1000 * used / count,
    }


def bare_bubblewrap() -> bool:
    """bubblewrap alone, with the sandbox's root and namespaces, running /bin/true; no limits, no filter, no answer."""
    unshared = [f"--unshare-{name}" for name in ("user", "ipc", "pid", "net", "uts", "cgroup-try")]
    command = [
        "bwrap",
        *unshared,
        "--die-with-parent",
        "--new-session",
        *root_arguments({}, (), 2**20),
        "--",
        "/bin/true",
    ]
    return subprocess.run(command, check=False).returncode == 0


def python_runner(executor: Executor) -> Callable[[], bool]:
    return lambda: executor.run_python(PROGRAM, b"1 2 3\n", {}, LIMITS).stdout == b"6\n"


def true_runner(executor: Executor) -> Callable[[], bool]:
    return lambda: executor.run(Command(("/bin/true",)), LIMITS).exit_code == 0


def build(*, nested: bool) -> BubblewrapExecutor:
    """The executor with one place, with or without the zygote."""
    config = BubblewrapSandbox()
    blueprint = make_blueprint(config, compile_filters(config, memory_is_bound=True), nested=nested)
    return BubblewrapExecutor(blueprint, find_hierarchies(), 1, {})


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args(arguments)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    results = {"bubblewrap alone, /bin/true": measure(bare_bubblewrap, options.seconds)}
    for nested, name in ((False, "a jail for each program"), (True, "forked from a zygote")):
        with build(nested=nested) as executor:
            results[f"{name}, Python"] = measure(python_runner(executor), options.seconds)
            results[f"{name}, /bin/true"] = measure(true_runner(executor), options.seconds)
    for name, figures in results.items():
        print(f"{name:38} {figures['per_second']:6.1f} /s   {figures['per_core_second']:6.1f} /s of processor time"
              f"   {figures['cpu_ms']:6.2f} ms")  # fmt: skip
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
