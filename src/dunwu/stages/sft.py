"""Supervised fine-tuning (DeepSeek-R1, sections 2.3.1 and 2.3.3): cold start, the second fine-tuning, and distillation.

Evaluate, then step by step take a batch, update, record, checkpoint; evaluate again. A killed stage goes on from its last
checkpoint and ends with the same bytes.
"""

from dataclasses import asdict
from typing import Any

from dunwu.config.sft import SftConfig
from dunwu.data.sft_samples import SampleSet
from dunwu.models.loading import save_policy
from dunwu.stages.context import StageContext
from dunwu.stages.epochs import EpochLoop
from dunwu.stages.sft_setup import SftParts, sft_parts
from dunwu.stages.training_run import go_back, wall_seconds
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
    loop = _loop(config, context, parts)
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


def _loop(config: SftConfig, context: StageContext, parts: SftParts) -> EpochLoop:
    return EpochLoop(
        context,
        parts.state.policy.device,
        parts.schedule,
        parts.state,
        config.checkpoint,
        config.evaluation.every_steps,
        update=lambda indices, step: update_on_samples(
            parts.state.policy,
            parts.state.optimizer,
            [parts.train[index] for index in indices],
            aggregation=config.aggregation,
            batch=config.batch,
            step=step,
        ),
        evaluate_all=lambda on_progress: evaluate_on_samples(
            parts.state.policy,
            [parts.held_out[index] for index in range(len(parts.held_out))],
            config.batch,
            on_progress=on_progress,
        ),
        num_held_out=len(parts.held_out),
        loss="nll",
    )
