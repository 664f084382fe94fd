"""How dunwu's GRPO step grows: time and memory against group size, completion length and model size, with fitted exponents.

    python -m benchmarks.scaling [--curves group,length,model] [--scale 1.0] [--output FILE]

Each point is a process of its own: one unmeasured step, then measured ones. Value ~ size ^ exponent, by least squares over the
logarithms. Lengths grow at a constant number of tokens, so the time of a step should stay the same: the exponent of the time
over the tokens of a completion is given as 1 + that of the step's time, 1 being linear in tokens.
"""

import argparse
import dataclasses
import json
import shutil
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.record import LATEST, record
from benchmarks.results import GIB, StepFigures, fitted_exponent, text_table
from benchmarks.turns import Side, host_and_limits, loaded
from benchmarks.workload import StepWorkload
from dunwu.models.loading import resolve_model

NAME = "scaling"
OURS = Side("dunwu", "benchmarks.dunwu_grpo")
GROUP_SIZES = (2, 4, 8, 16)
LENGTHS = (128, 256, 512, 1024, 2048)
TOTAL_TOKENS = 8192
LENGTH_GROUP = 4
LENGTH_ROW_TOKENS = 2304
"""Holds the longest completion and its prompt; the same for all lengths."""
WIDTHS = {256: 8, 384: 16, 576: 30}
"""Layers of random Llama models by their width; the largest is SmolLM2's trunk."""
NUM_STEPS = 3
CURVES = ("group", "length", "model")


@dataclass(frozen=True)
class Point:
    """One size and the step that is measured at it."""

    size: int
    workload: StepWorkload


def main() -> None:
    """Measure the curves, print and record them."""
    arguments = parse_arguments()
    host = host_and_limits()
    curves: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="dunwu-bench-") as folder:
        for curve in arguments.curves:
            points = curve_points(
                curve, arguments.model, arguments.scale, Path(folder), dtype=arguments.dtype
            )
            curves[curve] = curve_figures(curve, [measure(point) for point in points])
            print(f"\n{curve}\n\n{table(curves[curve])}\n", flush=True)
    held = {
        "model": arguments.model,
        "dtype": arguments.dtype,
        "scale": arguments.scale,
        "machine": host,
        "curves": curves,
    }
    record(arguments.output, NAME, held)


def curve_points(
    curve: str, model: str, scale: float, folder: Path, *, dtype: str = "bfloat16"
) -> list[Point]:
    """The points of a curve; those of `micro` are in float32.

    Args:
        scale: of the numbers of tokens; 1 for what is published.
        folder: random models are made here.
    """
    path = resolve_model(model)
    small = model == "micro"
    plain: dict[str, Any] = {
        "chat": not small,
        "dtype": "float32" if small else dtype,
        "num_steps": NUM_STEPS,
    }
    if curve == "group":
        tokens = max(2, round(64 * scale))
        return [
            Point(size, StepWorkload(path, num_prompts=4, group_size=size, completion_tokens=tokens, **plain))
            for size in GROUP_SIZES
        ]
    if curve == "length":
        return [Point(length, _of_length(path, length, scale, plain)) for length in LENGTHS]
    tokens = max(2, round(64 * scale))
    points = []
    for width, layers in WIDTHS.items():
        made = make_model(folder / f"width-{width}", width, layers)
        points.append(
            Point(width, StepWorkload(str(made), completion_tokens=tokens, **plain | {"chat": False}))
        )
    return points


def _of_length(path: str, length: int, scale: float, plain: dict[str, Any]) -> StepWorkload:
    length = max(2, round(length * scale))
    return StepWorkload(
        path,
        num_prompts=round(TOTAL_TOKENS * scale) // (length * LENGTH_GROUP),
        group_size=LENGTH_GROUP,
        completion_tokens=length,
        micro_batch_tokens=LENGTH_ROW_TOKENS,
        **plain,
    )


def make_model(folder: Path, width: int, layers: int) -> Path:
    """A random Llama of a width, in bfloat16, with the tokenizer of the embedded model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    micro = Path(resolve_model("micro"))
    config = json.loads((micro / "config.json").read_text())
    config |= {
        "hidden_size": width,
        "intermediate_size": width * 8 // 3,
        "num_hidden_layers": layers,
        "num_attention_heads": width // 64,
        "num_key_value_heads": max(1, width // 192),
        "head_dim": 64,
        "max_position_embeddings": 4096,
        "initializer_range": 0.02,
    }
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    model.to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(micro / name, folder / name)
    return folder


def measure(point: Point) -> dict[str, Any]:
    """The figures of one point: medians of its steps but the first, and the peak memory of its process."""
    workload = point.workload
    with loaded([OURS], {OURS.name: workload.to_json()}) as workers:
        worker = workers[OURS.name]
        said = worker.ready()
        steps = [StepFigures(**worker.step()) for _ in range(workload.num_steps)][1:]
        peak = worker.close()
    figures = {
        "size": point.size,
        "num_parameters": said["num_parameters"],
        "workload": dataclasses.asdict(workload) | {"model": Path(workload.model).name},
        "tokens": workload.tokens_of_step(0),
        "all_step_seconds": [step.step_seconds for step in steps],
        "step_seconds": statistics.median(step.step_seconds for step in steps),
        "generation_seconds": statistics.median(step.generation_seconds for step in steps),
        "training_seconds": statistics.median(step.training_seconds for step in steps),
        "peak_rss_bytes": peak,
    }
    print(f"size {point.size:>6}  {figures['step_seconds']:8.2f} s  {peak / GIB:6.2f} GiB", flush=True)
    return figures


def curve_figures(curve: str, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The points of a curve and the exponents fitted to them.

    Times of `length` are of a constant number of tokens: 1 is added, so that 1 is linear in tokens there too.
    """
    over = "num_parameters" if curve == "model" else "size"
    sizes = [point[over] for point in points]
    added = 1.0 if curve == "length" else 0.0
    times = ("step_seconds", "generation_seconds", "training_seconds")
    exponents = {key: added + fitted_exponent(sizes, [point[key] for point in points]) for key in times}
    exponents["peak_rss_bytes"] = fitted_exponent(sizes, [point["peak_rss_bytes"] for point in points])
    return {"over": over, "points": list(map(dict, points)), "exponents": exponents}


def table(curve: Mapping[str, Any]) -> str:
    """One line for each point, and the exponents."""
    times = ("step_seconds", "generation_seconds", "training_seconds")
    rows = [
        [
            f"{point[curve['over']]:,}",
            f"{point['tokens']:,}",
            *(f"{point[key]:.2f}" for key in times),
            f"{point['peak_rss_bytes'] / GIB:.2f}",
        ]
        for point in curve["points"]
    ]
    exponents = curve["exponents"]
    rows.append(
        ["exponent", "", *(f"{exponents[key]:.2f}" for key in times), f"{exponents['peak_rss_bytes']:.2f}"]
    )
    return text_table([curve["over"], "tokens", "step [s]", "generation", "training", "peak [GiB]"], rows)


def parse_arguments() -> argparse.Namespace:
    """The command line; its defaults are the curves that are published."""
    parser = argparse.ArgumentParser(description="Measure how a GRPO step of dunwu grows.")
    parser.add_argument("--model", default="smollm2", help="of the curves over group size and length")
    parser.add_argument("--curves", type=lambda text: text.split(","), default=CURVES)
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of tokens, to try it out")
    parser.add_argument("--output", type=Path, default=LATEST)
    return parser.parse_args()


if __name__ == "__main__":
    main()
