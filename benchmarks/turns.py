"""Sides of a comparison take turns: all are loaded, then each round every side does the same thing once, in alternating order.

So a change in the machine's speed meets all sides. A waiting side is blocked on a pipe and uses no processor.
"""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, limits
from benchmarks.worker import Worker
from dunwu.models.precision import computes_bfloat16, torch_device

ROOT = Path(__file__).parents[1]
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
TIMEOUT_SECONDS = 1800.0
MAX_LOAD = 0.5


@dataclass(frozen=True)
class Side:
    """Who takes part: its name in the table, its worker module, and the interpreter that has what it needs."""

    name: str
    module: str
    python: str = sys.executable
    environment: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def loaded(sides: Sequence[Side], arguments: Mapping[str, str]) -> Iterator[dict[str, Worker]]:
    """Start the sides, which load side by side; they end with the context.

    Args:
        arguments: of each side's worker, by the side's name.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dunwu-bench-")))
        workers: dict[str, Worker] = {}
        for side in sides:
            worker = Worker(
                side.module,
                arguments[side.name],
                folder / side.name,
                TIMEOUT_SECONDS,
                python=side.python,
                environment=side.environment,
            )
            stack.callback(worker.close)
            workers[side.name] = worker
        yield workers


def in_turns(names: Sequence[str], round_number: int) -> list[str]:
    """The order of a round: every other one is reversed."""
    return list(names) if round_number % 2 == 0 else list(reversed(names))


def has_bfloat16() -> bool:
    """Whether this machine has instructions for bfloat16; without them, comparisons in it take hours and tell nothing."""
    return computes_bfloat16(torch_device("auto"))


def host_and_limits() -> dict[str, Any]:
    """What the machine is and can do; warns as `host_or_warn` does."""
    host = host_or_warn()
    return {**host, **limits(bfloat16=host["bfloat16"])}


def host_or_warn() -> dict[str, Any]:
    """What the machine is; warns where other work will disturb the figures."""
    host = {**describe(), "bfloat16": has_bfloat16()}
    if host["load_average"] > MAX_LOAD:
        load = f"the load average is {host['load_average']:.1f}"
        print(f"warning: {load}; other work on this machine will disturb the figures", file=sys.stderr)
    return host
