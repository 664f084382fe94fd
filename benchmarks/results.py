"""What a comparison found: figures of both sides, their ratios, the table, and the file that holds them.

Pure apart from `record`, so that it can be tested without running a comparison.
"""

import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LATEST = Path(__file__).parent / "results" / "latest.json"


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
    def training_tokens_per_second(self) -> float:
        """Trained tokens over all of the step but the sampler: rewards, reference, loss, update."""
        return self.trained_tokens / (self.step_seconds - self.generation_seconds)


@dataclass(frozen=True)
class SideFigures:
    """Everything measured of one side."""

    name: str
    steps: Sequence[StepFigures]
    peak_bytes: int
    worker: Mapping[str, Any]  # versions, threads and settings, in the worker's own words

    @property
    def median_step_seconds(self) -> float:
        """The figure that the ratio is made of."""
        return statistics.median(step.step_seconds for step in self.steps)

    def to_record(self) -> dict[str, Any]:
        """The form in the results file."""
        return {
            "step_seconds": [step.step_seconds for step in self.steps],
            "median_step_seconds": self.median_step_seconds,
            "generation_seconds": [step.generation_seconds for step in self.steps],
            "generation_tokens_per_second": self._median("generation_tokens_per_second"),
            "training_tokens_per_second": self._median("training_tokens_per_second"),
            "generated_tokens": [step.generated_tokens for step in self.steps],
            "trained_tokens": [step.trained_tokens for step in self.steps],
            "prompt_tokens": [step.prompt_tokens for step in self.steps],
            "peak_rss_bytes": self.peak_bytes,
            **self.worker,
        }

    def _median(self, figure: str) -> float:
        return statistics.median(getattr(step, figure) for step in self.steps)


def bound_seconds(num_parameters: int, completion_tokens: int, flops: float) -> float:
    """Least time of a step at a matrix-product rate.

        per parameter and completion token, in FLOP: 2 to sample, 2 for the reference, 6 for forward and
        backward

    Prompts are left out (each is needed once per group), and so is attention: a lower bound, one for both
    sides.
    """
    return 10 * num_parameters * completion_tokens / flops


def check_same_work(ours: SideFigures, peer: SideFigures, tokens_per_step: int) -> None:
    """Refuse to compare sides that did not do the same work.

    Raises:
        ValueError: a step generated or trained more or fewer tokens than asked for, or the prompts differ in
        length.
    """
    for side in (ours, peer):
        for number, step in enumerate(side.steps, 1):
            for what, tokens in (("generated", step.generated_tokens), ("trained", step.trained_tokens)):
                if tokens != tokens_per_step:
                    raise ValueError(
                        f"step {number}: {side.name} {what} {tokens} tokens, not {tokens_per_step}"
                    )
    lengths = [[step.prompt_tokens for step in side.steps] for side in (ours, peer)]
    if lengths[0] != lengths[1]:
        raise ValueError(f"prompt tokens per step differ: {ours.name} {lengths[0]}, {peer.name} {lengths[1]}")


def table(ours: SideFigures, peer: SideFigures) -> str:
    """The comparison as lines of text."""
    gib = 1 << 30
    rows = [
        ("step, median [s]", ours.median_step_seconds, peer.median_step_seconds, True),
        ("generation [tok/s]", *_pair(ours, peer, "generation_tokens_per_second"), False),
        ("training [tok/s]", *_pair(ours, peer, "training_tokens_per_second"), False),
        ("peak memory [GiB]", ours.peak_bytes / gib, peer.peak_bytes / gib, True),
    ]
    lines = [f"{'':<20} {ours.name:>10} {peer.name:>10} {'better by':>10}"]
    for label, own, other, less_is_better in rows:
        gain = other / own if less_is_better else own / other
        lines.append(f"{label:<20} {own:>10.2f} {other:>10.2f} {gain:>9.2f}x")
    for side in (ours, peer):
        seconds = ", ".join(f"{step.step_seconds:.1f}" for step in side.steps)
        lines.append(f"{side.name} steps: {seconds} s")
    return "\n".join(lines)


def record(path: Path, name: str, ratio: float, figures: Mapping[str, Any]) -> None:
    """Put one comparison into the results file, beside what other comparisons have put there; atomic."""
    held = json.loads(path.read_text()) if path.is_file() else {}
    held.setdefault("ratios", {})[name] = round(ratio, 3)
    measured_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    held.setdefault("figures", {})[name] = {"measured_at": measured_at, **figures}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    unfinished.write_text(json.dumps(held, indent=2) + "\n")
    os.replace(unfinished, path)


def _pair(ours: SideFigures, peer: SideFigures, figure: str) -> tuple[float, float]:
    return ours._median(figure), peer._median(figure)
