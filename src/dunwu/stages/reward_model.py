"""The reward model (DeepSeek-R1 v2, section 3.1): helpful from pairs of summaries, safety from labelled whole responses.

Evaluate, then step by step take a batch, update, record, checkpoint; evaluate again. A killed stage goes on from its last
checkpoint and ends with the same bytes.
"""

from typing import Any

from dunwu.config.reward_model import RewardModelStage
from dunwu.models.reward_model import save_reward_model
from dunwu.stages.context import StageContext
from dunwu.stages.epochs import EpochLoop
from dunwu.stages.reward_model_setup import RewardModelParts, reward_model_parts
from dunwu.stages.training_run import go_back, wall_seconds
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
    loop = _loop(config, context, parts)
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


def _loop(config: RewardModelStage, context: StageContext, parts: RewardModelParts) -> EpochLoop:
    state, max_tokens = parts.state, config.batch.micro_batch_tokens
    return EpochLoop(
        context,
        state.reward_model.device,
        parts.schedule,
        state,
        config.checkpoint,
        config.evaluation.every_steps,
        update=lambda indices, step: update_on_preferences(
            state.reward_model,
            state.optimizer,
            [parts.train.samples[index] for index in indices],
            max_tokens=max_tokens,
            step=step,
        ),
        evaluate_all=lambda on_progress: evaluate_on_preferences(
            state.reward_model, parts.held_out.samples, max_tokens, on_progress=on_progress
        ),
        num_held_out=len(parts.held_out.samples),
        loss="loss",
    )
