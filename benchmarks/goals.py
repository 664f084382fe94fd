"""What dunwu sets itself, and how far it is, from the figures in the results file. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.logprob_memory import NAME as LOGPROB_MEMORY
from benchmarks.results import text_table

Held = Mapping[str, Any]


@dataclass(frozen=True)
class Goal:
    """A figure that should be at least, or at most, something. `read` raises KeyError where it was not measured."""

    text: str
    limit: float
    read: Callable[[Held], float]
    at_most: bool = False

    def met_by(self, value: float) -> bool:
        """Whether a value reaches the goal."""
        return value <= self.limit if self.at_most else value >= self.limit


def _ratio(name: str) -> Callable[[Held], float]:
    return lambda held: held["ratios"][name]


def _figure(*keys: str) -> Callable[[Held], float]:
    def read(held: Held) -> float:
        value: Any = held["figures"]
        for key in keys:
            value = value[key]
        return float(value)

    return read


def _decode_share(name: str) -> Callable[[Held], float]:
    def read(held: Held) -> float:
        (cell,) = held["figures"][name]["cells"].values()
        return float(cell["share_of_matmul_bound"]["dunwu"])

    return read


GOALS = (
    Goal("GRPO step, times TRL's speed", 3.0, _ratio("grpo_step_vs_trl")),
    Goal("GRPO step, TRL's peak memory over ours", 2.0, _figure("grpo_step_vs_trl", "peak_memory_ratio")),
    Goal("GRPO step of varied lengths, times TRL's speed", 4.0, _ratio("grpo_step_varied_vs_trl")),
    Goal("GRPO step on micro, times TRL's speed", 6.0, _ratio("grpo_step_micro_vs_trl")),
    Goal("generation of 64, times transformers' speed", 4.0, _ratio("generate64_vs_hf")),
    Goal("generation of 64, times vLLM's speed", 1.3, _ratio("generate64_vs_vllm")),
    Goal("generation of 256, times vLLM's speed", 1.5, _ratio("generate256_vs_vllm")),
    Goal("generation of 64, share of its matrix products' bound", 0.7, _decode_share("generate64")),
    Goal("generation of 256, share of its matrix products' bound", 0.7, _decode_share("generate256")),
    Goal("SFT, times TRL's speed", 2.0, _ratio("sft_vs_trl")),
    Goal(
        "training of a GRPO step, share of the matrix-product peak",
        0.75,
        _figure("grpo_step_vs_trl", "share_of_bound", "dunwu", "training"),
    ),
    Goal(
        "SFT, share of the matrix-product peak",
        0.75,
        _figure("sft_vs_trl", "share_of_matmul_peak", "dunwu"),
    ),
    Goal(
        "log-prob memory in scoring, +- over the vocabulary",
        0.1,
        _figure(LOGPROB_MEMORY, "flatness", "scoring"),
        True,
    ),
    Goal(
        "log-prob memory in training, +- over the vocabulary",
        0.1,
        _figure(LOGPROB_MEMORY, "flatness", "training"),
        True,
    ),
    Goal(
        "step time over tokens of a completion, exponent",
        1.05,
        _figure("scaling", "curves", "length", "exponents", "step_seconds"),
        True,
    ),
)


def goal_rows(held: Held) -> list[tuple[str, str, str, str]]:
    """(goal, limit, measured, "yes", "no" or "not measured") of each goal."""
    rows = []
    for goal in GOALS:
        limit = f"{'<=' if goal.at_most else '>='} {goal.limit:g}"
        try:
            value = goal.read(held)
        except KeyError:
            rows.append((goal.text, limit, "", "not measured"))
            continue
        rows.append((goal.text, limit, f"{value:.2f}", "yes" if goal.met_by(value) else "no"))
    return rows


def goal_table(held: Held) -> str:
    """The goals as lines of text."""
    return text_table(["goal", "limit", "measured", "met"], goal_rows(held))
