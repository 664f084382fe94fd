"""A recipe: the models there are, the seed, and the stages with what they feed each other."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from dunwu.config.base import ConfigModel, StageName
from dunwu.config.chain import BASE, RecipeFaultsError, chain_faults, first_model
from dunwu.config.decontamination import DecontaminationConfig
from dunwu.config.stage import Stage
from dunwu.config.tracking import Tracker
from dunwu.config.training import ModelConfig

MAX_SEED = 2**63 - 1
"""The largest that every generator takes."""


class Recipe(ConfigModel):
    """One recipe file. Everything a run does follows from it and from the files it names."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    seed: Annotated[int, Field(strict=True, ge=0, le=MAX_SEED)] = 1
    model: ModelConfig
    """The base model: "base" to the stages."""
    models: dict[StageName, ModelConfig] = Field(default_factory=dict)
    """Further models, by the names that stages call them, for example a student to distil into."""
    decontamination: DecontaminationConfig | None = DecontaminationConfig()
    trackers: tuple[Tracker, ...] = ()
    """Where figures are sent besides the run folder: "tensorboard", "wandb", "mlflow", "trackio"."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]

    @property
    def all_models(self) -> Mapping[str, ModelConfig]:
        """Every model of the recipe by its name."""
        return {BASE: self.model, **self.models}

    def first_model(self, stage: Stage) -> ModelConfig:
        """Return the model that a stage's start goes back to, through the stages before it."""
        return first_model(stage, self.all_models, self.stages)

    @model_validator(mode="after")
    def _names_fit(self) -> "Recipe":
        faults = chain_faults(self.all_models, self.stages)
        if BASE in self.models:
            faults.append((("models", BASE), f'"{BASE}" is the name of [model]; give this one another name'))
        if faults:
            raise RecipeFaultsError(faults)
        return self
