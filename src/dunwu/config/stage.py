"""The stages of a recipe."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from dunwu.config.algorithm import Grpo, KlConfig, Objective
from dunwu.config.base import ConfigModel, StageName
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.grading import GradingConfig, LocalGrading
from dunwu.config.output_form import R1_ZERO_FORM, OutputForm, ThinkForm
from dunwu.config.references import ModelName, Product
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig, reward_fault
from dunwu.config.sft import SftStage
from dunwu.config.shaping import LanguageReward, OverlongReward
from dunwu.config.task import ChatTemplate, R1ZeroTemplate, Task, Template
from dunwu.config.training import (
    BatchConfig,
    CheckpointConfig,
    EmbeddedEngine,
    EngineConfig,
    EvaluationConfig,
    OptimizerConfig,
    SamplingConfig,
    require_scores,
)


class RlConfig(ConfigModel):
    """Everything that one reinforcement-learning stage needs. A step is one policy update (facts.md section
    2)."""

    makes: ClassVar[frozenset[Product]] = frozenset({"model"})

    name: StageName = "rl"
    start: ModelName = "base"
    """The model to train: "base", one of the recipe's models, or an earlier stage, whose finished model is taken."""
    task: Task
    template: Template = R1ZeroTemplate()
    output_form: OutputForm = R1_ZERO_FORM
    """How completions mark thinking and answer; every reward goes by it."""
    rewards: tuple[RewardConfig, ...] = (AccuracyReward(), FormatReward())
    combine: Literal["sum", "normalise_then_sum"] = "sum"
    """Advantages from the weighted sum of the parts (R1 eq. 4), or from each part normalised within its group first
    (GDPO, arXiv 2601.05242), so that no part's spread drowns another's."""
    grading: GradingConfig = LocalGrading()

    num_steps: PositiveInt = 10400
    prompts_per_step: PositiveInt = 32
    """Prompts behind one policy update, each with `group_size` completions."""
    group_size: Annotated[int, Field(ge=2)] = 16
    steps_per_rollout: PositiveInt = 16
    """Policy updates made from one rollout: prompts_per_step * steps_per_rollout prompts are sampled at
    once."""
    inner_epochs: PositiveInt = 1
    """Passes over a rollout's mini-batches; each pass is steps_per_rollout further steps."""
    split_rollout_by: Literal["prompt", "completion"] = "completion"
    """Mini-batches are random sets of completions, as in the paper, or of whole groups, whose prompts are
    computed once."""

    objective: Objective = Grpo()
    kl: KlConfig = KlConfig()
    sampling: SamplingConfig = SamplingConfig()
    truncated: Literal["keep", "mask", "zero_reward"] = "keep"
    """Completions cut at max_new_tokens: trained like others, left out of the loss, or given reward 0."""
    refill_rounds: Annotated[int, Field(ge=0)] = 0
    """Replace groups without reward spread by freshly sampled prompts, at most this many times per
    rollout."""

    optimizer: OptimizerConfig = OptimizerConfig()
    batch: BatchConfig = BatchConfig()
    engine: EngineConfig = EmbeddedEngine()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _possible(self) -> "RlConfig":
        if self.sampling.temperature == 0:
            raise ValueError(
                "sampling.temperature is 0; RL needs completions that differ: use a value above 0"
            )
        if not self.rewards:
            raise ValueError('rewards is empty; name at least one, for example [{kind = "accuracy"}]')
        if self.combine == "normalise_then_sum":
            self._require_normalisable()
        if (fault := reward_fault(self.rewards)) is not None:
            raise ValueError(fault)
        if all(reward.weight == 0 for reward in self.rewards):
            raise ValueError("every reward has weight 0, so there is nothing to learn; give one a weight")
        for reward in self.rewards:
            if isinstance(reward, AccuracyReward) and reward.answer_from == ("answer_tag",):
                _require_answer_tag(self.output_form)
            if isinstance(reward, OverlongReward):
                _require_bite(reward, self.sampling.max_new_tokens)
        require_scores(self.checkpoint, self.evaluation.every_steps)
        steps = self.steps_per_rollout * self.inner_epochs
        if self.num_steps % steps:
            raise ValueError(
                f"num_steps is {self.num_steps}; it must be a multiple of steps_per_rollout * inner_epochs = "
                f"{steps}"
            )
        return self

    def _require_normalisable(self) -> None:
        if self.objective.advantage_scale == "none":
            raise ValueError(
                'combine is "normalise_then_sum", and objective.advantage_scale "none" divides by no spread; use '
                '"population_std"'
            )
        if self.kl.coef > 0 and self.kl.placement == "reward":
            raise ValueError(
                'combine is "normalise_then_sum", and kl.placement "reward" would subtract the KL from a sum that is not '
                'used; use kl.placement "loss"'
            )


def _require_bite(reward: OverlongReward, max_new_tokens: int) -> None:
    begins = reward.max_tokens - reward.cache_tokens
    if reward.cache_tokens > 0 and begins >= max_new_tokens:
        raise ValueError(
            f"the overlong reward begins after {begins} tokens (max_tokens - cache_tokens), and sampling.max_new_tokens is "
            f"{max_new_tokens}: it would always be 0; set its max_tokens to {max_new_tokens}"
        )


def _require_answer_tag(form: OutputForm) -> None:
    if form.kind in ("think", "special_token"):
        raise ValueError(
            f'the accuracy reward looks for the answer in <answer>, and output_form.kind "{form.kind}" has none; set its '
            'answer_from to "boxed" or "text"'
        )


class R1ZeroStage(RlConfig):
    """R1-Zero: GRPO with rule-based rewards on the base model, no SFT (facts.md section 2)."""

    kind: Literal["r1_zero"] = "r1_zero"
    name: StageName = "r1_zero"


class ReasoningRlStage(RlConfig):
    """Reasoning RL, R1's first RL stage: R1-Zero's figures, a clip ratio of 10, and the reward for one language in the
    chain of thought added to the others (facts.md section 4)."""

    kind: Literal["reasoning_rl"] = "reasoning_rl"
    name: StageName = "reasoning_rl"
    template: Template = ChatTemplate()
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    rewards: tuple[RewardConfig, ...] = (
        AccuracyReward(answer_from=("boxed", "text")),
        FormatReward(),
        LanguageReward(),
    )
    objective: Objective = Grpo(clip_low=10.0, clip_high=10.0)


Stage = Annotated[
    R1ZeroStage | ReasoningRlStage | SftStage | ColdStartStage | RejectionSamplingStage,
    Field(discriminator="kind"),
]
