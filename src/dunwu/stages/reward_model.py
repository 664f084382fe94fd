"""The reward model (DeepSeek-R1 v2, section 3.1): helpful from pairs of summaries, safety from labelled whole responses.

Evaluate, then step by step take a batch, update, record, checkpoint; evaluate again. A killed stage goes on from its last
checkpoint and ends with the same bytes.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from dunwu.config.reward_model import RewardModelStage
from dunwu.models.reward_model import save_reward_model
from dunwu.records import RolloutGroup
from dunwu.stages.context import StageContext
from dunwu.stages.reward_model_setup import RewardModelParts, reward_model_parts
from dunwu.stages.training_run import (
    evaluate_once,
    evaluation_label,
    go_back,
    peak_memory_bytes,
    save_checkpoint,
    wall_seconds,
)
from dunwu.training.reward_model_step import evaluate_on_preferences, update_on_preferences
from dunwu.training.reward_samples import RewardSamples


def run_reward_model(config: RewardModelStage, context: StageContext) -> dict[str, Any]:
    """Run or continue the stage to its end.

    Returns:
        The stage's record for summary.json: name, loss_kind, before, after, num_steps, train and held_out (how many rows, and how
        many were left out, by the reason), wall_seconds.
    """
    folder, progress = context.folder, context.progress
    parts = reward_model_parts(config, context, go_back(context))
    num_steps = parts.schedule.num_steps
    loop = _RewardModelLoop(config, context, parts)
    progress.stage_started(folder.name, num_steps, parts.state.step)
    for name, samples in (("training", parts.train), ("held-out", parts.held_out)):
        progress.message(_told(name, samples))
    before = loop.evaluate("before", 0)
    loop.train()
    after = loop.evaluate("after", num_steps)
    reward_model = parts.state.reward_model
    reward_model.note_scores(after["score_mean"], after["score_std"])
    folder.save_model(lambda path: save_reward_model(reward_model, path))
    return {
        "name": folder.name,
        "loss_kind": config.loss,
        "before": before,
        "after": after,
        "num_steps": num_steps,
        "train": _counts(parts.train),
        "held_out": _counts(parts.held_out),
        "wall_seconds": wall_seconds(context),
    }


def _counts(samples: RewardSamples) -> dict[str, Any]:
    return {"rows": len(samples.samples), "left_out": samples.left_out}


def _told(name: str, samples: RewardSamples) -> str:
    tokens = sum(sample.num_tokens for sample in samples.samples)
    text = f"{name} data: {len(samples.samples):,} rows, {tokens:,} tokens"
    for reason, count in samples.left_out.items():
        text += f"; {count:,} left out ({reason.replace('_', ' ')})"
    return text


class _RewardModelLoop:
    """One stage's loop over its steps."""

    def __init__(self, config: RewardModelStage, context: StageContext, parts: RewardModelParts) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.parts = parts
        self.state = parts.state

    def evaluate(self, label: str, step: int) -> Mapping[str, Any]:
        """Evaluate on the held-out rows, unless this evaluation is already in the run folder."""
        return evaluate_once(self.context, label, step, lambda: self._evaluate(label))

    def _evaluate(self, label: str) -> tuple[Mapping[str, Any], Sequence[RolloutGroup]]:
        samples, progress = self.parts.held_out.samples, self.context.progress
        progress.evaluation(label, 0, len(samples))
        figures = evaluate_on_preferences(
            self.state.reward_model,
            samples,
            self.config.batch.micro_batch_tokens,
            on_progress=lambda done, total: progress.evaluation(label, done, total),
        )
        return figures, ()

    def train(self) -> None:
        """Make the steps that are still to be made, epoch by epoch."""
        schedule = self.parts.schedule
        while self.state.step < schedule.num_steps:
            epoch, done = divmod(self.state.step, schedule.steps_per_epoch)
            left = schedule.num_steps - self.state.step
            for indices in schedule.epoch(epoch)[done : done + left]:
                self._update(epoch, indices)

    def _update(self, epoch: int, indices: Sequence[int]) -> None:
        """One step with everything that is written about it."""
        state = self.state
        start = time.monotonic()
        step = state.step + 1
        figures = update_on_preferences(
            state.reward_model,
            state.optimizer,
            [self.parts.train.samples[index] for index in indices],
            max_tokens=self.config.batch.micro_batch_tokens,
            step=step,
        )
        state.step = step
        seconds = time.monotonic() - start
        metrics = {"epoch": epoch + 1, **figures}
        timings = {
            "wall_seconds": seconds,
            "training_seconds": seconds,
            "training_tokens_per_second": figures["computed_tokens"] / seconds,
            "peak_memory_bytes": peak_memory_bytes(),
        }
        self.folder.append_metrics(step, metrics)
        self.folder.append_timings(step, timings)
        self.context.progress.step(step, metrics, timings)
        self._after_update(step)

    def _after_update(self, step: int) -> None:
        """Evaluation and checkpoint, in this order, so that a checkpoint holds all that came before it."""
        last = self.parts.schedule.num_steps
        every = self.config.evaluation.every_steps
        if every and step % every == 0 and step < last:
            self.evaluate(evaluation_label(step), step)
        if step % self.config.checkpoint.every_steps == 0 or step == last:
            save = self.state.save
            save_checkpoint(self.context, self.config.checkpoint, step, save, lambda found: -found["loss"])
