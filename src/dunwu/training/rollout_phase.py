"""The sampling half of RL: prompts in, graded groups with advantages out. Called by the RL loop once per rollout.

Refilling, truncated completions and a KL penalty in the reward are settled here, before any update is made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dunwu.config.stage import RlConfig
from dunwu.data.packing import PackSequence, pack
from dunwu.functional.advantages import ragged_group_advantages
from dunwu.functional.kl import kl_reward_penalties
from dunwu.functional.part_advantages import normalised_part_advantages
from dunwu.functional.phases import phase
from dunwu.models.policy import Policy
from dunwu.records import Prompt, Rollout, RolloutGroup, SamplingParams
from dunwu.rollout.collection import Collector
from dunwu.training.prompt_order import draw_prompts
from dunwu.training.rl_state import RlState
from dunwu.training.rl_step import completion_logprobs, per_token
from dunwu.training.rollout_plan import num_prompts, rollout_span


@dataclass(frozen=True)
class RolloutPhase:
    """What sampling needs and what stays the same through a stage."""

    config: RlConfig
    stage: str
    run_seed: int
    prompts: Sequence[Prompt]
    collector: Collector
    sampling: SamplingParams
    general: Sequence[Prompt] = ()
    """General prompts, drawn in the rollouts of the stage's last steps."""

    def sample(
        self, state: RlState, on_progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        """Make the next rollout; advances the state's counters.

        Returns:
            The groups to train on, and those that refilling replaced.
        """
        state.num_rollouts += 1
        num_reasoning, num_general = num_prompts(self.config, rollout_span(self.config, state.step))
        groups = self._sample_groups(state, num_reasoning, num_general, 0, on_progress)
        dropped: list[RolloutGroup] = []
        for round_number in range(1, self.config.refill_rounds + 1):
            flat = [i for i, group in enumerate(groups) if not any(group.advantages)]
            if not flat:
                break
            flat_general = sum(
                i >= num_reasoning for i in flat
            )  # general prompts come last, and so do those that replace them
            fresh = self._sample_groups(
                state, len(flat) - flat_general, flat_general, round_number, on_progress
            )
            for i, group in zip(flat, fresh, strict=True):
                dropped.append(groups[i])
                groups[i] = group
        return groups, dropped

    def _sample_groups(
        self,
        state: RlState,
        num_reasoning: int,
        num_general: int,
        round_number: int,
        on_progress: Callable[[int, int], None] | None,
    ) -> list[RolloutGroup]:
        """Groups of the next reasoning prompts, then of the next general ones."""
        prompts = self._draw(state, num_reasoning, num_general)
        rollouts = self.collector.collect(
            prompts,
            num_samples=self.config.group_size,
            sampling=self.sampling,
            run_seed=self.run_seed,
            seed_path=(self.stage, "rollout", state.num_rollouts, round_number),
            on_progress=on_progress,
        )
        if self.config.truncated == "zero_reward":
            rollouts = [tuple(map(_without_reward_if_truncated, of_prompt)) for of_prompt in rollouts]
        advantages = self._advantages(state, prompts, rollouts)
        if self.config.truncated == "mask":
            advantages = [
                [
                    None if r.completion.finish_reason == "length" else a
                    for r, a in zip(of_prompt, row, strict=True)
                ]
                for of_prompt, row in zip(rollouts, advantages, strict=True)
            ]
        return [
            RolloutGroup(prompt, of_prompt, tuple(row))
            for prompt, of_prompt, row in zip(prompts, rollouts, advantages, strict=True)
        ]

    def _draw(self, state: RlState, num_reasoning: int, num_general: int) -> list[Prompt]:
        reasoning = draw_prompts(
            self.prompts, state.prompts_drawn, num_reasoning, run_seed=self.run_seed, stage=self.stage
        )
        general = draw_prompts(
            self.general,
            state.general_drawn,
            num_general,
            run_seed=self.run_seed,
            stage=f"{self.stage}/general",  # no stage is called so
        )
        state.prompts_drawn += num_reasoning
        state.general_drawn += num_general
        return [*reasoning, *general]

    @phase("advantages")
    def _advantages(
        self, state: RlState, prompts: Sequence[Prompt], rollouts: Sequence[Sequence[Rollout]]
    ) -> list[list[float | None]]:
        config, objective = self.config, self.config.objective
        if config.combine == "normalise_then_sum":
            without_reward = config.truncated == "zero_reward"
            return normalised_part_advantages(
                [[_part_values(r, without_reward) for r in of_prompt] for of_prompt in rollouts],
                {reward.part_name: reward.weight for reward in config.rewards},
                scale=objective.advantage_scale,
                eps=objective.advantage_eps,
            )
        totals = [[r.reward.total for r in of_prompt] for of_prompt in rollouts]
        if state.reference is not None and config.kl.placement == "reward":
            totals = penalised_rewards(state.reference, prompts, rollouts, config)
        return ragged_group_advantages(totals, scale=objective.advantage_scale, eps=objective.advantage_eps)


def _part_values(rollout: Rollout, zero_if_truncated: bool) -> dict[str, float | None] | None:
    """The values of a rollout's parts; None if it is excluded."""
    if rollout.reward.total is None:
        return None
    values = {name: part.value for name, part in rollout.reward.parts.items()}
    if zero_if_truncated and rollout.completion.finish_reason == "length":
        return {name: None if value is None else 0.0 for name, value in values.items()}
    return values


def _without_reward_if_truncated(rollout: Rollout) -> Rollout:
    if rollout.completion.finish_reason != "length" or rollout.reward.total is None:
        return rollout
    return replace(rollout, reward=replace(rollout.reward, total=0.0))


def penalised_rewards(
    reference: Policy, prompts: Sequence[Prompt], rollouts: Sequence[Sequence[Rollout]], config: RlConfig
) -> list[list[float | None]]:
    """Rewards less kl.coef times the summed KL estimate of each completion, from the log-probs it was sampled with."""
    flat = [(p, i) for p, of_prompt in enumerate(rollouts) for i in range(len(of_prompt))]
    sequences = [PackSequence(prompts[p].token_ids, rollouts[p][i].completion.token_ids) for p, i in flat]
    totals: list[list[float | None]] = [[r.reward.total for r in of_prompt] for of_prompt in rollouts]
    for row in pack(sequences, config.batch.micro_batch_tokens, reference.device):
        members = [flat[j] for j in row.sequence_indices]
        penalties = kl_reward_penalties(
            per_token([rollouts[p][i].completion.logprobs for p, i in members], reference.device),
            completion_logprobs(reference, row.batch, config),
            config.kl.estimator,
            row.batch.sequence_N,
            row.batch.num_sequences,
        ).tolist()
        for (p, i), penalty in zip(members, penalties, strict=True):
            total = totals[p][i]
            totals[p][i] = None if total is None else total - config.kl.coef * penalty
    return totals
