"""Stages that go through their samples epoch by epoch: which samples each step takes, and what is done around a step.

Fine-tuning and reward models differ in how they update and what they evaluate; the rest is here. Called by those stages.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from dunwu.config.training import CheckpointConfig
from dunwu.data.sft_packing import plan_epoch
from dunwu.errors import ConfigError
from dunwu.functional.seeds import derive_seed
from dunwu.stages.context import StageContext
from dunwu.stages.profiling import Profiling
from dunwu.stages.training_run import (
    evaluate_once,
    evaluation_label,
    peak_memory_bytes,
    save_checkpoint,
    without_evaluation,
)
from dunwu.training.reward_model_state import RewardModelState
from dunwu.training.sft_state import SftState

EvaluationProgress = Callable[[int, int], None]


class EpochConfig(Protocol):
    """What a stage's configuration says about its epochs."""

    @property
    def num_epochs(self) -> int: ...
    @property
    def max_steps(self) -> int | None: ...
    @property
    def batch_size(self) -> int: ...


@dataclass(frozen=True)
class EpochSchedule:
    """Which samples each step takes: a plan for each epoch, drawn from (run seed, stage, epoch).

    Args:
        row_tokens: batches are that many rows, packed up to so many tokens; None: they are samples.
    """

    config: EpochConfig
    lengths: NDArray[np.int64]
    run_seed: int
    stage: str
    row_tokens: int | None = None

    def epoch(self, epoch: int) -> list[tuple[int, ...]]:
        """Return for each step of an epoch (from 0) the indices of its samples."""
        seed = derive_seed(self.run_seed, self.stage, "epoch", epoch)
        return plan_epoch(
            self.lengths, batch_size=self.config.batch_size, row_tokens=self.row_tokens, seed=seed
        )

    @cached_property
    def steps_per_epoch(self) -> int:
        """The same for every epoch."""
        return len(self.epoch(0))

    @property
    def num_steps(self) -> int:
        """Steps of the whole stage."""
        steps = self.steps_per_epoch * self.config.num_epochs
        return steps if self.config.max_steps is None else min(steps, self.config.max_steps)

    def require_warmup_to_end(self, warmup_steps: int, samples: str) -> None:
        """Refuse a warm-up as long as the stage.

        Args:
            samples: what the stage's samples are called.
        Raises:
            ConfigError: the learning rate would never reach its peak.
        """
        if warmup_steps >= self.num_steps:
            raise ConfigError(
                f"optimizer.schedule.warmup_steps is {warmup_steps}, and {len(self.lengths)} {samples} give {self.num_steps} "
                "steps: the learning rate would never reach its peak; lower it, or batch_size"
            )


@dataclass(frozen=True)
class EpochLoop:
    """A stage's loop over its steps.

    Args:
        update: makes one step on the samples of these indices and returns its figures.
        evaluate_all: evaluates on all held-out samples.
        loss: the figure by which checkpoints are compared, lower for a better model.
    """

    context: StageContext
    device: torch.device
    schedule: EpochSchedule
    state: SftState | RewardModelState
    checkpoint: CheckpointConfig
    evaluate_every: int | None
    update: Callable[[Sequence[int], int], Mapping[str, Any]]
    evaluate_all: Callable[[EvaluationProgress], Mapping[str, Any]]
    num_held_out: int
    loss: str

    def evaluate(self, label: str, step: int) -> Mapping[str, Any]:
        """Evaluate on the held-out samples, unless this evaluation is already in the run folder."""
        progress = self.context.progress

        def figures() -> tuple[Mapping[str, Any], tuple[()]]:
            progress.evaluation(label, 0, self.num_held_out)
            return self.evaluate_all(lambda done, total: progress.evaluation(label, done, total)), ()

        return evaluate_once(self.context, label, step, figures, state_step=self.state.step)

    def train(self) -> None:
        """Make the steps that are still to be made, epoch by epoch; those before must have been evaluated as it was due."""
        due = filter(self._evaluation_due, range(1, self.state.step + 1))
        for step in without_evaluation(self.context, due):
            self.evaluate(evaluation_label(step), step)
        schedule = self.schedule
        profiling = Profiling(self.context, self.device)
        while self.state.step < schedule.num_steps:
            epoch, done = divmod(self.state.step, schedule.steps_per_epoch)
            left = schedule.num_steps - self.state.step
            for indices in schedule.epoch(epoch)[done : done + left]:
                with profiling.round(self.state.step + 1):
                    self._update(epoch, indices)

    def _update(self, epoch: int, indices: Sequence[int]) -> None:
        """One step with everything that is written about it."""
        start = time.monotonic()
        step = self.state.step + 1
        figures = self.update(indices, step)
        self.state.step = step
        seconds = time.monotonic() - start
        metrics = {"epoch": epoch + 1, **figures}
        timings = {
            "wall_seconds": seconds,
            "training_seconds": seconds,
            "training_tokens_per_second": figures["computed_tokens"] / seconds,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.context.folder.append_metrics(step, metrics)
        self.context.folder.append_timings(step, timings)
        self.context.progress.step(step, metrics, timings)
        self._after_update(step)

    def _after_update(self, step: int) -> None:
        """Evaluation and checkpoint, in this order, so that a checkpoint holds all that came before it."""
        if self._evaluation_due(step):
            self.evaluate(evaluation_label(step), step)
        if step % self.checkpoint.every_steps == 0 or step == self.schedule.num_steps:
            save_checkpoint(
                self.context, self.checkpoint, step, self.state.save, lambda found: -found[self.loss]
            )

    def _evaluation_due(self, step: int) -> bool:
        """Whether the stage is evaluated after `step`, its end not counted."""
        every = self.evaluate_every
        return every is not None and step % every == 0 and step < self.schedule.num_steps
