"""Supervised fine-tuning (DeepSeek-R1, sections 2.3.1 and 2.3.3): cold start, the second fine-tuning, and distillation.

Evaluate, then step by step take a batch, update, record, checkpoint; evaluate again. A killed stage goes on from its last
checkpoint and ends with the same bytes.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dunwu.config.sft import SftConfig
from dunwu.data.sft_samples import SampleSet
from dunwu.models.loading import save_policy
from dunwu.records import RolloutGroup
from dunwu.stages.context import StageContext
from dunwu.stages.sft_setup import SftParts, sft_parts
from dunwu.stages.training_run import (
    evaluate_once,
    evaluation_label,
    go_back,
    peak_memory_bytes,
    save_checkpoint,
    wall_seconds,
)
from dunwu.training.sft_evaluation import evaluate_on_samples
from dunwu.training.sft_step import update_on_samples


def run_sft(config: SftConfig, context: StageContext) -> dict[str, Any]:
    """Run or continue the stage to its end.

    Returns:
        The stage's record for summary.json: name, before, after, num_steps, train and held_out (what became of the
        conversations), wall_seconds.
    """
    folder, progress = context.folder, context.progress
    parts = sft_parts(config, context, go_back(context))
    num_steps = parts.schedule.num_steps
    loop = _SftLoop(config, context, parts)
    progress.stage_started(folder.name, num_steps, parts.state.step)
    for name, samples in (("training", parts.train), ("held-out", parts.held_out)):
        progress.message(_told(name, samples))
    before = loop.evaluate("before", 0)
    loop.train()
    after = loop.evaluate("after", num_steps)
    folder.save_model(lambda path: save_policy(parts.state.policy, path))
    return {
        "name": folder.name,
        "before": before,
        "after": after,
        "num_steps": num_steps,
        "train": asdict(parts.train.counts),
        "held_out": asdict(parts.held_out.counts),
        "wall_seconds": wall_seconds(context),
    }


def _told(name: str, samples: SampleSet) -> str:
    counts = samples.counts
    text = (
        f"{name} data: {counts.conversations:,} conversations, {counts.samples:,} samples, {counts.tokens:,} tokens, "
        f"{counts.trained_tokens:,} of them trained on"
    )
    if counts.left_out_too_long:
        text += f"; {counts.left_out_too_long:,} samples left out because they are longer than max_tokens"
    if counts.cut_too_long:
        text += f"; {counts.cut_too_long:,} samples cut at max_tokens, so that their ends are lost"
    return text


class _SftLoop:
    """One stage's loop over its steps."""

    def __init__(self, config: SftConfig, context: StageContext, parts: SftParts) -> None:
        self.config = config
        self.context = context
        self.folder = context.folder
        self.parts = parts
        self.state = parts.state

    def evaluate(self, label: str, step: int) -> Mapping[str, Any]:
        """Evaluate on the held-out samples, unless this evaluation is already in the run folder."""
        return evaluate_once(self.context, label, step, lambda: self._evaluate(label))

    def _evaluate(self, label: str) -> tuple[Mapping[str, Any], Sequence[RolloutGroup]]:
        samples = self.parts.held_out
        progress = self.context.progress
        progress.evaluation(label, 0, len(samples))
        figures = evaluate_on_samples(
            self.state.policy,
            [samples[index] for index in range(len(samples))],
            self.config.batch,
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
        state, config = self.state, self.config
        start = time.monotonic()
        step = state.step + 1
        figures = update_on_samples(
            state.policy,
            state.optimizer,
            [self.parts.train[index] for index in indices],
            aggregation=config.aggregation,
            batch=config.batch,
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
            save_checkpoint(self.context, self.config.checkpoint, step, save, lambda found: -found["nll"])
