"""One GRPO step of dunwu beside one of TRL: same model, prompts, lengths and objective, in turns, in one run.

    python -m benchmarks.grpo_step [--model FOLDER] [--steps N] [--output FILE]

Both trainers are loaded at the same time, each in a process of its own; while one makes a step the other
waits. Prints the table and writes `benchmarks/results/latest.json`. README.md beside this file says what is
counted and what is fair.
"""

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.results import LATEST, SideFigures, StepFigures, bound_seconds, check_same_work, record, table
from benchmarks.worker import Worker
from benchmarks.workload import StepWorkload
from dunwu.models.loading import resolve_model

OURS, PEER = "dunwu", "TRL"
MODULES = {OURS: "benchmarks.dunwu_grpo", PEER: "benchmarks.peers.trl_grpo"}
NAME = "grpo_step_vs_trl"
TIMEOUT_SECONDS = 1200.0


def main() -> None:
    """Parse the command line, run the comparison, print and record it."""
    arguments = parse_arguments()
    workload = StepWorkload(
        model=resolve_model(arguments.model),
        num_prompts=arguments.prompts,
        group_size=arguments.group_size,
        completion_tokens=arguments.tokens,
        num_steps=arguments.steps,
    )
    host = {**machine.describe(), **machine.limits()}
    if host["load_average"] > 0.5:
        load = f"the load average is {host['load_average']:.1f}"
        print(f"warning: {load}; other work on this machine will disturb the figures", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="dunwu-bench-") as folder:
        sides = compare(workload, [OURS, PEER], Path(folder))
    ours, peer = sides[OURS], sides[PEER]
    check_same_work(ours, peer, workload.tokens_per_step)
    ratio = peer.median_step_seconds / ours.median_step_seconds
    record(arguments.output, NAME, ratio, figures(arguments.model, workload, host, sides))
    size = f"{workload.num_prompts} x {workload.group_size} x {workload.completion_tokens} tokens"
    print(f"\nGRPO step, {arguments.model}, {size}, {host['cpu']}, {host['torch_threads']} threads\n")
    print(table(ours, peer))
    print(f"\n{NAME}: {ratio:.2f}; figures in {arguments.output}")


def compare(workload: StepWorkload, names: list[str], folder: Path) -> dict[str, SideFigures]:
    """Load the sides one after the other, then let them take turns, each round in the opposite order."""
    workers: dict[str, Worker] = {}
    try:
        said: dict[str, Mapping[str, Any]] = {}
        for name in names:
            workers[name] = Worker(MODULES[name], workload.to_json(), folder / name, TIMEOUT_SECONDS)
            said[name] = workers[name].ready()
        steps: dict[str, list[StepFigures]] = {name: [] for name in names}
        for number in range(workload.num_steps):
            for name in names if number % 2 == 0 else reversed(names):
                step = StepFigures(**workers[name].step())
                steps[name].append(step)
                print(
                    f"step {number + 1}/{workload.num_steps}  {name:<6} {step.step_seconds:7.1f} s",
                    flush=True,
                )
        return {name: SideFigures(name, steps[name], workers[name].close(), said[name]) for name in names}
    finally:
        for worker in workers.values():
            worker.close()


def figures(
    model: str, workload: StepWorkload, host: Mapping[str, Any], sides: Mapping[str, SideFigures]
) -> dict[str, Any]:
    """Everything that is written beside the ratio."""
    ours, peer = sides[OURS], sides[PEER]
    tokens = workload.tokens_per_step
    least = bound_seconds(ours.worker["num_parameters"], tokens, host["matmul_bf16_flops"])
    return {
        "workload": {**dataclasses.asdict(workload), "model": model},
        "machine": dict(host),
        "matmul_bound_seconds": least,
        "share_of_matmul_bound": {side.name: least / side.median_step_seconds for side in (ours, peer)},
        "peak_memory_ratio": peer.peak_bytes / ours.peak_bytes,
        "dunwu": ours.to_record(),
        "trl": peer.to_record(),
    }


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the comparison that is published."""
    parser = argparse.ArgumentParser(description="Compare a GRPO step of dunwu with one of TRL.")
    parser.add_argument("--model", default="smollm2", help="smollm2, micro or a Hugging Face folder")
    parser.add_argument("--steps", type=int, default=3, help="measured steps of each side")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=128, help="tokens of each completion")
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
