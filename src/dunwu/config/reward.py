"""The rewards of a stage: named parts with weights, summed (DeepSeek-R1 eq. 4: the same weight for each)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, PositiveFloat, PositiveInt, model_validator

from dunwu.config.code import CodeConfig
from dunwu.config.references import FunctionPath, RewardModelName
from dunwu.config.reward_base import RewardBase
from dunwu.config.sandbox import BubblewrapSandbox, SandboxConfig
from dunwu.config.shaping import CosineLengthReward, ShapingReward

AnswerForm = Literal["answer_tag", "boxed", "text"]
AnswerForms = Annotated[
    tuple[AnswerForm, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    PlainSerializer(lambda forms: forms[0] if len(forms) == 1 else list(forms)),
]


class AccuracyReward(RewardBase):
    """1 if the problem's own grader accepts the final answer, else 0."""

    kind: Literal["accuracy"] = "accuracy"
    answer_from: AnswerForms = ("answer_tag",)
    """Where the final answer is looked for: in <answer>, in the last \\boxed{}, or in the whole text after
    any </think>. Of several forms, in a list, the first that the completion has is taken."""
    timeout_seconds: PositiveFloat = 5.0
    """Time limit of one grading, counted from when it starts. Programs have limits of their own, in `code`."""
    code: CodeConfig = CodeConfig()
    sandbox: SandboxConfig = BubblewrapSandbox()
    """Where programs run; opened when the first problem with the grader "code" comes."""


class FormatReward(RewardBase):
    """1 if the completion is exactly what the stage's output form asks for, nothing missing, doubled, empty or
    stray, else 0."""

    kind: Literal["format"] = "format"


class FunctionReward(RewardBase):
    """What a function of your own returns: a number, None where the reward does not apply, or a dict of numbers,
    whose sum counts and whose entries are logged. It runs in a process of its own."""

    kind: Literal["function"] = "function"
    path: FunctionPath
    """ "package.module:function" or "file.py:function"; plain or async. It may take, by these names: completion,
    prompt, question, reference, answer, reasoning, num_tokens, finish_reason, language, kind, id, columns (a dict
    with the task's own columns), and the keys of `params`."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further arguments, the same for every completion."""
    batched: bool = False
    """The function takes a list in place of each value (but for `params`) and returns a list."""
    batch_size: PositiveInt = 16
    """Completions given to one call of a batched function, or run at the same time by an async one, at most."""
    timeout_seconds: PositiveFloat = 30.0
    """Time limit of one call, on the clock, counted from when it starts."""
    num_processes: PositiveInt = 1
    """Calls made at the same time; each process imports the function's module."""


class PreferenceReward(RewardBase):
    """What a reward model thinks of the response to a general prompt, one that no rule can grade: the model of its set, on the
    final summary alone for helpfulness, on the whole response for harmlessness (facts.md section 5)."""

    kind: Literal["preference"] = "preference"
    helpful: RewardModelName | None = None
    """Scores responses to prompts of the set "helpful"; none: the reward does not apply to them."""
    safety: RewardModelName | None = None
    """Scores responses to prompts of the set "safety"; none: the reward does not apply to them."""
    scale: Literal["sigmoid", "none"] = "sigmoid"
    """The sigmoid of the score less the mean of the model's held-out scores, in units of their spread: 0 to 1, as the rules'
    rewards. Or the score as it is."""

    @model_validator(mode="after")
    def _has_a_model(self) -> "PreferenceReward":
        if self.helpful is None and self.safety is None:
            raise ValueError(
                "a preference reward needs a reward model; name one as `helpful`, as `safety`, or one for each"
            )
        return self

    @property
    def models(self) -> Mapping[str, str]:
        """The names of its reward models by the set of prompts."""
        named = {"helpful": self.helpful, "safety": self.safety}
        return {of_set: name for of_set, name in named.items() if name is not None}


RuleReward = AccuracyReward | FormatReward | ShapingReward
RewardConfig = Annotated[RuleReward | FunctionReward | PreferenceReward, Field(discriminator="kind")]


def reward_fault(rewards: Sequence[RewardBase]) -> str | None:
    """Return why rewards cannot be used together, None if they can."""
    counts = Counter(reward.part_name for reward in rewards)
    repeated = [name for name, count in counts.items() if count > 1]
    if repeated:
        return f"two rewards are called {repeated[0]!r}; give each a `name` of its own"
    if any(isinstance(reward, CosineLengthReward) for reward in rewards) and not any(
        isinstance(reward, AccuracyReward) for reward in rewards
    ):
        return (
            "a cosine_length reward takes the verdict of an accuracy reward, and there is none; add one, with weight 0 if it "
            "shall not count by itself"
        )
    return None
