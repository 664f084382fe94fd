"""What a tracker is to the rest: something that takes the figures of a stage, step by step, and may fail at any call."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Figures = Mapping[str, float]


@dataclass(frozen=True)
class StageFacts:
    """The stage that begins, or goes on.

    Args:
        run_name: the recipe's name.
        run_path: the run folder.
        name: the stage's.
        done_steps: how many steps it has made before.
        recipe: the whole recipe as plain data.
    """

    run_name: str
    run_path: Path
    name: str
    done_steps: int
    recipe: Mapping[str, Any]

    @property
    def key(self) -> str:
        """What tells this stage of this run folder from every other."""
        return f"{self.run_path.resolve()}#{self.name}"


class Tracker(Protocol):
    """One stage after the other: `start`, `log` for each step, `finish`. All calls come from one thread."""

    def start(self, stage: StageFacts) -> None:
        """Begin to take in a stage, or go on with it."""

    def log(self, step: int, figures: Figures) -> None:
        """Take in figures of a step; the same step may come again after a kill, with the same figures."""

    def finish(self) -> None:
        """Send what is left, and end the stage."""
