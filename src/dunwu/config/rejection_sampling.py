"""Rejection sampling: the correct and readable completions of the RL checkpoint, joined with other data (facts.md section 6)."""

from typing import Annotated, Literal

from pydantic import Field

from dunwu.config.asking import Asked
from dunwu.config.base import ConfigModel, StageName
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.reward import AccuracyReward
from dunwu.config.sampled_data import ReadabilityConfig, SampledDataConfig
from dunwu.config.task import ChatTemplate, Template


class StrictReadability(ReadabilityConfig):
    """What is fit to be read: no mixed languages, long paragraphs or code blocks in the thinking (facts.md section 6)."""

    max_paragraph_chars: Annotated[int, Field(gt=0)] | None = 2000
    code_blocks: Literal["keep", "drop"] = "drop"


class JudgeConfig(ConfigModel):
    """A generative judge, which holds an answer against the reference where no rule can (the paper's Listing 4)."""

    by: Asked
    graders: Annotated[tuple[str, ...], Field(min_length=1)] = ("text",)
    """Problems with these graders: an answer that the rule accepts is correct, any other goes to the judge."""


class RejectionSamplingStage(SampledDataConfig):
    """Many completions of each prompt, only correct and readable ones kept, duplicates dropped (facts.md section 6)."""

    kind: Literal["rejection_sampling"] = "rejection_sampling"
    name: StageName = "rejection_sampling"
    template: Template = ChatTemplate()
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    accuracy: AccuracyReward = AccuracyReward(answer_from=("boxed", "text"))
    samples_per_prompt: Annotated[int, Field(gt=0)] = 16
    max_per_prompt: Annotated[int, Field(gt=0)] = 4
    readability: StrictReadability = StrictReadability()
    judge: JudgeConfig | None = None
