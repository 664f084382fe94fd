"""Fine-tuning on packed rows: dunwu beside TRL's SFTTrainer; same model, samples and tokens, in turns, in one run.

    python -m benchmarks.sft [--steps N] [--rows N] [--row-tokens N] [--output FILE]

Both pack the same samples themselves; the figure is trained tokens per second. README.md beside this file says what is fair.
"""

import argparse
import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.products import DTYPES, backward_seconds, forward_seconds, read_shapes, total_flops
from benchmarks.record import LATEST, record
from benchmarks.results import GIB, speed_ratio, text_table
from benchmarks.turns import Side, host_and_limits, in_turns, loaded
from benchmarks.workload import SftWorkload
from dunwu.models.loading import resolve_model

NAME = "sft_vs_trl"
OURS, PEER = Side("dunwu", "benchmarks.dunwu_sft"), Side("TRL", "benchmarks.peers.trl_sft")
MOST_DIFFERENCE = 0.15
"""How far a step's tokens may lie from what fits into its rows: packing and the last row."""


def main() -> None:
    """Parse the command line, run the comparison, print and record it."""
    arguments = parse_arguments()
    model = resolve_model(arguments.model)
    workload = SftWorkload(
        model=model,
        vocab_size=json.loads((Path(model) / "config.json").read_text())["vocab_size"],
        row_tokens=arguments.row_tokens,
        rows_per_step=arguments.rows,
        num_steps=arguments.steps,
        dtype=arguments.dtype,
        peer_rows=arguments.peer_rows,
        peer_packing=arguments.peer_packing,
    )
    host = host_and_limits()
    bound = token_bound(workload)
    steps, workers = compare([OURS, PEER], workload)
    check_tokens(workload, steps)
    found = figures(arguments.model, workload, host, bound, steps, workers)
    record(arguments.output, NAME, found, {NAME: found["speed"]["ratio"]})
    print(
        f"\nSFT, {arguments.model}, {workload.rows_per_step} x {workload.row_tokens} tokens, {host['cpu']}\n"
    )
    print(table(found))
    speed = found["speed"]
    print(
        f"\n{NAME}: {speed['ratio']:.2f} ({speed['lowest']:.2f} .. {speed['highest']:.2f}); in {arguments.output}"
    )


def compare(
    sides: Sequence[Side], workload: SftWorkload
) -> tuple[dict[str, list[dict[str, float]]], dict[str, Any]]:
    """Load the sides, then let them take turns, step by step; returns the steps' figures and what the workers say."""
    names = [side.name for side in sides]
    with loaded(sides, dict.fromkeys(names, workload.to_json())) as workers:
        said = {name: worker.ready() for name, worker in workers.items()}
        steps: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        for number in range(workload.num_steps):
            for name in in_turns(names, number):
                steps[name].append(workers[name].step())
                rate = steps[name][-1]["trained_tokens"] / steps[name][-1]["seconds"]
                print(f"step {number + 1}/{workload.num_steps}  {name:<6} {rate:8.1f} tokens/s", flush=True)
        peaks = {name: worker.close() for name, worker in workers.items()}
    return steps, {name: {**said[name], "peak_rss_bytes": peaks[name]} for name in names}


def check_tokens(workload: SftWorkload, steps: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
    """Refuse to compare where a side's step did not train on about as many tokens as its rows hold.

    Raises:
        ValueError: it did not.
    """
    full = workload.rows_per_step * workload.row_tokens
    for name, of_side in steps.items():
        for number, step in enumerate(of_side, 1):
            if not (1 - MOST_DIFFERENCE) * full <= step["trained_tokens"] <= full:
                raise ValueError(
                    f"step {number}: {name} trained on {step['trained_tokens']} tokens; {full} fit into its rows"
                )


def token_bound(workload: SftWorkload) -> dict[str, float]:
    """What the products of a row allow: seconds of a token, and the rates of its passes."""
    products, dtype, rows = read_shapes(workload.model), DTYPES[workload.dtype], workload.row_tokens
    forward, backward = forward_seconds(products, rows, dtype), backward_seconds(products, rows, dtype)
    flops = total_flops(products, rows)
    return {
        "seconds_per_token": (forward + backward) / rows,
        "flops_per_token": 3 * flops / rows,
        "row_forward_flops": flops / forward,
        "row_backward_flops": 2 * flops / backward,
    }


def figures(
    model: str,
    workload: SftWorkload,
    host: Mapping[str, Any],
    bound: Mapping[str, float],
    steps: Mapping[str, Sequence[Mapping[str, float]]],
    workers: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that is written beside the ratio; it compares seconds per token."""
    per_token = {
        name: [s["seconds"] / s["trained_tokens"] for s in of_side] for name, of_side in steps.items()
    }
    rates = {name: 1 / statistics.median(values) for name, values in per_token.items()}
    peak = host["matmul_bf16_flops" if workload.dtype == "bfloat16" else "matmul_fp32_flops"]
    return {
        "workload": {**dataclasses.asdict(workload), "model": model},
        "machine": dict(host),
        "bound": dict(bound),
        "speed": speed_ratio(per_token[OURS.name], per_token[PEER.name]),
        "tokens_per_second": rates,
        "share_of_matmul_peak": {
            name: rate * bound["flops_per_token"] / peak for name, rate in rates.items()
        },
        "share_of_bound_at_shapes": {name: rate * bound["seconds_per_token"] for name, rate in rates.items()},
        "steps": {name: list(map(dict, of_side)) for name, of_side in steps.items()},
        "workers": dict(workers),
    }


def table(found: Mapping[str, Any]) -> str:
    """The comparison as lines of text."""
    rows = [
        [
            name,
            f"{rate:.0f}",
            f"{found['share_of_matmul_peak'][name]:.0%}",
            f"{found['share_of_bound_at_shapes'][name]:.0%}",
            f"{found['workers'][name]['peak_rss_bytes'] / GIB:.2f}",
        ]
        for name, rate in found["tokens_per_second"].items()
    ]
    return text_table(["", "tokens/s", "of peak", "at shapes", "peak [GiB]"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the comparison that is published."""
    parser = argparse.ArgumentParser(description="Compare packed fine-tuning by dunwu and by TRL.")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", choices=list(DTYPES), default="bfloat16")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--row-tokens", type=int, default=1024)
    parser.add_argument("--peer-rows", type=int, default=1, help="rows of a micro-batch of TRL")
    parser.add_argument("--peer-packing", choices=("bfd", "wrapped"), default="bfd")
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
