"""The rewards of a stage: named parts with weights, summed (DeepSeek-R1 eq. 4: the same weight for each)."""

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat

from dunwu.config.base import ConfigModel


class AccuracyReward(ConfigModel):
    """1 if the problem's own grader accepts the final answer, else 0."""

    kind: Literal["accuracy"] = "accuracy"
    weight: PositiveFloat = 1.0
    answer_from: Literal["answer_tag", "boxed", "text"] = "answer_tag"
    """Where the final answer is looked for: in <answer>, in the last \\boxed{}, or in the whole text after
    any </think>."""
    timeout_seconds: PositiveFloat = 5.0
    """Time limit of one grading, counted from when it starts."""


class FormatReward(ConfigModel):
    """1 if the completion is one non-empty <think> block, then one <answer> block, nothing missing, doubled
    or stray."""

    kind: Literal["format"] = "format"
    weight: PositiveFloat = 1.0
    think_opened_by_prompt: bool = False
    """The prompt already ends with <think>."""


RewardConfig = Annotated[AccuracyReward | FormatReward, Field(discriminator="kind")]
