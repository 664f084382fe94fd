"""What a comparison found: figures of the sides, their ratios, their spread, the table. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GIB = 1 << 30


@dataclass(frozen=True)
class StepFigures:
    """One measured step of one side, as its worker reports it."""

    step_seconds: float
    generation_seconds: float
    generated_tokens: int
    trained_tokens: int
    prompt_tokens: int

    @property
    def generation_tokens_per_second(self) -> float:
        """Completion tokens over the time inside the sampler."""
        return self.generated_tokens / self.generation_seconds

    @property
    def training_seconds(self) -> float:
        """All of the step but the sampler: rewards, reference, loss, update."""
        return self.step_seconds - self.generation_seconds

    @property
    def training_tokens_per_second(self) -> float:
        """Trained tokens over `training_seconds`."""
        return self.trained_tokens / self.training_seconds


@dataclass(frozen=True)
class SideFigures:
    """Everything measured of one side."""

    name: str
    steps: Sequence[StepFigures]
    peak_bytes: int
    worker: Mapping[str, Any]  # versions, threads and settings, in the worker's own words

    @property
    def step_seconds(self) -> list[float]:
        """Of each step, in order."""
        return [step.step_seconds for step in self.steps]

    @property
    def median_step_seconds(self) -> float:
        """The figure that the ratio is made of."""
        return statistics.median(self.step_seconds)

    def median(self, figure: str) -> float:
        """The median over the steps of a figure of `StepFigures`."""
        return statistics.median(getattr(step, figure) for step in self.steps)

    def to_record(self) -> dict[str, Any]:
        """The form in the results file."""
        return {
            "step_seconds": self.step_seconds,
            "median_step_seconds": self.median_step_seconds,
            "step_spread_frac": spread_frac(self.step_seconds),
            "generation_seconds": [step.generation_seconds for step in self.steps],
            "generation_tokens_per_second": self.median("generation_tokens_per_second"),
            "training_tokens_per_second": self.median("training_tokens_per_second"),
            "generated_tokens": [step.generated_tokens for step in self.steps],
            "trained_tokens": [step.trained_tokens for step in self.steps],
            "prompt_tokens": [step.prompt_tokens for step in self.steps],
            "peak_rss_bytes": self.peak_bytes,
            **self.worker,
        }


def spread_frac(values: Sequence[float]) -> float:
    """(largest - smallest) / median: how far measurements of one thing lie apart."""
    return (max(values) - min(values)) / statistics.median(values)


def speed_ratio(own_seconds: Sequence[float], peer_seconds: Sequence[float]) -> dict[str, Any]:
    """How many times faster we are: ratio of the medians, and of each round by itself.

    Args:
        own_seconds, peer_seconds: for the same work, round by round.
    """
    by_round = [peer / own for own, peer in zip(own_seconds, peer_seconds, strict=True)]
    return {
        "ratio": statistics.median(peer_seconds) / statistics.median(own_seconds),
        "by_round": by_round,
        "lowest": min(by_round),
        "highest": max(by_round),
    }


def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log value over log size, by least squares: value ~ size ^ exponent.

    Raises:
        ValueError: fewer than two different sizes, or something not above 0.
    """
    if len(set(sizes)) < 2 or min(*sizes, *values) <= 0:
        raise ValueError(f"no exponent can be fitted to sizes {list(sizes)} and values {list(values)}")
    return statistics.linear_regression([math.log(s) for s in sizes], [math.log(v) for v in values]).slope


def bound_seconds(num_parameters: int, completion_tokens: int, flops: float) -> float:
    """Least time of a step at a matrix-product rate.

        per parameter and completion token, in FLOP: 2 to sample, 2 for the reference, 6 for forward and
        backward

    Prompts are left out (each is needed once per group), and so is attention: a lower bound, one for both
    sides.
    """
    return 10 * num_parameters * completion_tokens / flops


def check_same_work(sides: Sequence[SideFigures], tokens_per_step: Sequence[int]) -> None:
    """Refuse to compare sides that did not do the same work.

    Raises:
        ValueError: a step generated or trained more or fewer tokens than asked for, or the prompts differ in
        length.
    """
    for side in sides:
        for number, (step, wanted) in enumerate(zip(side.steps, tokens_per_step, strict=True), 1):
            for what, tokens in (("generated", step.generated_tokens), ("trained", step.trained_tokens)):
                if tokens != wanted:
                    raise ValueError(f"step {number}: {side.name} {what} {tokens} tokens, not {wanted}")
    lengths = {side.name: [step.prompt_tokens for step in side.steps] for side in sides}
    if len(set(map(tuple, lengths.values()))) > 1:
        raise ValueError(f"prompt tokens per step differ: {lengths}")


def step_table(ours: SideFigures, peer: SideFigures) -> str:
    """The comparison of two sides' steps as lines of text."""
    rows = [
        ("step, median [s]", ours.median_step_seconds, peer.median_step_seconds, True),
        ("generation [tok/s]", *_pair(ours, peer, "generation_tokens_per_second"), False),
        ("training [tok/s]", *_pair(ours, peer, "training_tokens_per_second"), False),
        ("peak memory [GiB]", ours.peak_bytes / GIB, peer.peak_bytes / GIB, True),
    ]
    lines = [f"{'':<20} {ours.name:>10} {peer.name:>10} {'better by':>10}"]
    for label, own, other, less_is_better in rows:
        gain = other / own if less_is_better else own / other
        lines.append(f"{label:<20} {own:>10.2f} {other:>10.2f} {gain:>9.2f}x")
    for side in (ours, peer):
        seconds = ", ".join(f"{value:.1f}" for value in side.step_seconds)
        lines.append(f"{side.name} steps: {seconds} s")
    return "\n".join(lines)


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text, the first to the left, the others to the right."""
    cells = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.ljust(width) if column == 0 else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )


def _pair(ours: SideFigures, peer: SideFigures, figure: str) -> tuple[float, float]:
    return ours.median(figure), peer.median(figure)
