"""What the machine can do: matrix products at the shapes in use, in bfloat16 (if it has instructions for it) and float32, and
memory bandwidth.

python -m benchmarks.limits [--model smollm2] [--output FILE]
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.products import DTYPES, measure_shapes, read_shapes
from benchmarks.record import LATEST, record
from benchmarks.results import text_table
from benchmarks.turns import host_and_limits
from dunwu.models.loading import resolve_model

NAME = "machine_limits"
ROW_TOKENS = 1280
_SQUARE = {"bfloat16": "matmul_bf16_flops", "float32": "matmul_fp32_flops"}


def main() -> None:
    """Measure, print and record."""
    arguments = parse_arguments()
    host = host_and_limits()
    products = read_shapes(resolve_model(arguments.model))
    dtypes = [dtype for dtype in DTYPES if dtype != "bfloat16" or host["bfloat16"]]
    shapes = [measure_shapes(products, arguments.row_tokens, dtype) for dtype in dtypes]
    record(arguments.output, NAME, {"model": arguments.model, "machine": host, "shapes": shapes})
    print(f"\n{host['cpu']}, {host['torch_threads']} threads; shapes of {arguments.model}\n")
    print(table(host, shapes))


def table(host: Mapping[str, Any], shapes: list[dict[str, Any]]) -> str:
    """Rates in GFLOP/s, one line for each kind of pass, and the memory's."""
    dtypes = [of_dtype["dtype"] for of_dtype in shapes]
    rates = [f"{host[_SQUARE[dtype]] / 1e9:.0f}" for dtype in dtypes]
    rows = [["product 2048^3", *rates]]
    for batch in shapes[0]["decode"]:
        rates = [f"{of_dtype['decode'][batch]['flops'] / 1e9:.0f}" for of_dtype in shapes]
        rows.append([f"decode step of {batch} sequences", *rates])
    for kind in ("forward", "backward"):
        rates = [f"{of_dtype[f'row_{kind}']['flops'] / 1e9:.0f}" for of_dtype in shapes]
        rows.append([f"row of {shapes[0]['row_tokens']} tokens, {kind}", *rates])
    lines = text_table(["GFLOP/s", *dtypes], rows)
    return f"{lines}\nmemory read at {host['memory_read_bytes_per_second'] / 1e9:.1f} GB/s"


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the measurement that is published."""
    parser = argparse.ArgumentParser(description="Measure the machine's limits at the shapes in use.")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--row-tokens", type=int, default=ROW_TOKENS)
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
