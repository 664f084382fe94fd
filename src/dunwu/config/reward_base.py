"""What every reward of a recipe has."""

from typing import Annotated

from pydantic import Field

from dunwu.config.base import ConfigModel


class RewardBase(ConfigModel):
    """What every reward has: a name and a weight."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")] | None = None
    """What the part is called in metrics and rollouts; left out: its kind. A kind may occur twice under two names."""
    weight: float = 1.0
    """Factor of the part's value in the total. 0: the part is computed and logged, and counts for nothing.
    Below 0: a penalty."""

    @property
    def part_name(self) -> str:
        """The name under which the part is logged."""
        return self.name or str(self.kind)  # type: ignore[attr-defined]  # every reward type has a kind
