"""Generation: dunwu's embedded engine beside transformers' `generate` and vLLM's CPU build, in turns, in one run.

    python -m benchmarks.generate --case 64|256|grid [--rounds N] [--new-tokens N] [--sides dunwu,transformers,vLLM]

`64` and `256` are the comparisons with a ratio of their own; `grid` measures 1, 16, 64 and 256 sequences, short and long
prompts, sampled and greedy. All sides are loaded at the same time. README.md beside this file says what is fair.
"""

import argparse
import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.products import DTYPES, forward_seconds, read_shapes, total_flops, weight_bytes
from benchmarks.record import LATEST, record
from benchmarks.results import speed_ratio, text_table
from benchmarks.turns import ROOT, VLLM_PYTHON, Side, host_and_limits, in_turns, loaded
from benchmarks.workload import Cell
from dunwu.models.loading import resolve_model

OURS, HF, VLLM = "dunwu", "transformers", "vLLM"
SHORT_OF = {HF: "hf", VLLM: "vllm"}
GROUP = 8
LONG_SENTENCES = 40
"""About 12 tokens each."""
WARM_UP_TOKENS = 8
CELL_TOKENS = 128
LONGEST = 1024
CASES: dict[str, tuple[tuple[Cell, ...], tuple[str, ...], int]] = {
    "64": ((Cell(8, GROUP, CELL_TOKENS),), (OURS, HF, VLLM), 3),
    "256": ((Cell(32, GROUP, CELL_TOKENS),), (OURS, VLLM), 3),
    "grid": (
        tuple(
            Cell(-(-sequences // GROUP), min(sequences, GROUP), 64, sentences, temperature)
            for sequences in (1, 16, 64, 256)
            for sentences in (0, LONG_SENTENCES)
            for temperature in (1.0, 0.0)
        ),
        (OURS, HF, VLLM),
        2,
    ),
}
"""The cells of each case, who takes part, and the rounds."""


def main() -> None:
    """Parse the command line, run the comparison, print and record it."""
    arguments = parse_arguments()
    cells, names, rounds = CASES[arguments.case]
    cells = tuple(
        dataclasses.replace(cell, new_tokens=arguments.new_tokens or cell.new_tokens)
        for cell in cells
        if cell.num_sequences <= arguments.most_sequences
    )
    names = tuple(name for name in names if not arguments.sides or name in arguments.sides)
    model, rounds = resolve_model(arguments.model), arguments.rounds or rounds
    host = host_and_limits()
    bounds = {cell.num_sequences: decode_bound(model, cell.num_sequences, arguments.dtype) for cell in cells}
    sides = [make_side(name) for name in names]
    argument = {
        "model": model,
        "dtype": arguments.dtype,
        "longest": LONGEST,
        "most_sequences": max(cell.num_sequences for cell in cells),
        "eager": not arguments.compile,
    }
    seconds, workers = measure(sides, cells, rounds, argument)
    found = {
        "model": arguments.model,
        "dtype": arguments.dtype,
        "machine": host,
        "cells": {
            cell.name: cell_figures(cell, seconds[cell], bounds[cell.num_sequences], host) for cell in cells
        },
        "workers": workers,
    }
    name = f"generate{arguments.case}" if arguments.case != "grid" else "generate_grid"
    record(arguments.output, name, found, case_ratios(name, found) if arguments.case != "grid" else {})
    print(
        f"\ngeneration, {arguments.model} {arguments.dtype}, {host['cpu']}, {host['torch_threads']} threads; tokens/s\n"
    )
    print(table(found, names))
    print(f"\nin {arguments.output}")


def make_side(name: str) -> Side:
    """The side of a name.

    Raises:
        SystemExit: the environment of vLLM is not there.
    """
    if name == OURS:
        return Side(OURS, "benchmarks.dunwu_generate")
    if name == HF:
        return Side(HF, "benchmarks.peers.hf_generate")
    if not VLLM_PYTHON.exists():
        raise SystemExit(
            f"{VLLM_PYTHON} does not exist; run benchmarks/environment.sh vllm, or leave vLLM out by --sides"
        )
    preload = sorted(str(path) for path in (ROOT / ".venv-vllm").glob("lib/libiomp5.so"))
    environment = {
        "VLLM_CPU_KVCACHE_SPACE": "4",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "LD_PRELOAD": ":".join(preload),
        "PYTHONPATH": str(ROOT),
    }
    return Side(VLLM, "benchmarks.peers.vllm_generate", str(VLLM_PYTHON), environment)


def measure(
    sides: Sequence[Side], cells: Sequence[Cell], rounds: int, argument: Mapping[str, Any]
) -> tuple[dict[Cell, dict[str, list[float]]], dict[str, Any]]:
    """Let the sides take turns on every cell, after a short unmeasured turn on each.

    Returns:
        Seconds by cell, side and round; what each worker says of itself, and its peak memory.
    Raises:
        ValueError: a side generated more or fewer tokens than asked for, or from other prompts.
    """
    names = [side.name for side in sides]
    seconds: dict[Cell, dict[str, list[float]]] = {cell: {name: [] for name in names} for cell in cells}
    with loaded(sides, dict.fromkeys(names, json.dumps(argument))) as workers:
        said = {name: worker.ready() for name, worker in workers.items()}
        for cell in cells:
            warm_up = dataclasses.replace(cell, new_tokens=min(cell.new_tokens, WARM_UP_TOKENS), seed=999)
            for name in names:
                workers[name].step(**dataclasses.asdict(warm_up))
        for number in range(rounds):
            for cell in cells:
                answers = {}
                for name in in_turns(names, number):
                    answers[name] = workers[name].step(**dataclasses.asdict(cell) | {"seed": number})
                    seconds[cell][name].append(answers[name]["seconds"])
                    rate = cell.num_tokens / answers[name]["seconds"]
                    print(
                        f"round {number + 1}/{rounds}  {cell.name:<42} {name:<12} {rate:8.1f} tokens/s",
                        flush=True,
                    )
                check_same_tokens(cell, answers)
        peaks = {name: worker.close() for name, worker in workers.items()}
    return seconds, {name: {**said[name], "peak_rss_bytes": peaks[name]} for name in names}


def check_same_tokens(cell: Cell, answers: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse to compare sides that generated more or fewer tokens than asked for, or from other prompts.

    Raises:
        ValueError: they did.
    """
    for name, answer in answers.items():
        if answer["generated_tokens"] != cell.num_tokens or answer["completions"] != cell.num_sequences:
            raise ValueError(
                f"{cell.name}: {name} generated {answer['generated_tokens']} tokens in {answer['completions']} completions, "
                f"not {cell.num_tokens} in {cell.num_sequences}"
            )
    if len({answer["prompt_tokens"] for answer in answers.values()}) > 1:
        raise ValueError(
            f"{cell.name}: prompt tokens differ: { {n: a['prompt_tokens'] for n, a in answers.items()} }"
        )


def decode_bound(model: str, sequences: int, dtype: str) -> dict[str, float]:
    """What the products of a decode step allow: seconds of a step, FLOP/s and tokens/s; and the bytes of weights it reads."""
    products = read_shapes(model)
    seconds = forward_seconds(products, sequences, DTYPES[dtype])
    return {
        "step_seconds": seconds,
        "flops": total_flops(products, sequences) / seconds,
        "tokens_per_second": sequences / seconds,
        "weight_bytes": weight_bytes(products, DTYPES[dtype].itemsize),
    }


def cell_figures(
    cell: Cell, seconds: Mapping[str, Sequence[float]], bound: Mapping[str, float], host: Mapping[str, Any]
) -> dict[str, Any]:
    """Rates, ratios and shares of one cell."""
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    weights = bound["weight_bytes"] * cell.new_tokens
    return {
        **dataclasses.asdict(cell),
        "num_sequences": cell.num_sequences,
        "seconds": {name: list(values) for name, values in seconds.items()},
        "tokens_per_second": {name: cell.num_tokens / median for name, median in medians.items()},
        "matmul_bound": dict(bound),
        "share_of_matmul_bound": {
            name: cell.num_tokens / median / bound["tokens_per_second"] for name, median in medians.items()
        },
        "share_of_memory_read_rate": {
            name: weights / median / host["memory_read_bytes_per_second"] for name, median in medians.items()
        },
        "speed": {
            name: speed_ratio(seconds[OURS], values)
            for name, values in seconds.items()
            if name != OURS and OURS in seconds
        },
    }


def case_ratios(name: str, found: Mapping[str, Any]) -> dict[str, float]:
    """The ratios of a case of one cell, by name: generate64_vs_hf, ..."""
    (cell,) = found["cells"].values()
    return {f"{name}_vs_{SHORT_OF[peer]}": speed["ratio"] for peer, speed in cell["speed"].items()}


def table(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """One line for each cell: rates, ratios, and our share of what the products at this batch size allow."""
    peers = [name for name in names if name != OURS]
    head = ["", *names, *(f"vs {peer}" for peer in peers), "bound", "share"]
    rows = []
    for name, cell in found["cells"].items():
        rates = [f"{cell['tokens_per_second'][side]:.0f}" for side in names]
        ratios = [f"{cell['speed'][peer]['ratio']:.2f}x" if peer in cell["speed"] else "" for peer in peers]
        share = cell["share_of_matmul_bound"].get(OURS)
        bound = f"{cell['matmul_bound']['tokens_per_second']:.0f}"
        rows.append([name, *rates, *ratios, bound, "" if share is None else f"{share:.0%}"])
    return text_table(head, rows)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the comparisons that are published."""
    parser = argparse.ArgumentParser(description="Compare generation by dunwu, transformers and vLLM.")
    parser.add_argument("--case", choices=list(CASES), default="64")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", choices=list(DTYPES), default="bfloat16")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--new-tokens", type=int)
    parser.add_argument("--most-sequences", type=int, default=256, help="leave out cells with more")
    parser.add_argument(
        "--sides", type=lambda text: text.split(","), help=f"of {OURS}, {HF}, {VLLM}; default all"
    )
    parser.add_argument("--compile", action="store_true", help="let vLLM compile the model")
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
