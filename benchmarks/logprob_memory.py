"""Memory of log-probs over the vocabulary: dunwu's chunks beside full logits, 8k to 152k tokens.

    python -m benchmarks.logprob_memory [--tokens 2048] [--width 576] [--output FILE]

Each point is a process of its own. Its figure is the most resident memory during the computation over what was there before
it: the inputs (hidden states, weight) are not counted, nor, in training, the gradient of the weight, which any way of computing
it must make: in the weights' dtype for full logits, in float32 besides in ours, which is said of each.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from benchmarks.machine import versions
from benchmarks.record import LATEST, record
from benchmarks.results import text_table
from benchmarks.turns import ROOT, host_or_warn
from benchmarks.worker import kernel_peak_bytes

NAME = "logprob_memory"
VOCABULARIES = (8_192, 16_384, 32_768, 49_152, 100_352, 151_936)
METHODS = ("dunwu", "full logits")
PASSES = ("scoring", "training")
CHUNK_TOKENS = 1024
HONEST_HEAP = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""Every tensor is mapped by itself and given back when it is freed: nothing that is freed lies about to be used again."""
MIB = 1 << 20


def main() -> None:
    """Measure every point, or, with --point, the one that it names."""
    arguments = parse_arguments()
    if arguments.point is not None:
        print(json.dumps(measure_point(**json.loads(arguments.point))))
        return
    host = host_or_warn()
    points = []
    for vocabulary in arguments.vocabularies:
        for kind in PASSES:
            for method in METHODS:
                points.append(run_point(method, kind, vocabulary, arguments))
                print(point_line(points[-1]), flush=True)
    found = {
        "tokens": arguments.tokens,
        "width": arguments.width,
        "dtype": arguments.dtype,
        "machine": host,
        "versions": versions("dunwu", "torch"),
        "points": points,
        "flatness": {kind: half_spread_frac(peaks(points, "dunwu", kind)) for kind in PASSES},
    }
    record(arguments.output, NAME, found)
    print(
        f"\nlog-probs of {arguments.tokens} tokens of width {arguments.width}, {arguments.dtype}; peak [MiB]\n"
    )
    print(table(points))
    for kind, frac in found["flatness"].items():
        print(f"dunwu, {kind}: within +-{frac:.1%} from the smallest to the largest vocabulary")


def run_point(method: str, kind: str, vocabulary: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one point in a process of its own."""
    point = {
        "method": method,
        "kind": kind,
        "vocabulary": vocabulary,
        "tokens": arguments.tokens,
        "width": arguments.width,
        "dtype": arguments.dtype,
    }
    command = [sys.executable, "-m", "benchmarks.logprob_memory", "--point", json.dumps(point)]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | HONEST_HEAP, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"the point {point} failed:\n{done.stderr[-2000:]}")
    measured: dict[str, Any] = json.loads(done.stdout)
    return {"method": method, "kind": kind, "vocabulary": vocabulary, **measured}


def measure_point(
    method: str, kind: str, vocabulary: int, tokens: int, width: int, dtype: str
) -> dict[str, int]:
    """Peak bytes of one computation in this process, beyond its inputs; and what of it is the weight's gradient."""
    train, element = kind == "training", getattr(torch, dtype)
    torch.manual_seed(0)
    _compute(method, *_inputs(512, 8, width, element, train))  # what libraries keep is there before
    inputs = _inputs(vocabulary, tokens, width, element, train)
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts anew
    before = psutil.Process().memory_info().rss
    _compute(method, *inputs)
    peak = kernel_peak_bytes(psutil.Process().pid) - before
    gradient = 0
    if train:
        element_bytes = element.itemsize + (4 if method == "dunwu" and element.itemsize < 4 else 0)
        gradient = vocabulary * width * element_bytes
    return {"peak_bytes": peak, "weight_gradient_bytes": gradient, "beyond_gradient_bytes": peak - gradient}


def _inputs(
    vocabulary: int, tokens: int, width: int, dtype: torch.dtype, train: bool
) -> tuple[Tensor, Tensor, Tensor]:
    hidden = torch.randn(tokens, width).to(dtype).requires_grad_(train)
    weight = torch.empty(vocabulary, width, dtype=dtype).normal_(std=0.02).requires_grad_(train)
    return hidden, weight, torch.randint(vocabulary, (tokens,))


def _compute(method: str, hidden_ND: Tensor, weight_VD: Tensor, targets_N: Tensor) -> None:
    if method == "dunwu":
        from dunwu.functional.logprobs import chunked_logprobs

        logprobs_N, _ = chunked_logprobs(
            hidden_ND, weight_VD, targets_N, temperature=1.0, chunk_tokens=CHUNK_TOKENS
        )
    else:
        logits_NV = (hidden_ND @ weight_VD.T).float()
        logprobs_N = torch.log_softmax(logits_NV, -1).gather(1, targets_N[:, None])[:, 0]
        del logits_NV
    if logprobs_N.requires_grad:
        (-logprobs_N.mean()).backward()


def peaks(points: Sequence[Mapping[str, Any]], method: str, kind: str) -> list[int]:
    """Bytes beyond inputs and weight gradient, by vocabulary."""
    return [p["beyond_gradient_bytes"] for p in points if p["method"] == method and p["kind"] == kind]


def half_spread_frac(values: Sequence[float]) -> float:
    """The x of the narrowest band "y +- x y" that holds all values."""
    return (max(values) - min(values)) / (max(values) + min(values))


def point_line(point: Mapping[str, Any]) -> str:
    """A point as it is measured."""
    peak = point["beyond_gradient_bytes"] / MIB
    return f"{point['vocabulary']:>8,}  {point['kind']:<9} {point['method']:<12} {peak:9.0f} MiB"


def table(points: Sequence[Mapping[str, Any]]) -> str:
    """One line for each vocabulary."""
    columns = [(method, kind) for kind in PASSES for method in METHODS]
    rows = []
    for vocabulary in dict.fromkeys(point["vocabulary"] for point in points):
        here = {(p["method"], p["kind"]): p for p in points if p["vocabulary"] == vocabulary}
        rows.append(
            [f"{vocabulary:,}", *(f"{here[column]['beyond_gradient_bytes'] / MIB:.0f}" for column in columns)]
        )
    return text_table(["vocabulary", *(f"{method}, {kind}" for method, kind in columns)], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the measurement that is published."""
    parser = argparse.ArgumentParser(description="Measure the memory of log-probs over the vocabulary.")
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--width", type=int, default=576, help="of the hidden states")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument(
        "--vocabularies", type=lambda text: [int(v) for v in text.split(",")], default=VOCABULARIES
    )
    parser.add_argument("--point", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
