"""The form in which a policy writes thinking and answer. One form holds for a whole stage, whatever its rewards."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dunwu.config.base import ConfigModel


class ThinkAnswerForm(ConfigModel):
    """R1-Zero's tags (DeepSeek-R1 v1, Table 1): <think> reasoning </think> <answer> answer </answer>."""

    kind: Literal["think_answer"] = "think_answer"
    opened_by_prompt: bool = False
    """The prompt already ends with <think>."""


class ThinkForm(ConfigModel):
    """<think> reasoning </think> answer: what R1 and the models distilled from it write under their chat template."""

    kind: Literal["think"] = "think"
    opened_by_prompt: bool = True
    """The prompt already ends with <think>, as R1's chat template and a prefill of "<think>\\n" do."""
    boxed: bool = False
    """A right format needs a complete, non-empty \\boxed{} in the answer."""


class SpecialTokenForm(ConfigModel):
    """The readable form of R1's cold-start data: |special_token|<reasoning_process>|special_token|<summary>."""

    kind: Literal["special_token"] = "special_token"
    opening: str = "|special_token|"
    """What the completion begins with, before the reasoning process."""
    separator: str = "|special_token|"
    """What stands between the reasoning process and the summary."""
    opened_by_prompt: bool = False
    """The prompt already ends with `opening`."""

    @model_validator(mode="after")
    def _tellable(self) -> "SpecialTokenForm":
        for key, token in (("opening", self.opening), ("separator", self.separator)):
            if not token or token != token.strip():
                raise ValueError(
                    f"{key} is {token!r}; give a token that neither is empty nor begins or ends with a space"
                )
        if self.opening != self.separator and (
            self.opening in self.separator or self.separator in self.opening
        ):
            raise ValueError(
                f"opening {self.opening!r} and separator {self.separator!r} cannot be told apart, because one "
                "contains the other; use the same token twice, or two that differ"
            )
        return self


class PlainForm(ConfigModel):
    """No marks: the whole completion is chain of thought and answer at once."""

    kind: Literal["plain"] = "plain"


OutputForm = Annotated[
    ThinkAnswerForm | ThinkForm | SpecialTokenForm | PlainForm, Field(discriminator="kind")
]

R1_ZERO_FORM = ThinkAnswerForm()
"""What the paper's Table 1 asks for."""
