"""One GRPO step of dunwu beside one of TRL: same model, prompts, lengths and objective, in turns, in one run.

    python -m benchmarks.grpo_step [--case fixed|varied|micro|long] [--steps N] [--output FILE]

Both trainers are loaded at the same time, each in a process of its own; while one makes a step the other
waits. Prints the table and puts the ratio into `benchmarks/results/latest.json`. README.md beside this file says what is
counted and what is fair.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.products import DTYPES, backward_seconds, forward_seconds, read_shapes, total_flops
from benchmarks.record import LATEST, record
from benchmarks.results import (
    SideFigures,
    StepFigures,
    bound_seconds,
    check_same_work,
    speed_ratio,
    step_table,
)
from benchmarks.turns import Side, host_and_limits, in_turns, loaded
from benchmarks.workload import StepWorkload
from dunwu.models.loading import resolve_model

OURS, PEER = Side("dunwu", "benchmarks.dunwu_grpo"), Side("TRL", "benchmarks.peers.trl_grpo")
CASES: dict[str, tuple[str, StepWorkload]] = {
    "fixed": ("grpo_step_vs_trl", StepWorkload("smollm2")),
    "varied": (
        "grpo_step_varied_vs_trl",
        StepWorkload("smollm2", completion_tokens=240, shortest_tokens=16, most_sentences=12, num_steps=2),
    ),
    "micro": (
        "grpo_step_micro_vs_trl",
        StepWorkload(
            "micro", dtype="float32", chat=False, num_steps=5, peer_micro_batch=64, micro_batch_tokens=16384
        ),
    ),
    "long": (
        "grpo_step_long_vs_trl",
        StepWorkload(
            "smollm2",
            num_prompts=4,
            completion_tokens=512,
            num_steps=2,
            peer_micro_batch=2,
            micro_batch_tokens=4608,
        ),
    ),
}
"""The ratio's name and the published workload of each case."""


def main() -> None:
    """Parse the command line, run the comparison, print and record it."""
    arguments = parse_arguments()
    name, workload = CASES[arguments.case]
    changes = {key: value for key in SIZES if (value := getattr(arguments, key)) is not None}
    if arguments.plain:
        changes["chat"] = False
    model = arguments.model or workload.model
    workload = dataclasses.replace(workload, **changes, model=resolve_model(model))
    host = host_and_limits()
    shapes = shape_bound(workload)
    ours, peer = compare([OURS, PEER], workload)
    check_same_work([ours, peer], [workload.tokens_of_step(step) for step in range(workload.num_steps)])
    ratio = speed_ratio(ours.step_seconds, peer.step_seconds)
    found = figures(model, workload, host, shapes, [ours, peer]) | {"speed": ratio}
    record(arguments.output, name, found, {name: ratio["ratio"]})
    print(f"\nGRPO step, {model}, {size_text(workload)}, {host['cpu']}, {host['torch_threads']} threads\n")
    print(step_table(ours, peer))
    print(share_lines(found))
    print(
        f"\n{name}: {ratio['ratio']:.2f} ({ratio['lowest']:.2f} .. {ratio['highest']:.2f}); in {arguments.output}"
    )


def compare(sides: Sequence[Side], workload: StepWorkload) -> list[SideFigures]:
    """Load the sides, then let them take turns, step by step."""
    by_name = {side.name: side for side in sides}
    with loaded(sides, {side.name: workload.to_json() for side in sides}) as workers:
        said = {name: worker.ready() for name, worker in workers.items()}
        steps: dict[str, list[StepFigures]] = {name: [] for name in by_name}
        for number in range(workload.num_steps):
            for name in in_turns(list(by_name), number):
                step = StepFigures(**workers[name].step())
                steps[name].append(step)
                print(
                    f"step {number + 1}/{workload.num_steps}  {name:<6} {step.step_seconds:7.1f} s",
                    flush=True,
                )
        return [
            SideFigures(name, steps[name], worker.close(), said[name]) for name, worker in workers.items()
        ]


def shape_bound(workload: StepWorkload) -> dict[str, float]:
    """Rates of the products at the step's own shapes: decoding all its sequences, and a packed row, forward and backward.

    `sampling_` and `training_seconds_per_token`: what a completion token needs at least, in the sampler and in reference,
    forward and backward.
    """
    products, dtype = read_shapes(workload.model), DTYPES[workload.dtype]
    sequences, rows = workload.num_sequences, workload.micro_batch_tokens
    decode, forward = forward_seconds(products, sequences, dtype), forward_seconds(products, rows, dtype)
    backward = backward_seconds(products, rows, dtype)
    return {
        "decode_flops": total_flops(products, sequences) / decode,
        "row_forward_flops": total_flops(products, rows) / forward,
        "row_backward_flops": 2 * total_flops(products, rows) / backward,
        "sampling_seconds_per_token": decode / sequences,
        "training_seconds_per_token": (2 * forward + backward) / rows,
    }


def figures(
    model: str,
    workload: StepWorkload,
    host: Mapping[str, Any],
    shapes: Mapping[str, float],
    sides: Sequence[SideFigures],
) -> dict[str, Any]:
    """Everything that is written beside the ratio."""
    ours, peer = sides
    # steps of varied length are medians of different work: each is compared with its own bound
    rate = host["matmul_bf16_flops" if workload.dtype == "bfloat16" else "matmul_fp32_flops"]
    parameters = ours.worker["num_parameters"]
    tokens = sum(workload.tokens_of_step(step) for step in range(workload.num_steps))
    bounds = {
        "step": bound_seconds(parameters, tokens, rate),
        "training": 0.8 * bound_seconds(parameters, tokens, rate),
        "step_at_shapes": tokens
        * (shapes["sampling_seconds_per_token"] + shapes["training_seconds_per_token"]),
        "sampling_at_shapes": tokens * shapes["sampling_seconds_per_token"],
        "training_at_shapes": tokens * shapes["training_seconds_per_token"],
    }
    return {
        "workload": {**dataclasses.asdict(workload), "model": model},
        "machine": dict(host),
        "shapes": dict(shapes),
        "matmul_bound_seconds": bounds["step"] / workload.num_steps,
        "share_of_bound": {side.name: _shares(side, bounds) for side in sides},
        "peak_memory_ratio": peer.peak_bytes / ours.peak_bytes,
        "dunwu": ours.to_record(),
        "trl": peer.to_record(),
    }


def _shares(side: SideFigures, bounds: Mapping[str, float]) -> dict[str, float]:
    """The least time over the time needed, of the whole step and of its two parts."""
    sampling = sum(step.generation_seconds for step in side.steps)
    whole = sum(side.step_seconds)
    return {
        "step": bounds["step"] / whole,
        "step_at_shapes": bounds["step_at_shapes"] / whole,
        "sampling_at_shapes": bounds["sampling_at_shapes"] / sampling,
        "training": bounds["training"] / (whole - sampling),
        "training_at_shapes": bounds["training_at_shapes"] / (whole - sampling),
    }


def share_lines(found: Mapping[str, Any]) -> str:
    """Shares of the machine's limits, one line for each side."""
    lines = []
    for name, shares in found["share_of_bound"].items():
        lines.append(
            f"{name}: {shares['step']:.0%} of the matrix-product peak, {shares['step_at_shapes']:.0%} of the products at "
            f"these shapes (sampling {shares['sampling_at_shapes']:.0%}, training {shares['training_at_shapes']:.0%})"
        )
    return "\n".join(lines)


def size_text(workload: StepWorkload) -> str:
    """The step's size in words."""
    shortest = workload.shortest_tokens
    tokens = f"{'' if shortest is None else f'{shortest}..'}{workload.completion_tokens}"
    return f"{workload.num_prompts} x {workload.group_size} x {tokens} tokens"


SIZES = (
    "num_steps",
    "num_prompts",
    "group_size",
    "completion_tokens",
    "peer_micro_batch",
    "micro_batch_tokens",
    "dtype",
)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the comparisons that are published."""
    parser = argparse.ArgumentParser(description="Compare a GRPO step of dunwu with one of TRL.")
    parser.add_argument("--case", choices=list(CASES), default="fixed")
    parser.add_argument("--model", help="smollm2, micro or a Hugging Face folder")
    parser.add_argument("--steps", dest="num_steps", type=int, help="measured steps of each side")
    parser.add_argument("--prompts", dest="num_prompts", type=int)
    parser.add_argument("--group-size", type=int)
    parser.add_argument(
        "--tokens", dest="completion_tokens", type=int, help="tokens of the longest completion"
    )
    parser.add_argument("--peer-micro-batch", type=int, help="completions of a forward pass of TRL")
    parser.add_argument("--micro-batch-tokens", type=int, help="tokens of a packed row of dunwu")
    parser.add_argument(
        "--plain", action="store_true", help="ask without chat template, for a model that has none"
    )
    parser.add_argument("--dtype", choices=list(DTYPES))
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
