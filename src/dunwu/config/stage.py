"""The stages of a recipe."""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from dunwu.config.algorithm import Grpo, KlConfig, Objective
from dunwu.config.base import StageName
from dunwu.config.cold_start import ColdStartStage
from dunwu.config.comparison import ComparisonStage
from dunwu.config.distill import DistillStage
from dunwu.config.general_rl import GeneralPrompts, GeneralSampling
from dunwu.config.on_policy import OnPolicyConfig
from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.config.output_form import OutputForm, ThinkForm
from dunwu.config.preference_data import PreferenceDataStage
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.reward import AccuracyReward, FormatReward, PreferenceReward, RewardConfig
from dunwu.config.reward_model import RewardModelStage
from dunwu.config.sft import SftStage
from dunwu.config.shaping import LanguageReward
from dunwu.config.task import ChatTemplate, Template


class RlConfig(OnPolicyConfig):
    """Everything that one reinforcement-learning stage needs (facts.md section 2)."""

    name: StageName = "rl"
    group_size: Annotated[int, Field(ge=2)] = 16
    combine: Literal["sum", "normalise_then_sum"] = "sum"
    """Advantages from the weighted sum of the parts (R1 eq. 4), or from each part normalised within its group first
    (GDPO, arXiv 2601.05242), so that no part's spread drowns another's."""
    objective: Objective = Grpo()
    kl: KlConfig = KlConfig()
    truncated: Literal["keep", "mask", "zero_reward"] = "keep"
    """Completions cut at max_new_tokens: trained like others, left out of the loss, or given reward 0."""
    refill_rounds: Annotated[int, Field(ge=0)] = 0
    """Replace groups without reward spread by freshly sampled prompts, at most this many times per
    rollout."""

    @model_validator(mode="after")
    def _rewards_can_teach(self) -> "RlConfig":
        if all(reward.weight == 0 for reward in self.rewards):
            raise ValueError("every reward has weight 0, so there is nothing to learn; give one a weight")
        if self.combine == "normalise_then_sum":
            self._require_normalisable()
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


class GeneralRlStage(RlConfig):
    """RL for all scenarios, R1's second RL stage: reasoning RL's figures at temperature 0.7, and in the last steps general
    prompts beside the reasoning ones, paid by reward models, format and language (facts.md section 4)."""

    kind: Literal["general_rl"] = "general_rl"
    name: StageName = "general_rl"
    template: Template = ChatTemplate()
    output_form: OutputForm = ThinkForm(opened_by_prompt=False)
    rewards: tuple[RewardConfig, ...] = (
        AccuracyReward(answer_from=("boxed", "text")),
        FormatReward(),
        LanguageReward(),
    )
    """At least one must be of the kind "preference"."""
    objective: Objective = Grpo(clip_low=10.0, clip_high=10.0)
    sampling: GeneralSampling = GeneralSampling()
    num_steps: PositiveInt = 1700
    """facts.md section 4: 1,700. The rollout before general prompts begin, and the last one, are as small as they must be."""
    general: GeneralPrompts

    @property
    def general_prompts(self) -> GeneralPrompts:
        """The general prompts that the stage's last steps take."""
        return self.general

    def steps_fault(self) -> str | None:
        """Return why the steps cannot be cut into rollouts; None if they can."""
        for key, value in (("num_steps", self.num_steps), ("general.steps", self.general.steps)):
            if value % self.inner_epochs:
                return f"{key} is {value}; it must be a multiple of inner_epochs = {self.inner_epochs}"
        return None

    @model_validator(mode="after")
    def _has_general_prompts(self) -> "GeneralRlStage":
        if self.general.steps > self.num_steps:
            raise ValueError(
                f"general.steps is {self.general.steps}, and the stage has {self.num_steps} steps; use at most that many"
            )
        if not any(isinstance(reward, PreferenceReward) and reward.weight for reward in self.rewards):
            raise ValueError(
                "rewards has none for general prompts; add one like "
                '{kind = "preference", helpful = "helpful_model", safety = "safety_model"}, whose values are [models.NAME] '
                'or stages of the kind "reward_model"'
            )
        if round(self.general.share * self.prompts_per_step) < 1:
            raise ValueError(
                f"general.share is {self.general.share}, not even one of the {self.prompts_per_step} prompts of a step; raise it"
            )
        return self


Stage = Annotated[
    R1ZeroStage
    | ReasoningRlStage
    | GeneralRlStage
    | SftStage
    | ColdStartStage
    | RejectionSamplingStage
    | PreferenceDataStage
    | RewardModelStage
    | DistillStage
    | OnPolicyDistillStage
    | ComparisonStage,
    Field(discriminator="kind"),
]
