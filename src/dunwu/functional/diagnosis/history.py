"""The figures of a stage's steps as series, with the means that the rules compare. Pure; fed step by step."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

WINDOW = 8
"""Steps over which a figure is averaged before anything is said of it."""
_STATUSES = ("_ok", "_error", "_not_applicable", "_not_gradable")


class History:
    """What is known of a stage up to its latest step."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.series: dict[str, list[float | None]] = {}
        self.fresh: list[int] = []
        """Positions of the first update after each sampling, when the policy is still the one that sampled."""
        self.hacking_notes: list[tuple[int, str]] = []
        """Step and sentence of each evaluation at which the watch for reward hacking saw something."""
        self.last_evaluation = 0
        self._best: dict[str, float] = {}
        self._rollout: Any = None

    def add_step(self, metrics: Mapping[str, Any]) -> None:
        """Take in the metrics of the next step, as they are in metrics.jsonl."""
        position = len(self.steps)
        self.steps.append(int(metrics["step"]))
        for name in metrics.keys() | self.series.keys():
            value = metrics.get(name)
            known = isinstance(value, int | float) and not isinstance(value, bool)
            if known or name in self.series:
                series = self.series.setdefault(name, [None] * position)
                series.append(float(value) if known else None)  # type: ignore[arg-type]
        if not self.fresh or metrics.get("rollout") != self._rollout:
            self.fresh.append(position)
        self._rollout = metrics.get("rollout")
        for name in ("accuracy", "reward_language"):
            earlier = _mean(self.series.get(name, [])[-2 * WINDOW : -WINDOW], WINDOW)
            if earlier is not None:
                self._best[name] = max(earlier, self._best.get(name, earlier))

    def add_evaluation(self, step: int, figures: Mapping[str, Any]) -> None:
        """Take in an evaluation made after `step`."""
        self.last_evaluation = max(step, self.last_evaluation)
        note = figures.get("reward_hacking")
        if note is not None:
            self.hacking_notes.append((step, str(note["text"])))

    def latest(self, name: str, num_steps: int = WINDOW) -> float | None:
        """Average the last `num_steps` steps; None if there are fewer, or fewer than half of them were measured."""
        return _mean(self.series.get(name, [])[-num_steps:], num_steps)

    def before(self, name: str, num_steps: int = WINDOW) -> float | None:
        """Average the `num_steps` steps before the last `num_steps`."""
        return _mean(self.series.get(name, [])[-2 * num_steps : -num_steps], num_steps)

    def first(self, name: str, num_steps: int = WINDOW) -> float | None:
        """Average the first `num_steps` steps."""
        return _mean(self.series.get(name, [])[:num_steps], num_steps)

    def best(self, name: str) -> float | None:
        """Return the highest average over `WINDOW` steps that lie wholly before the last `WINDOW`."""
        return self._best.get(name)

    def num_steps(self, name: str) -> int:
        """Count the steps at which a figure could be measured so far."""
        return len(self.series.get(name, []))

    def reward_parts(self) -> list[str]:
        """Name the figures that are rewards other than that for right answers: the parts, then the sum."""
        parts = (name for name in self.series if name.startswith("reward_") and not name.endswith(_STATUSES))
        return [*sorted(name for name in parts if name != "reward_accuracy"), "reward"]

    def since(self, name: str, above: float | None = None, below: float | None = None) -> int:
        """Return the first of the latest steps in an unbroken row at which a figure is beyond a bound; else the latest step."""
        began = self.steps[-1]
        for step, value in self._backwards(name):
            beyond = (
                value is not None and (above is None or value >= above) and (below is None or value <= below)
            )
            if not beyond:
                break
            began = step
        return began

    def _backwards(self, name: str) -> Iterator[tuple[int, float | None]]:
        return zip(reversed(self.steps), reversed(self.series.get(name, [])), strict=False)


def _mean(values: Sequence[float | None], num_steps: int) -> float | None:
    present = [value for value in values if value is not None]
    return fmean(present) if len(values) == num_steps and 2 * len(present) >= num_steps else None
