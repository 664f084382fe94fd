"""What the stages need that train a model on completions it has just sampled: reinforcement learning, on-policy distillation."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator

from dunwu.config.base import ConfigModel, StageName
from dunwu.config.general_rl import GeneralPrompts
from dunwu.config.grading import GradingConfig, LocalGrading
from dunwu.config.output_form import R1_ZERO_FORM, OutputForm
from dunwu.config.references import ModelName, Product
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig, reward_fault
from dunwu.config.shaping import OverlongReward
from dunwu.config.task import R1ZeroTemplate, Task, Template
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


class OnPolicyConfig(ConfigModel):
    """What to sample, how to grade and evaluate it, and how much of it one update takes. A step is one policy update (facts.md
    section 2)."""

    makes: ClassVar[frozenset[Product]] = frozenset({"model"})

    name: StageName = "on_policy"
    start: ModelName = "base"
    """The model to train: "base", one of the recipe's models, or an earlier stage, whose finished model is taken."""
    task: Task
    template: Template = R1ZeroTemplate()
    output_form: OutputForm = R1_ZERO_FORM
    """How completions mark thinking and answer; every reward goes by it."""
    rewards: tuple[RewardConfig, ...] = (AccuracyReward(), FormatReward())
    grading: GradingConfig = LocalGrading()

    num_steps: PositiveInt = 10400
    prompts_per_step: PositiveInt = 32
    """Prompts behind one policy update, each with `group_size` completions."""
    group_size: Annotated[int, Field(ge=1)] = 16
    steps_per_rollout: PositiveInt = 16
    """Policy updates made from one rollout: prompts_per_step * steps_per_rollout prompts are sampled at
    once."""
    inner_epochs: PositiveInt = 1
    """Passes over a rollout's mini-batches; each pass is steps_per_rollout further steps."""
    split_rollout_by: Literal["prompt", "completion"] = "completion"
    """Mini-batches are random sets of completions, as in the paper, or of whole groups, whose prompts are
    computed once."""
    sampling: SamplingConfig = SamplingConfig()

    optimizer: OptimizerConfig = OptimizerConfig()
    batch: BatchConfig = BatchConfig()
    engine: EngineConfig = EmbeddedEngine()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _sampling_and_steps_fit(self) -> "OnPolicyConfig":
        if self.sampling.temperature == 0:
            raise ValueError(
                "sampling.temperature is 0; RL needs completions that differ: use a value above 0"
            )
        if not self.rewards:
            raise ValueError('rewards is empty; name at least one, for example [{kind = "accuracy"}]')
        if (fault := reward_fault(self.rewards)) is not None:
            raise ValueError(fault)
        for reward in self.rewards:
            if isinstance(reward, AccuracyReward) and reward.answer_from == ("answer_tag",):
                _require_answer_tag(self.output_form)
            if isinstance(reward, OverlongReward):
                _require_bite(reward, self.sampling.max_new_tokens)
        require_scores(self.checkpoint, self.evaluation.every_steps)
        if (fault := self.steps_fault()) is not None:
            raise ValueError(fault)
        return self

    def steps_fault(self) -> str | None:
        """Return why the steps cannot be cut into rollouts; None if they can."""
        steps = self.steps_per_rollout * self.inner_epochs
        if self.num_steps % steps == 0:
            return None
        return f"num_steps is {self.num_steps}; it must be a multiple of steps_per_rollout * inner_epochs = {steps}"

    @property
    def general_prompts(self) -> GeneralPrompts | None:
        """The general prompts that the stage's last steps take; None if it takes none."""
        return None


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
