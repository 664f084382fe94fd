"""A training step on a machine where something else is busy, by how long waiting threads of OpenMP stay awake.

    python -m benchmarks.busy_machine [--steps 3] [--output FILE]

`dunwu` makes them sleep soon (`dunwu.cli.openmp`); beside that stands OpenMP's own setting. Each step is that of the benchmark
`grpo_step`, case `micro`. The other program is one process that never rests; or one that uses torch, with OpenMP's own setting.
"""

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import versions
from benchmarks.record import LATEST, record
from benchmarks.results import text_table
from benchmarks.turns import ROOT, host_or_warn
from dunwu.cli.openmp import wait_briefly

NAME = "busy_machine"
SETTINGS = ("OpenMP's own", "dunwu's")
NEIGHBOURS = {
    "machine at rest": None,
    "beside a busy program": "while True: pass",
    "beside a torch program": "import torch\na = torch.randn(512, 512)\nwhile True: (a @ a).exp_()",
}
"""What else runs, and its program."""
STEPS_PROGRAM = """
import sys
from dataclasses import replace
from benchmarks.dunwu_grpo import DunwuTrainer, ModelConfig, load_policy
from benchmarks.grpo_step import CASES
workload = replace(CASES["micro"][1], num_steps=int(sys.argv[1]) + 1)
policy = load_policy(ModelConfig(path=workload.model, dtype=workload.dtype, device="cpu"))
trainer = DunwuTrainer(policy, workload)
for _ in range(workload.num_steps):
    print("step", trainer.step()["step_seconds"], flush=True)
"""


def main() -> None:
    """Measure, print and record."""
    arguments = parse_arguments()
    host = host_or_warn()
    seconds: dict[str, dict[str, list[float]]] = {setting: {} for setting in SETTINGS}
    for neighbour, program in NEIGHBOURS.items():
        for setting in SETTINGS:
            with running(program):
                seconds[setting][neighbour] = step_seconds(setting, arguments.steps)
    found = {"machine": host, "versions": versions("dunwu", "torch"), "step_seconds": seconds}
    record(arguments.output, NAME, found)
    rows = [
        [setting, *(f"{statistics.median(values):.2f} s" for values in of_setting.values())]
        for setting, of_setting in seconds.items()
    ]
    print(f"\na step on micro, median of {arguments.steps}, {host['cpu']}\n")
    print(text_table(["waiting", *NEIGHBOURS], rows))


def step_seconds(setting: str, steps: int) -> list[float]:
    """Seconds of each step but the first, in a fresh process."""
    environment = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    if setting == "dunwu's":
        wait_briefly(environment)
    command = [sys.executable, "-c", STEPS_PROGRAM, str(steps)]
    printed = subprocess.run(
        command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    taken = [float(line.split()[1]) for line in printed.stdout.splitlines() if line.startswith("step ")]
    return taken[1:]


@contextmanager
def running(program: str | None) -> Iterator[None]:
    """Run a program of Python meanwhile; None: nothing."""
    if program is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", program])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--steps", type=int, default=3, help="steps measured in each case, after one that is not"
    )
    parser.add_argument(
        "--output", type=Path, default=LATEST, help="the results file to put the figures into"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
