"""Where completions are graded. Graders on other machines would be further kinds here, with an address."""

from typing import Literal

from pydantic import PositiveFloat, PositiveInt

from dunwu.config.base import ConfigModel


class LocalGrading(ConfigModel):
    """Threads and processes of this machine, beside generation."""

    effect = "none"

    kind: Literal["local"] = "local"
    num_workers: PositiveInt | None = None
    """Completions graded at the same time; none: one per processor, at most 4."""
    max_pending: PositiveInt = 4096
    """Completions that may wait for their grading; generation waits beyond."""
    deadline_seconds: PositiveFloat = 600.0
    """A grading that takes longer, counted from when it starts, is given up: its rollout is excluded and counted.
    Every reward has a tighter limit of its own; this one is for what nobody foresaw."""


GradingConfig = LocalGrading
