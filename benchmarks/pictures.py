"""Pictures of the results file: `python -m benchmarks.pictures`. Each is drawn where its figures are there."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from benchmarks.record import LATEST, read
from benchmarks.results import GIB

Held = Mapping[str, Any]
COLOURS = {
    "dunwu": "#1f6feb",
    "TRL": "#9a6700",
    "transformers": "#9a6700",
    "vLLM": "#8250df",
    "full logits": "#9a6700",
}
MIB = 1 << 20


def main() -> None:
    """Draw all pictures of the results file beside it."""
    for path in draw_all(read(LATEST), LATEST.parent):
        print(path)


def draw_all(held: Held, folder: Path) -> list[Path]:
    """Draw the pictures whose figures are there; returns their files."""
    drawn = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw, sizes in PICTURES:
        figure, axes = pyplot.subplots(1, sizes[0], figsize=sizes[1:], squeeze=False)
        try:
            draw(held, list(axes[0]))
        except KeyError:  # not measured yet
            pyplot.close(figure)
            continue
        figure.tight_layout()
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=120, metadata={"Software": None})
        pyplot.close(figure)
        drawn.append(path)
    return drawn


def draw_ratios(held: Held, axes: list[Axes]) -> None:
    """Every speed ratio against a peer, as a bar; a line where both are equally fast. Raises KeyError: there is none."""
    (axis,) = axes
    ratios = {name: value for name, value in held["ratios"].items() if "_vs_" in name}
    if not ratios:
        raise KeyError("ratios")
    names = list(ratios)[::-1]
    bars = axis.barh(names, [ratios[name] for name in names], color=COLOURS["dunwu"])
    axis.bar_label(bars, fmt="%.2f", padding=3)
    axis.axvline(1.0, color="black", linewidth=1)
    axis.set_xlabel("times the peer's speed (right of the line: dunwu is faster)")
    axis.margins(x=0.12)


def draw_generation(held: Held, axes: list[Axes]) -> None:
    """Tokens per second over the number of sequences, sampled; short and long prompts; the bound of the matrix products."""
    cells = held["figures"]["generate_grid"]["cells"].values()
    for axis, kind in zip(axes, ("short", "long"), strict=True):
        here = sorted(
            (c for c in cells if bool(c["sentences"]) == (kind == "long") and c["temperature"]),
            key=lambda cell: cell["num_sequences"],
        )
        numbers = [cell["num_sequences"] for cell in here]
        for side in here[0]["tokens_per_second"] if here else ():
            rates = [cell["tokens_per_second"][side] for cell in here]
            axis.plot(numbers, rates, marker="o", label=side, color=COLOURS.get(side))
        bound = [cell["matmul_bound"]["tokens_per_second"] for cell in here]
        axis.plot(numbers, bound, linestyle=":", color="black", label="bound of the matrix products")
        axis.set(
            xscale="log",
            yscale="log",
            xlabel="sequences",
            ylabel="tokens/s",
            title=f"{kind} prompts, sampled",
        )
        axis.set_xticks(numbers, [str(number) for number in numbers])
        axis.legend()


def draw_logprob_memory(held: Held, axes: list[Axes]) -> None:
    """Peak memory of log-probs over the vocabulary."""
    points = held["figures"]["logprob_memory"]["points"]
    for axis, kind in zip(axes, ("scoring", "training"), strict=True):
        for method in dict.fromkeys(point["method"] for point in points):
            here = [p for p in points if p["method"] == method and p["kind"] == kind]
            sizes = [p["vocabulary"] for p in here]
            axis.plot(
                sizes,
                [p["beyond_gradient_bytes"] / MIB for p in here],
                marker="o",
                label=method,
                color=COLOURS[method],
            )
        axis.set(xlabel="vocabulary", ylabel="peak [MiB]", yscale="log", title=kind)
        axis.legend()


def draw_scaling(held: Held, axes: list[Axes]) -> None:
    """Step time and memory of each curve, with the fitted exponents in the titles."""
    curves = held["figures"]["scaling"]["curves"]
    for axis, name in zip(axes, ("group", "length", "model"), strict=True):
        if name not in curves:
            axis.set_axis_off()
            continue
        curve = curves[name]
        sizes = [point[curve["over"]] for point in curve["points"]]
        for key, label in (
            ("step_seconds", "step"),
            ("generation_seconds", "sampling"),
            ("training_seconds", "training"),
        ):
            exponent = curve["exponents"][key]
            values = [point[key] for point in curve["points"]]
            axis.plot(sizes, values, marker="o", label=f"{label}, exponent {exponent:.2f} [s]")
        memory = [point["peak_rss_bytes"] / GIB for point in curve["points"]]
        axis.plot(sizes, memory, marker="s", linestyle=":", color="grey", label="peak memory [GiB]")
        over = {
            "group": "completions of a prompt",
            "length": "tokens of a completion, constant total",
            "model": "parameters",
        }
        axis.set(xscale="log", yscale="log", xlabel=over[name])
        axis.legend(fontsize=8)


PICTURES: tuple[tuple[str, Callable[[Held, list[Axes]], None], tuple[int, float, float]], ...] = (
    ("ratios", draw_ratios, (1, 8.0, 4.0)),
    ("generation", draw_generation, (2, 11.0, 4.5)),
    ("logprob_memory", draw_logprob_memory, (2, 10.0, 4.0)),
    ("scaling", draw_scaling, (3, 15.0, 4.5)),
)
"""Name, function, and (columns, width, height) in inches."""


if __name__ == "__main__":
    main()
