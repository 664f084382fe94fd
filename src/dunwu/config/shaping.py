"""Rewards that shape how a policy writes: language, repetition, length, marks, steps. None of them looks at what is right."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from dunwu.config.reward_base import RewardBase

LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Penalty = Annotated[float, Field(le=0)]


class LanguageReward(RewardBase):
    """The share of the chain of thought's words that are in the language of the question (DeepSeek-R1 v2, eq. 7)."""

    kind: Literal["language"] = "language"
    target: LanguageCode | None = None
    """Two-letter code of the language to think in; left out: the language of each question."""
    languages: Annotated[tuple[LanguageCode, ...], Field(min_length=1)] = ("en", "zh")
    """The languages that may mix, by their codes; the target is always among them. Name no more than may occur: words are told
    apart by script where they can be, and less surely among languages of one script."""


class RepetitionReward(RewardBase):
    """Below 0 for the share of n-grams that occurred before in the completion; words, Chinese characters, numbers and
    signs are the units."""

    kind: Literal["repetition"] = "repetition"
    ngram_size: PositiveInt = 3
    max_penalty: Penalty = -1.0
    """Value of a completion that repeats one n-gram for ever."""


class OverlongReward(RewardBase):
    """0 for a completion that is short enough, -1 for one that is too long, a straight line between (DAPO, eq. 13)."""

    kind: Literal["overlong"] = "overlong"
    max_tokens: PositiveInt
    """A longer completion gets -1."""
    cache_tokens: NonNegativeInt
    """The line begins this many tokens before max_tokens. 0 makes the limit hard; a completion that was cut at the token
    limit then counts as too long."""

    @model_validator(mode="after")
    def _fits(self) -> "OverlongReward":
        if self.cache_tokens > self.max_tokens:
            raise ValueError(
                f"cache_tokens is {self.cache_tokens}; it must be at most max_tokens = {self.max_tokens}"
            )
        return self


class LengthReward(RewardBase):
    """1 for a completion of the wanted length, falling in a straight line to 0."""

    kind: Literal["length"] = "length"
    target_tokens: PositiveInt | None = None
    """The wanted length; left out: each problem's own `target_tokens`, a column of the task."""
    scale_tokens: PositiveInt | None = None
    """So many tokens away from the wanted length the value is 0; left out: the wanted length itself."""
    wanted: Literal["exact", "at_most"] = "exact"
    """Whether a shorter completion loses too."""


class CosineLengthReward(RewardBase):
    """Right answers count more the shorter they are, wrong ones less the shorter they are, on half a cosine wave. Needs an
    accuracy reward in the same stage, whose verdict it takes."""

    kind: Literal["cosine_length"] = "cosine_length"
    max_tokens: PositiveInt
    """Here the long ends are reached; longer completions stay at them."""
    right_short: float = 1.0
    right_long: float = 0.5
    wrong_short: float = -1.0
    wrong_long: float = -0.5
    exceeded: float | None = None
    """Value of a completion that was cut at its token limit or has max_tokens or more, whatever its answer; left out: the
    long ends."""


class TagCountReward(RewardBase):
    """The share of the output form's marks that occur exactly as often as they should, wherever they stand."""

    kind: Literal["tag_count"] = "tag_count"


class ReasoningStepsReward(RewardBase):
    """Grows with the number of steps that the chain of thought marks as such, up to 1: "Step 1:", "2.", "First,", "第一步",
    "首先", items of a list."""

    kind: Literal["reasoning_steps"] = "reasoning_steps"
    enough_steps: PositiveInt = 3
    """So many different steps get 1."""


ShapingReward = (
    LanguageReward
    | RepetitionReward
    | OverlongReward
    | LengthReward
    | CosineLengthReward
    | TagCountReward
    | ReasoningStepsReward
)
