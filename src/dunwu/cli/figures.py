"""The few figures of a step that matter, how they are written, and sparklines. Prints nothing; used by the
views."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

_BLOCKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Figure:
    """A metric's key in a step's metrics, what people call it, a short form of that, and how its value is
    written."""

    key: str
    label: str
    short: str
    unit: Literal["number", "share", "tokens"]

    def written(self, values: Mapping[str, Any]) -> str:
        """Write the value, "-" where nothing was measured."""
        value = values.get(self.key)
        if value is None:
            return "-"
        if self.unit == "share":
            return share(value)
        return f"{value:.1f}" if self.unit == "tokens" else f"{value:.3g}"


FIGURES = (
    Figure("nll", "loss in nats per token", "loss", "number"),
    Figure("reward", "reward", "reward", "number"),
    Figure("accuracy", "right answers", "right", "share"),
    Figure("reward_preference", "preference reward", "liked", "number"),
    Figure("format", "right format", "format", "share"),
    Figure("length_mean", "length in tokens", "length", "tokens"),
    Figure("self_check_frac", "checks itself", "checks", "share"),
    Figure("truncated_frac", "cut at the limit", "cut", "share"),
    Figure("zero_spread_frac", "no reward spread", "no-spread", "share"),
    Figure("kl", "KL to reference", "kl", "number"),
    Figure("entropy", "entropy in nats", "entropy", "number"),
)


def share(value: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * value:.1f}%"


def duration(seconds: float) -> str:
    """Write a time span in its two largest units: 42 s, 3 min 05 s, 2 h 07 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(num_bytes: float) -> str:
    """Write a number of bytes in GB or MB (powers of ten)."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


def speeds(timings: Mapping[str, Any]) -> str:
    """Write the tokens per second of sampling and training that a step's timings hold, and how long grading was at
    work."""
    parts = []
    for key, name in (
        ("generation_tokens_per_second", "sampling"),
        ("training_tokens_per_second", "training"),
    ):
        if timings.get(key):
            parts.append(f"{timings[key]:,.0f} tok/s {name}")
    if timings.get("grading_overlap_frac") is not None:
        beside = share(timings["grading_overlap_frac"])
        parts.append(f"graded {timings['grading_seconds']:.1f} s, {beside} beside sampling")
    return ", ".join(parts)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Draw a curve in one line of block characters, from its lowest to its highest value.

    Args:
        values: a value per step; None where nothing was measured. More than `width` are averaged into `width`
            bins.
    """
    known = [value for value in values if value is not None]
    count = min(len(known), width)
    if not count:
        return ""
    bins = [known[i * len(known) // count : (i + 1) * len(known) // count] for i in range(count)]
    means = [sum(members) / len(members) for members in bins]
    low, high = min(means), max(means)
    if high == low:
        return _BLOCKS[0] * count
    return "".join(_BLOCKS[min(int((mean - low) / (high - low) * 8), 7)] for mean in means)


class StepHistory:
    """What a view remembers of the steps it was told about."""

    def __init__(self, num_steps: int, done_steps: int) -> None:
        self.num_steps = num_steps
        self.step = done_steps
        self.metrics: Mapping[str, Any] = {}
        self.timings: Mapping[str, Any] = {}
        self.curves: dict[str, list[float | None]] = {figure.key: [] for figure in FIGURES}
        self._seconds: list[float] = []

    def add(self, step: int, metrics: Mapping[str, Any], timings: Mapping[str, Any]) -> None:
        """Take in one step."""
        self.step, self.metrics, self.timings = step, metrics, timings
        for key, curve in self.curves.items():
            curve.append(metrics.get(key))
        if timings.get("wall_seconds") is not None:
            self._seconds.append(timings["wall_seconds"])

    @property
    def seconds_per_step(self) -> float | None:
        """The mean over the last steps, enough of them to even out rollouts that serve several steps."""
        recent = self._seconds[-32:]
        return sum(recent) / len(recent) if recent else None

    @property
    def seconds_left(self) -> float | None:
        """How long the remaining steps take at the present pace, evaluations not counted."""
        pace = self.seconds_per_step
        return None if pace is None else pace * (self.num_steps - self.step)
