"""Which of a recipe's stages a command means: --from, --until and --only."""

from collections.abc import Sequence
from dataclasses import dataclass

from dunwu.config.keys import nearest
from dunwu.errors import ConfigError


@dataclass(frozen=True)
class Selection:
    """The stages from `first` to `last`, both included; None: from the beginning, to the end."""

    first: str | None = None
    last: str | None = None

    @classmethod
    def of_options(cls, from_: str | None, until: str | None, only: str | None) -> "Selection":
        """Read the options of the command line.

        Raises:
            ConfigError: --only beside another one.
        """
        if only is not None and (from_ is not None or until is not None):
            raise ConfigError("--only names the one stage to run; leave out --from and --until")
        return cls(from_, until) if only is None else cls(only, only)

    def names(self, stages: Sequence[str]) -> list[str]:
        """Return the selected of the recipe's stages, in their order.

        Raises:
            ConfigError: a stage that the recipe does not have (the nearest is named), or the last before the first.
        """
        first = 0 if self.first is None else _position(self.first, stages)
        last = len(stages) - 1 if self.last is None else _position(self.last, stages)
        if last < first:
            raise ConfigError(
                f"the stage {stages[last]} comes before {stages[first]}: there is nothing from {stages[first]} until it"
            )
        return list(stages[first : last + 1])


def _position(name: str, stages: Sequence[str]) -> int:
    if name in stages:
        return list(stages).index(name)
    near = nearest(name, stages)
    guess = f"; did you mean {near}?" if near else f"; its stages are {', '.join(stages)}"
    raise ConfigError(f"the recipe has no stage {name}{guess}")
