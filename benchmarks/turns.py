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

from benchmarks.machine import describe
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


def host_or_warn() -> dict[str, Any]:
    """What the machine is; warns where other work will disturb the figures, and where bfloat16 says nothing about a side."""
    host = {**describe(), "bfloat16": computes_bfloat16(torch_device("auto"))}
    if not host["bfloat16"]:
        print(
            "warning: this machine has no instructions for bfloat16: comparisons in it take hours and tell nothing of the sides; "
            "use --dtype float32 where a benchmark has it",
            file=sys.stderr,
        )
    if host["load_average"] > MAX_LOAD:
        load = f"the load average is {host['load_average']:.1f}"
        print(f"warning: {load}; other work on this machine will disturb the figures", file=sys.stderr)
    return host
