"""Our losses against TRL's GRPO trainer on the same random tensors. Runs only where `trl` can be imported.

TRL's conventions, where they are not ours:

- Advantages: TRL divides by the sample std + 1e-4 (`sample_std`, eps 1e-4 here) and leaves rounding noise over 1e-4 in a
  group without spread, where ours is exactly 0.
- `grpo`, `bnpo` and `dr_grpo` are means over a micro-batch, divided by the number of micro-batches: micro-batches of
  different size change the objective. Ours are sums with weights of the whole batch. `dapo` and `cispo` agree for any cut.
- `bnpo` over one micro-batch is our `token_mean`, `luspo` with token ratios our aggregation `sequence`, `dr_grpo` our
  `fixed_length` at the longest completion.
- GSPO is `importance_sampling_level="sequence"`; the ratio as R1 prints it, without 1 / length, TRL does not have.
- `delta` is our dual clip.
- CISPO: `epsilon_high` is the bound of the weight itself, not its distance from 1, and there is no lower bound.
- Clip fractions of sequence ratios count sequences, ours count their tokens.
"""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from dunwu.functional.advantages import group_advantages
from dunwu.functional.aggregation import (
    LossParts,
    aggregate_loss,
    batch_totals,
    loss_statistics,
    token_weights,
)
from dunwu.functional.kl import kl_estimate
from dunwu.functional.policy_loss import TokenTerms, cispo_loss, clipped_loss, gspo_loss

pytest.importorskip("trl", reason="compares with TRL, which only the bench environment has")
from trl import GRPOTrainer

LOW, HIGH, BETA, LONGEST = 0.2, 0.28, 0.04, 9
LENGTHS = [9, 1, 4, 7, 2, 5]


def make_inputs() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(11)

    def noise(size: float) -> Tensor:
        return size * torch.randn(len(LENGTHS), LONGEST, generator=generator, dtype=torch.float64)

    old = -noise(1.5).abs()
    policy = old + noise(0.5)
    mask = torch.arange(LONGEST) < torch.tensor(LENGTHS)[:, None]
    return {
        "policy": policy,
        "old_per_token_logps": old,
        "ref_per_token_logps": policy + noise(0.4),
        "advantages": torch.tensor([1.3, -0.7, 0.9, -1.8, 0.4, -0.3], dtype=torch.float64),
        "completion_mask": mask.int(),
        "completion_ids": torch.zeros(len(LENGTHS), LONGEST, dtype=torch.int64),
        "prompt_ids": torch.zeros(len(LENGTHS), 2, dtype=torch.int64),
        "prompt_mask": torch.ones(len(LENGTHS), 2, dtype=torch.int64),
    }


def trl_loss(
    inputs: dict[str, Tensor],
    loss_type: str,
    *,
    level: str = "token",
    num_micro_batches: int = 1,
    **changed: Any,
) -> tuple[float, Tensor, dict[str, list[float]]]:
    """Loss, gradient with respect to the log-probs (rows, LONGEST), and the metrics it logged."""
    logprobs = inputs["policy"].clone().requires_grad_()
    trainer = SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *args, **kwargs: (
            logprobs,
            torch.zeros_like(logprobs),
            None,
        ),
        accelerator=SimpleNamespace(
            num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, gather_for_metrics=lambda x: x
        ),
        args=SimpleNamespace(
            delta=changed.get("delta"), use_bias_correction_kl=False, steps_per_generation=num_micro_batches
        ),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        top_entropy_quantile=1.0,
        off_policy_mask_threshold=None,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list)},
        current_gradient_accumulation_steps=num_micro_batches,
        loss_type=loss_type,
        importance_sampling_level=level,
        beta=BETA,
        epsilon_low=LOW,
        epsilon_high=changed.get("epsilon_high", HIGH),
        max_completion_length=LONGEST,
    )
    inputs = {**inputs, "num_items_in_batch": torch.tensor(changed.get("num_tokens", sum(LENGTHS)))}
    loss = GRPOTrainer._compute_loss(trainer, None, inputs)
    (gradient,) = torch.autograd.grad(loss, logprobs)
    return loss.item(), gradient, trainer._metrics["train"]


def our_loss(inputs: dict[str, Tensor], function: Any, mode: str, **options: Any) -> tuple[LossParts, Tensor]:
    mask = inputs["completion_mask"].bool()
    sequence_N = mask.nonzero()[:, 0]
    logprobs = inputs["policy"].clone().requires_grad_()
    terms = TokenTerms(
        logprobs[mask],
        inputs["old_per_token_logps"][mask],
        inputs["advantages"][sequence_N],
        sequence_N,
        len(mask),
    )
    weights_N = token_weights(
        mask.sum(-1),
        sequence_N,
        mode,  # type: ignore[arg-type]
        batch_totals(LENGTHS),
        fixed_length=LONGEST if mode == "fixed_length" else None,
        dtype=torch.float64,
    )
    bounds = {"clip_low": LOW, "clip_high": HIGH} | options
    kl_N = kl_estimate(terms.logprobs_N, inputs["ref_per_token_logps"][mask], "k3")
    parts = aggregate_loss(function(terms, **bounds), weights_N, kl_N=kl_N, kl_coef=BETA)
    (gradient,) = torch.autograd.grad(parts.loss, logprobs)
    return parts, gradient


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"loss_type": "grpo"}, (clipped_loss, "sample_mean", {})),
        ({"loss_type": "grpo", "delta": 1.5}, (clipped_loss, "sample_mean", {"dual_clip": 1.5})),
        ({"loss_type": "bnpo"}, (clipped_loss, "token_mean", {})),
        ({"loss_type": "dapo"}, (clipped_loss, "token_mean", {})),
        ({"loss_type": "dr_grpo"}, (clipped_loss, "fixed_length", {})),
        ({"loss_type": "luspo"}, (clipped_loss, "sequence", {})),
        ({"loss_type": "grpo", "level": "sequence"}, (gspo_loss, "sample_mean", {})),
        (
            {"loss_type": "cispo", "epsilon_high": 1.28},
            (cispo_loss, "token_mean", {"clip_low": 10.0, "clip_high": 0.28}),
        ),
    ],
    ids=["grpo", "dual_clip", "bnpo", "dapo", "dr_grpo", "luspo", "gspo", "cispo"],
)
def test_equals_trl_in_value_and_gradient(
    theirs: dict[str, Any], ours: tuple[Any, str, dict[str, Any]]
) -> None:
    inputs = make_inputs()
    loss, gradient, _ = trl_loss(inputs, **theirs)
    parts, our_gradient = our_loss(inputs, ours[0], ours[1], **ours[2])
    assert parts.loss.item() == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(our_gradient, gradient, rtol=1e-10, atol=1e-14)


def test_the_logged_figures_agree() -> None:
    inputs = make_inputs()
    _, _, metrics = trl_loss(inputs, "grpo")
    figures = loss_statistics([our_loss(inputs, clipped_loss, "sample_mean")[0]])
    assert figures.kl_mean == pytest.approx(metrics["kl"][0], rel=1e-6)
    assert figures.clip_low_frac == pytest.approx(metrics["clip_ratio/low_mean"][0], rel=1e-6)
    assert figures.clip_high_frac == pytest.approx(metrics["clip_ratio/high_mean"][0], rel=1e-6)
    assert figures.clip_low_frac > 0
    assert figures.clip_high_frac > 0


@pytest.mark.parametrize(
    ("loss_type", "mode", "same"), [("dapo", "token_mean", True), ("grpo", "sample_mean", False)]
)
def test_micro_batches_of_different_size(loss_type: str, mode: str, same: bool) -> None:
    inputs = make_inputs()
    cuts = (slice(0, 1), slice(1, None))
    theirs = [
        trl_loss({name: x[cut] for name, x in inputs.items()}, loss_type, num_micro_batches=2) for cut in cuts
    ]
    loss, gradient = sum(part[0] for part in theirs), torch.cat([part[1] for part in theirs])
    parts, our_gradient = our_loss(inputs, clipped_loss, mode)
    assert (parts.loss.item() == pytest.approx(loss, rel=1e-9)) is same
    assert torch.allclose(our_gradient, gradient, rtol=1e-9, atol=1e-14) is same


def test_advantages_equal_trl_s_formula() -> None:
    from trl.trainer.grpo_trainer import nanstd

    rewards = torch.tensor([[0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    expected = (rewards - rewards.mean(1, keepdim=True)) / (nanstd(rewards, dim=1)[:, None] + 1e-4)
    torch.testing.assert_close(group_advantages(rewards, scale="sample_std", eps=1e-4), expected)
