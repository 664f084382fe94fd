"""The policy-gradient objective, as types in a tagged union; `training.objective` matches them in one place.

Every variant spells out its clip, its aggregation over tokens and its advantage scale, so that two recipes
can be compared line by line. Sources of the defaults: the class docstrings; what no paper states is listed in
docs/departures.md.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from dunwu.config.base import ConfigModel

AdvantageScale = Literal["population_std", "sample_std", "batch_std", "none"]
Aggregation = Literal["sample_mean", "token_mean", "fixed_length", "sequence"]


class ObjectiveBase(ConfigModel):
    """What every objective has in common."""

    advantage_scale: AdvantageScale = "population_std"
    """Divide centred rewards by the group's population or sample std, by the batch's std, or by nothing."""
    advantage_eps: PositiveFloat = 1e-6
    """Added to the std, in reward units."""


class ClippedObjective(ObjectiveBase):
    """An objective with a clipped ratio; the ratio is cut to [1 - clip_low, 1 + clip_high]."""

    clip_low: PositiveFloat = 0.2
    clip_high: PositiveFloat = 0.2
    dual_clip: PositiveFloat | None = None
    """Lower bound c of the objective for negative advantages, c * A (dual-clip PPO); must be above 1."""

    @model_validator(mode="after")
    def _dual_clip_above_one(self) -> "ClippedObjective":
        if self.dual_clip is not None and self.dual_clip <= 1:
            raise ValueError(f"dual_clip is {self.dual_clip}; it must be above 1, or left out")
        return self


class Grpo(ClippedObjective):
    """DeepSeekMath eq. 3: ratio per token, mean over an output's tokens, then over outputs."""

    kind: Literal["grpo"] = "grpo"
    aggregation: Aggregation = "sample_mean"


class SequenceGrpo(ClippedObjective):
    """DeepSeek-R1 eq. 1 as printed: one ratio and one KL term per output, no 1/length."""

    kind: Literal["sequence_grpo"] = "sequence_grpo"


class DrGrpo(ClippedObjective):
    """Dr. GRPO (arXiv 2503.20783): no std in the advantage, token sum over a fixed length."""

    kind: Literal["dr_grpo"] = "dr_grpo"
    aggregation: Literal["fixed_length"] = "fixed_length"
    advantage_scale: AdvantageScale = "none"


class Dapo(ClippedObjective):
    """DAPO (arXiv 2503.14476): clip-higher and the mean over all tokens of the optimizer batch."""

    kind: Literal["dapo"] = "dapo"
    clip_high: PositiveFloat = 0.28
    aggregation: Literal["token_mean"] = "token_mean"


class Gspo(ClippedObjective):
    """GSPO (arXiv 2507.18071): one length-normalised ratio per output, clipped as a whole."""

    kind: Literal["gspo"] = "gspo"
    clip_low: PositiveFloat = 3e-4
    clip_high: PositiveFloat = 4e-4


class Cispo(ObjectiveBase):
    """CISPO (MiniMax-M1, arXiv 2506.13585): the importance weight is clipped and detached, no token is
    dropped."""

    kind: Literal["cispo"] = "cispo"
    clip_low: PositiveFloat = 10.0
    clip_high: PositiveFloat = 0.28
    aggregation: Aggregation = "token_mean"


Objective = Annotated[Grpo | SequenceGrpo | DrGrpo | Dapo | Gspo | Cispo, Field(discriminator="kind")]


class KlConfig(ConfigModel):
    """The penalty that holds the policy near its reference."""

    coef: Annotated[float, Field(ge=0)] = 0.001
    """facts.md section 2: 0.001. 0 switches the reference policy off: no reference pass is made."""
    estimator: Literal["k1", "k2", "k3"] = "k3"
    """k3 is DeepSeekMath's unbiased, non-negative estimator (facts.md 1.2)."""
    placement: Literal["loss", "reward"] = "loss"
    refresh_every_steps: PositiveInt | None = 400
    """Replace the reference by the current policy every so many steps (facts.md section 2); none: never."""

    @model_validator(mode="after")
    def _estimator_has_a_gradient(self) -> "KlConfig":
        if self.coef > 0 and self.placement == "loss" and self.estimator == "k1":
            raise ValueError(
                "the estimator k1 in the loss pulls the policy nowhere, its gradient is zero on average; use k2 or k3, or "
                'placement = "reward"'
            )
        return self
