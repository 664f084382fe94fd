"""On-policy distillation: the student's own completions, and a teacher's opinion of every token in them.

Sampling, evaluation, checkpoints and resuming are those of the RL loop; what differs is the update. Rewards are measured and not
trained on. Not in the R1 papers: arXiv 2306.13649.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dunwu.config.on_policy_distill import OnPolicyDistillStage
from dunwu.errors import ConfigError
from dunwu.models.loading import load_policy, load_tokenizer
from dunwu.models.policy import Policy
from dunwu.models.vocabulary import vocabulary_difference
from dunwu.records import Rollout, RolloutGroup
from dunwu.rollout.collection import sampling_params
from dunwu.stages.context import StageContext
from dunwu.stages.rl_loop import run_on_policy
from dunwu.stages.rl_setup import RlParts
from dunwu.training.distill_step import update_student
from dunwu.training.prompt_order import draw_prompts
from dunwu.training.rl_metrics import StepNote
from dunwu.training.rl_state import RlState
from dunwu.training.sequences import TrainSequence


def run_on_policy_distill(config: OnPolicyDistillStage, context: StageContext) -> dict[str, Any]:
    """Run the stage to its end and return its record for summary.json.

    Raises:
        ConfigError: the teacher has another vocabulary than the student; told before any weights are loaded.
    """
    _require_one_vocabulary(config, context)

    def method(parts: RlParts) -> OnPolicyDistillation:
        teacher = load_policy(context.models[config.teacher])
        teacher.model.requires_grad_(False)
        if teacher.device != parts.state.policy.device:
            raise ConfigError(
                f"the teacher {config.teacher} is on {teacher.device}, and the student on {parts.state.policy.device}; give "
                "both models the same device"
            )
        return OnPolicyDistillation(config, context, parts, teacher)

    return run_on_policy(config, context, method)


def _require_one_vocabulary(config: OnPolicyDistillStage, context: StageContext) -> None:
    student, teacher = context.model, context.models[config.teacher]
    difference = vocabulary_difference(
        *(load_tokenizer(each.path, trust_remote_code=each.trust_remote_code) for each in (student, teacher))
    )
    if difference is not None:
        raise ConfigError(
            f"the teacher {config.teacher} ({teacher.path}) and the student {config.start} ({student.path}) have different "
            f"vocabularies: {difference}. On-policy distillation compares them token by token; name a teacher of the "
            'student\'s own family, or use the stage "distill", which learns from text'
        )


class OnPolicyDistillation:
    """Sample the student, and move its distribution towards the teacher's at every token that it sampled."""

    def __init__(
        self, config: OnPolicyDistillStage, context: StageContext, parts: RlParts, teacher: Policy
    ) -> None:
        self.config = config
        self.context = context
        self.parts = parts
        self.teacher = teacher

    def sample(
        self, state: RlState, on_progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        """Sample and grade the next rollout. Its completions have no advantages: 0, or none for one that is not trained on."""
        config, seed, stage = self.config, self.context.seed, self.context.folder.name
        num = config.prompts_per_step * config.steps_per_rollout
        state.num_rollouts += 1
        prompts = draw_prompts(self.parts.train, state.prompts_drawn, num, run_seed=seed, stage=stage)
        state.prompts_drawn += num
        rollouts = self.parts.collector.collect(
            prompts,
            num_samples=config.group_size,
            sampling=sampling_params(config.sampling, state.policy),
            run_seed=seed,
            seed_path=(stage, "rollout", state.num_rollouts),
            on_progress=on_progress,
        )
        groups = [
            RolloutGroup(prompt, of_prompt, tuple(0.0 if self._is_known(r) else None for r in of_prompt))
            for prompt, of_prompt in zip(prompts, rollouts, strict=True)
        ]
        return groups, []

    def _is_known(self, rollout: Rollout) -> bool:
        """Whether the teacher has an embedding for each token; padding behind the vocabulary, drawn by accident, it may lack."""
        return max(rollout.completion.token_ids) < self.teacher.num_tokens

    def update(self, state: RlState, minibatch: Sequence[TrainSequence], step: int) -> Mapping[str, Any]:
        """Make one update towards the teacher."""
        figures = update_student(state.policy, self.teacher, state.optimizer, minibatch, self.config, step)
        return {**figures, "zero_spread_frac": None}  # there are no advantages that could have a spread

    def explain(self, metrics: Mapping[str, Any]) -> StepNote | None:
        """Say if no completion came to its end; nothing else about these figures puzzles."""
        if metrics.get("truncated_frac") != 1.0:
            return None
        return StepNote(
            "all truncated",
            "every completion was cut at sampling.max_new_tokens, so the student learns nothing about how answers end: raise it",
        )
