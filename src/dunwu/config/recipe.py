"""A recipe: the model to start from, the seed, and the stages."""

from typing import Annotated

from pydantic import Field, NonNegativeInt, model_validator

from dunwu.config.base import ConfigModel
from dunwu.config.stage import Stage
from dunwu.config.training import ModelConfig


class Recipe(ConfigModel):
    """One recipe file. Everything a run does follows from it and from the files it names."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: NonNegativeInt = 1
    model: ModelConfig
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _stage_names_differ(self) -> "Recipe":
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"two stages have the same name: {names}; give each its own `name`")
        return self
