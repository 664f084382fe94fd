"""What is done to rows of logits by loops in C: log-probs, their gradient, drawing a token.

They read each row once from memory and make no copies of it. Says where there are such loops; the same in torch's operations is
where these are called: `logprobs` and `sampling`.

Shape legend: C tokens of a chunk, B rows, V vocabulary.
"""

import ctypes
from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.kernels.call import call, kernels_for

DRAW_BLOCK = 128
"""Tokens whose mass is summed up for a draw, as in `logits.c`."""


def logit_kernels(logits: Tensor) -> ctypes.CDLL | None:
    """The loops for logits of this dtype and place; None where there are none."""
    return kernels_for(logits)


@dataclass(frozen=True)
class ChunkFigures:
    """What is written of each token: float32 log-prob and entropy, float64 log-normaliser of logits / temperature."""

    logprobs_C: Tensor
    entropy_C: Tensor
    normaliser_C: Tensor


def log_probs_(
    kernels: ctypes.CDLL,
    logits_CV: Tensor,
    targets_C: Tensor,
    temperature: float,
    figures: ChunkFigures,
    *,
    overwrite: bool,
) -> Tensor | None:
    """Write a chunk's figures and, with `overwrite`, its gradient over the logits.

    Returns:
        mass (C,) float32, if the logits were overwritten: they are then mass[c] * temperature * d logprob[c] / d logit[c, v],
        so that no logit is written twice.
    """
    mass_C = logits_CV.new_empty(len(logits_CV), dtype=torch.float32) if overwrite else None
    call(
        kernels,
        "log_probs",
        _dense(logits_CV),
        _dense(targets_C),
        _dense(figures.logprobs_C),
        _dense(figures.entropy_C),
        _dense(figures.normaliser_C),
        mass_C,
        *logits_CV.shape,
        float(temperature),
        dtype=logits_CV.dtype,
    )
    return mass_C


def log_prob_gradients_(
    kernels: ctypes.CDLL, logits_CV: Tensor, targets_C: Tensor, temperature: float, normaliser_C: Tensor
) -> None:
    """Overwrite logits, computed again, by temperature * d logprob / d logit; `normaliser_C` is what `log_probs_` wrote."""
    call(
        kernels,
        "log_prob_gradients",
        _dense(logits_CV),
        _dense(targets_C),
        _dense(normaliser_C),
        *logits_CV.shape,
        float(temperature),
        dtype=logits_CV.dtype,
    )


def draw_tokens(
    kernels: ctypes.CDLL, logits_BV: Tensor, uniforms_B: Tensor, temperature: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Return what `sampling.sample_tokens` does, float32 log-probs; NaN where a row has no distribution."""
    rows, vocab_size = logits_BV.shape
    if logits_BV.stride(1) != 1:
        logits_BV = logits_BV.contiguous()
    if isinstance(temperature, Tensor):
        temperature_B = temperature.to("cpu", torch.float32).contiguous()
    else:
        temperature_B = torch.full((rows,), temperature, dtype=torch.float32)
    token_ids_B = torch.empty(rows, dtype=torch.int64)
    logprobs_B = torch.empty(rows, dtype=torch.float32)
    call(
        kernels,
        "draw_tokens",
        logits_BV,
        logits_BV.stride(0),
        uniforms_B.to(torch.float64).contiguous(),
        temperature_B,
        torch.empty(rows, -(-vocab_size // DRAW_BLOCK), dtype=torch.float32),
        token_ids_B,
        logprobs_B,
        rows,
        vocab_size,
        dtype=logits_BV.dtype,
    )
    return token_ids_B, logprobs_B


def _dense(tensor: Tensor) -> Tensor:
    assert tensor.is_contiguous(), tensor.stride()
    return tensor
