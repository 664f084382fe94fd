"""What speaks against the figures of a run: files that are no longer what a finished stage made.

Writes nothing. Called by `dunwu report`, `dunwu compare` and at the end of `dunwu run`, which say it before they show figures.
"""

from dataclasses import dataclass

from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder


@dataclass(frozen=True)
class Doubts:
    """What speaks against a run's figures, a sentence each.

    Args:
        damaged: files of finished stages that are missing or have changed, with their paths.
    """

    damaged: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """All of them."""
        return self.damaged


def find_doubts(run: RunFolder) -> Doubts:
    """Look for what speaks against a run's figures; models and rollouts, of which none are shown, are compared by size."""
    damaged: list[str] = []
    for folder in run.stages():
        try:
            damaged += folder.damage(weigh_model=True)
        except RunError as error:
            damaged.append(str(error))
    return Doubts(tuple(damaged))
