"""One step of a reward model: pack the rows, forward, loss, backward for each packed row, then one optimizer step.

    loss = mean over the batch's rows of functional.preference_loss

The result does not depend on how the batch is cut. Called by the reward-model stage's loop.

Shape legend: B responses in a packed row, R rows (of preferences) in it.
"""

import math
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from dunwu.errors import NonFiniteError
from dunwu.functional.passk import mean_with_interval
from dunwu.functional.preference_loss import pairwise_loss, pointwise_loss
from dunwu.models.reward_model import RewardModel
from dunwu.training.optimizer import MasterAdamW
from dunwu.training.reward_samples import PackedSamples, RewardSample, pack_reward_samples


def update_on_preferences(
    reward_model: RewardModel,
    optimizer: MasterAdamW,
    samples: Sequence[RewardSample],
    *,
    max_tokens: int,
    step: int,
) -> dict[str, Any]:
    """Make step number `step` (from 1) on a batch of samples.

    Args:
        max_tokens: of one packed forward pass.
    Returns:
        loss (nats per row), accuracy (share of the rows that the scores get right), what `_spread` says of the scores,
        grad_norm, learning_rate, samples, computed_tokens, rows.
    Raises:
        NonFiniteError: the loss or the gradient is not finite; nothing was changed.
    """
    loss = 0.0
    computed_tokens = 0
    scores: list[tuple[float, ...]] = [()] * len(samples)
    rows = pack_reward_samples(samples, max_tokens, reward_model)
    for packed in rows:
        members = [samples[index] for index in packed.members]
        scores_B = reward_model.row_scores(packed.row)
        row_loss = _losses(scores_B, packed, members).sum() / len(samples)
        value = row_loss.item()
        if not math.isfinite(value):
            raise NonFiniteError(
                f"the loss of step {step} is {value} on the packed row that begins with {members[0].where}. The step was not "
                'made; the last checkpoint is intact. Lower optimizer.learning_rate, or use model.dtype = "float32"'
            )
        optimizer.backward(row_loss)
        loss += value
        computed_tokens += len(packed.row.token_ids_T)
        _note(scores, packed, scores_B.detach())
    grad_norm = optimizer.step(step)
    return {
        "loss": loss,
        "accuracy": fmean(is_right(sample, found) for sample, found in zip(samples, scores, strict=True)),
        **_spread(samples, scores),
        "grad_norm": grad_norm,
        "learning_rate": optimizer.learning_rate(step),
        "samples": len(samples),
        "computed_tokens": computed_tokens,
        "rows": len(rows),
    }


@torch.no_grad()
def evaluate_on_preferences(
    reward_model: RewardModel,
    samples: Sequence[RewardSample],
    max_tokens: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure a reward model on held-out samples.

    Returns:
        loss (nats per row), accuracy (mean over questions of the share of their rows that the scores get right) with
        accuracy_interval (95 %, over questions), score_mean and score_std (over all responses; population), what `_spread` says
        of the scores, num_samples, num_questions.
    """
    losses = [0.0] * len(samples)
    scores: list[tuple[float, ...]] = [()] * len(samples)
    done = 0
    for packed in pack_reward_samples(samples, max_tokens, reward_model):
        members = [samples[index] for index in packed.members]
        scores_B = reward_model.row_scores(packed.row)
        _note(scores, packed, scores_B)
        for index, loss in zip(packed.members, _losses(scores_B, packed, members).tolist(), strict=True):
            losses[index] = loss
        done += len(packed.members)
        if on_progress is not None:
            on_progress(done, len(samples))
    by_question: dict[str, list[bool]] = {}
    for sample, found in zip(samples, scores, strict=True):
        by_question.setdefault(sample.group, []).append(is_right(sample, found))
    accuracy = mean_with_interval([fmean(right) for right in by_question.values()])
    flat = [score for found in scores for score in found]
    mean = math.fsum(flat) / len(flat)
    return {
        "loss": math.fsum(losses) / len(losses),
        "accuracy": accuracy.mean,
        "accuracy_interval": [accuracy.low, accuracy.high],
        "score_mean": mean,
        "score_std": math.sqrt(math.fsum((score - mean) ** 2 for score in flat) / len(flat)),
        **_spread(samples, scores),
        "num_samples": len(samples),
        "num_questions": len(by_question),
    }


def is_right(sample: RewardSample, scores: Sequence[float]) -> bool:
    """Whether the chosen response has the higher score, or a labelled one is on its side of 0. Equal scores are not right."""
    if sample.safe is None:
        return scores[0] > scores[1]
    return scores[0] > 0 if sample.safe else scores[0] < 0


def _losses(scores_B: Tensor, packed: PackedSamples, members: Sequence[RewardSample]) -> Tensor:
    """The loss (R,) of each row of preferences."""
    first_R = scores_B[[places[0] for places in packed.scores]]
    if members[0].safe is None:
        return pairwise_loss(first_R, scores_B[[places[1] for places in packed.scores]])
    return pointwise_loss(
        first_R, torch.tensor([bool(member.safe) for member in members], device=scores_B.device)
    )


def _note(scores: list[tuple[float, ...]], packed: PackedSamples, scores_B: Tensor) -> None:
    found = scores_B.tolist()
    for index, places in zip(packed.members, packed.scores, strict=True):
        scores[index] = tuple(found[place] for place in places)


def _spread(samples: Sequence[RewardSample], scores: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Of pairs: margin, the mean of chosen less rejected. Of labelled responses: the mean score and the share got right of the
    safe and of the unsafe ones; None where there are none."""
    if samples[0].safe is None:
        return {"margin": fmean(chosen - rejected for chosen, rejected in scores)}
    found: dict[str, float | None] = {}
    for name, label in (("safe", True), ("unsafe", False)):
        chosen = [(s, v) for s, v in zip(samples, scores, strict=True) if s.safe == label]
        found[f"{name}_score"] = fmean(v[0] for _, v in chosen) if chosen else None
        found[f"{name}_accuracy"] = fmean(is_right(s, v) for s, v in chosen) if chosen else None
    return found
