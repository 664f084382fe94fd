"""Cold start: long chains of thought of R1-Zero made readable (facts.md section 3)."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dunwu.config.asking import AskedEndpoint, AskedModel
from dunwu.config.base import ConfigModel, StageName
from dunwu.config.sampled_data import SampledDataConfig


class NoRewrite(ConfigModel):
    """Thinking and answer stay as they were sampled, without their marks."""

    kind: Literal["none"] = "none"


class RulesRewrite(ConfigModel):
    """By rules: thinking in the first person; a summary of its true equations and the boxed answer. English and Chinese."""

    kind: Literal["rules"] = "rules"
    max_steps: Annotated[int, Field(ge=0)] = 6
    """Most equations in the summary, the last ones."""


Rewriter = Annotated[NoRewrite | RulesRewrite | AskedModel | AskedEndpoint, Field(discriminator="kind")]


class ColdStartStage(SampledDataConfig):
    """Cold-start data: sample R1-Zero, keep correct and readable completions, give each a summary (facts.md section 3)."""

    plain_is_thinking: ClassVar[bool] = True
    kind: Literal["cold_start"] = "cold_start"
    name: StageName = "cold_start"
    rewriter: Rewriter = RulesRewrite()
    """Who writes the summary. A model or an endpoint gets the paper's Listing 1; the answer must stay correct."""
