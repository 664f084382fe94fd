"""On-policy distillation: a student learns from a teacher on its own completions. Not in the R1 papers (docs/departures.md)."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from dunwu.config.base import StageName
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.references import ModelName
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig
from dunwu.config.task import ChatTemplate, Template
from dunwu.config.training import LearningRate, OptimizerConfig


class OnPolicyDistillOptimizer(OptimizerConfig):
    """AdamW at a learning rate between that of RL and that of fine-tuning."""

    learning_rate: LearningRate = 1e-5


class OnPolicyDistillStage(OnPolicyConfig):
    """The student samples, the teacher says how likely it finds each token that could have come next, and the student's
    distribution moves towards the teacher's: the exact KL(student || teacher) at every sampled position.

    Generalised knowledge distillation (Agarwal et al., arXiv 2306.13649) with the student's own samples and reverse KL.
    """

    kind: Literal["on_policy_distill"] = "on_policy_distill"
    name: StageName = "on_policy_distill"
    teacher: ModelName
    """Whom to learn from: a model of the recipe or an earlier stage's, with the student's vocabulary."""
    template: Template = ChatTemplate()
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    rewards: tuple[RewardConfig, ...] = (AccuracyReward(answer_from=("boxed", "text")), FormatReward())
    """Measured on completions and in evaluations, never trained on."""

    num_steps: PositiveInt = 200
    group_size: Annotated[int, Field(ge=1)] = 4
    steps_per_rollout: PositiveInt = 1
    """Updates made from one rollout. With more than one, the later ones are on completions of a student that was."""
    aggregation: Literal["token_mean", "sample_mean"] = "token_mean"
    """Every token of the batch weighs the same, or every completion does."""
    optimizer: OnPolicyDistillOptimizer = OnPolicyDistillOptimizer()

    @model_validator(mode="after")
    def _teacher_is_another(self) -> "OnPolicyDistillStage":
        if self.teacher == self.start:
            raise ValueError(
                f"teacher and start are both {self.teacher}: a model cannot learn from itself; name a better one as teacher"
            )
        return self
