"""How a stage learns from its own completions: what it makes of a rollout, and of a mini-batch. Called by the loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from dunwu.config.stage import RlConfig
from dunwu.records import RolloutGroup
from dunwu.rollout.collection import sampling_params
from dunwu.stages.context import StageContext
from dunwu.stages.rl_setup import RlParts
from dunwu.training.rl_metrics import StepNote, explain_zero
from dunwu.training.rl_state import RlState
from dunwu.training.rl_step import update_policy
from dunwu.training.rollout_phase import RolloutPhase
from dunwu.training.sequences import TrainSequence


class Method(Protocol):
    """What tells ways of learning from one's own completions apart."""

    def sample(
        self, state: RlState, on_progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        """Make the next rollout; advances the state's counters. Returns the groups to train on, and those replaced."""
        ...

    def update(self, state: RlState, minibatch: Sequence[TrainSequence], step: int) -> Mapping[str, Any]:
        """Make policy update number `step` (from 1) and return its figures."""
        ...

    def explain(self, metrics: Mapping[str, Any]) -> StepNote | None:
        """Say what a step's figures mean where they would puzzle a person; None where they do not."""
        ...


class PolicyGradient:
    """Reinforcement learning: advantages from rewards, and the recipe's objective."""

    def __init__(self, config: RlConfig, context: StageContext, parts: RlParts) -> None:
        self.config = config
        self.phase = RolloutPhase(
            config,
            context.folder.name,
            context.seed,
            parts.train,
            parts.collector,
            sampling_params(config.sampling, parts.state.policy),
            () if parts.general is None else parts.general.train,
        )

    def sample(
        self, state: RlState, on_progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[RolloutGroup], list[RolloutGroup]]:
        """Sample, grade, and give every completion its advantage."""
        return self.phase.sample(state, on_progress)

    def update(self, state: RlState, minibatch: Sequence[TrainSequence], step: int) -> Mapping[str, Any]:
        """Make one update under the recipe's objective."""
        return update_policy(state.policy, state.reference, state.optimizer, minibatch, self.config, step)

    def explain(self, metrics: Mapping[str, Any]) -> StepNote | None:
        """Say why the loss or the reward spread is 0, if one is."""
        return explain_zero(metrics)
