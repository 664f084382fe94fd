"""Draw the next token of many sequences, each from its own uniform number.

One uniform and one cumulative sum for each row: no generator, so a row's token does not depend on what else
is in the batch. Does not decide when a sequence ends. Called by the rollout engine once for each decoded
token.

The log-prob that is returned is that of the distribution at the sampling temperature before any filter. The
trainer computes its log-probs at the same temperature over the whole vocabulary, so the two are equal up to
rounding and the first importance ratio is 1, whatever top-k, top-p and min-p are. The price is that it is not
the log-prob of the filtered draw.

Without filters it is done by a kernel in C (`logit_kernels`) where there is one, else, and with filters, by torch.

Shape legend: B rows, V vocabulary, K candidates kept by a filter, W tokens of a block.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dunwu.errors import NonFiniteError
from dunwu.functional.logit_kernels import draw_tokens, logit_kernels

_BLOCK = 128
_HEAD_SIZES = (32, 512, 4096)  # how many of the likeliest tokens are tried before a row is sorted as a whole
_CPU_SLICE_ELEMENTS = 2**21  # rows are done in slices whose probabilities stay in the cache
_ACCELERATOR_SLICE_ELEMENTS = 2**27


@dataclass(frozen=True)
class _Filters:
    top_k: int
    top_p: float
    min_p: float

    @property
    def keep_all(self) -> bool:
        return not self.top_k and self.top_p == 1 and self.min_p == 0


def sample_tokens(
    logits_BV: Tensor,
    uniforms_B: Tensor,
    temperature: float | Tensor,
    *,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Draw one token for each row by inverting its cumulative distribution at the row's uniform number.

        p = softmax(logits / temperature)
        keep the top_k likeliest; of those, renormalised, the shortest head whose mass reaches top_p; of
        those, the ones with p >= min_p * max p
        token = first kept v with sum_{kept w <= v} p[w] > u * sum_{kept w} p[w];    logprob = log p[token]

    With top-k or top-p the cumulative sum runs over tokens from likely to unlikely, else in the order of
    their ids.

    Args:
        logits_BV: (B, V) any floating dtype, raw; not changed. -inf forbids a token.
        uniforms_B: (B,) float64 in [0, 1).
        temperature: >= 0, one number or (B,). 0: the likeliest token (the first of equals), its log-prob at
            temperature 1.
        top_k: >= 0; 0 keeps all.
        top_p: in (0, 1]; 1 keeps all.
        min_p: in [0, 1); 0 keeps all.
    Returns:
        token ids (B,) int64; log-probs (B,) float32 (float64 for float64 logits) of the unfiltered
        distribution.
    Raises:
        ValueError: an argument outside its range or of the wrong shape.
        NonFiniteError: a row holds NaN, +inf, or no finite logit (names the row).
    """
    filters = _checked_filters(logits_BV, uniforms_B, temperature, top_k, top_p, min_p)
    kernels = logit_kernels(logits_BV)
    if kernels and (filters.keep_all or (not isinstance(temperature, Tensor) and temperature == 0)):
        token_ids_B, logprobs_B = draw_tokens(kernels, logits_BV, uniforms_B, temperature)
    else:
        token_ids_B, logprobs_B = _sample_slices(logits_BV, uniforms_B, temperature, filters)
    if not math.isfinite(float(logprobs_B.sum())):  # one operation, for it is done at every token
        row = int((~torch.isfinite(logprobs_B)).nonzero()[0, 0])
        raise NonFiniteError(
            f"logits of row {row} hold NaN, +inf or no finite value; no token can be drawn from them"
        )
    return token_ids_B, logprobs_B


def _checked_filters(
    logits_BV: Tensor,
    uniforms_B: Tensor,
    temperature: float | Tensor,
    top_k: int,
    top_p: float,
    min_p: float,
) -> _Filters:
    if logits_BV.ndim != 2 or logits_BV.shape[0] < 1 or uniforms_B.shape != logits_BV.shape[:1]:
        raise ValueError(
            f"logits {tuple(logits_BV.shape)} must be (B, V) and uniforms {tuple(uniforms_B.shape)} (B,)"
        )
    if isinstance(temperature, Tensor):
        if temperature.shape != uniforms_B.shape or bool((~(temperature >= 0)).any()):
            raise ValueError("a temperature tensor must be (B,) and nowhere below 0")
    elif not temperature >= 0:
        raise ValueError(f"temperature is {temperature}; it must be 0 (greedy) or above")
    if top_k < 0 or not 0 < top_p <= 1 or not 0 <= min_p < 1:
        raise ValueError(
            f"top_k is {top_k}, top_p {top_p}, min_p {min_p}; "
            "need >= 0, in (0, 1] and in [0, 1); 0, 1 and 0 switch them off"
        )
    return _Filters(0 if top_k >= logits_BV.shape[1] else top_k, top_p, min_p)


def _sample_slices(
    logits_BV: Tensor, uniforms_B: Tensor, temperature: float | Tensor, filters: _Filters
) -> tuple[Tensor, Tensor]:
    elements = _CPU_SLICE_ELEMENTS if logits_BV.device.type == "cpu" else _ACCELERATOR_SLICE_ELEMENTS
    rows = max(1, elements // logits_BV.shape[1])
    temperatures = temperature.split(rows) if isinstance(temperature, Tensor) else None
    parts = [
        _sample_rows(
            logits, uniforms, temperatures[index] if temperatures is not None else float(temperature), filters
        )
        for index, (logits, uniforms) in enumerate(
            zip(logits_BV.split(rows), uniforms_B.split(rows), strict=True)
        )
    ]
    token_ids_B, logprobs_B = (torch.cat(column) for column in zip(*parts, strict=True))
    return token_ids_B, logprobs_B


def _sample_rows(
    logits_BV: Tensor, uniforms_B: Tensor, temperature: float | Tensor, filters: _Filters
) -> tuple[Tensor, Tensor]:
    probs_BV = _probabilities(logits_BV, temperature)
    greedy_B = torch.as_tensor(temperature, device=logits_BV.device).eq(0).expand(len(logits_BV))
    if greedy_B.all():
        token_ids_B = _likeliest(logits_BV)
    elif not filters.keep_all:
        token_ids_B = _draw_filtered(probs_BV, uniforms_B, filters, _HEAD_SIZES)
    else:
        token_ids_B = _draw(probs_BV, uniforms_B)
    if greedy_B.any():
        token_ids_B = torch.where(greedy_B, _likeliest(logits_BV), token_ids_B)
    return token_ids_B, probs_BV.gather(1, token_ids_B[:, None])[:, 0].log()


def _probabilities(logits_BV: Tensor, temperature: float | Tensor) -> Tensor:
    """softmax(logits / temperature), at 1 where the temperature is 0; at least float32."""
    wide = torch.float64 if logits_BV.dtype == torch.float64 else torch.float32
    if isinstance(temperature, Tensor):
        divisor_B = temperature.to(wide).masked_fill(temperature == 0, 1)
        logits_BV = logits_BV.to(wide) / divisor_B[:, None]
    elif temperature not in (0, 1):
        logits_BV = logits_BV.to(wide) / temperature
    return torch.softmax(logits_BV, -1, dtype=wide)


def _likeliest(logits_BV: Tensor) -> Tensor:
    """argmax, by blocks: the maximum of many is fast, the place of it is slow."""
    whole = logits_BV.shape[1] // _BLOCK
    maxima = logits_BV[:, : whole * _BLOCK].unflatten(1, (whole, _BLOCK)).amax(-1)
    if whole * _BLOCK < logits_BV.shape[1]:
        maxima = torch.cat([maxima, logits_BV[:, whole * _BLOCK :].amax(-1, keepdim=True)], 1)
    token_ids_BW = _tokens_of_block(maxima.argmax(-1), logits_BV.shape[1])
    return token_ids_BW.gather(1, logits_BV.gather(1, token_ids_BW).argmax(-1, keepdim=True))[:, 0]


def _draw(probs_BV: Tensor, uniforms_B: Tensor) -> Tensor:
    """Invert the cumulative distribution in two levels: the block first, then the token in it."""
    vocab_size = probs_BV.shape[1]
    whole = vocab_size // _BLOCK
    masses = probs_BV[:, : whole * _BLOCK].unflatten(1, (whole, _BLOCK)).sum(-1)
    if whole * _BLOCK < vocab_size:
        masses = torch.cat([masses, probs_BV[:, whole * _BLOCK :].sum(-1, keepdim=True)], 1)
    block_B, uniforms_B = _invert(masses, uniforms_B)
    token_ids_BW = _tokens_of_block(block_B, vocab_size)
    probs_BW = probs_BV.gather(1, token_ids_BW)
    probs_BW[:, 1:].masked_fill_(token_ids_BW[:, 1:] == token_ids_BW[:, :-1], 0)  # the last token, repeated
    return token_ids_BW.gather(1, _invert(probs_BW, uniforms_B)[0][:, None])[:, 0]


def _tokens_of_block(block_B: Tensor, vocab_size: int) -> Tensor:
    """(B, W) token ids of a block; past the vocabulary's end its last token is repeated."""
    offsets_W = torch.arange(min(_BLOCK, vocab_size), device=block_B.device)
    return (block_B[:, None] * _BLOCK + offsets_W).clamp_(max=vocab_size - 1)


def _invert(masses_BM: Tensor, uniforms_B: Tensor) -> tuple[Tensor, Tensor]:
    """Find the entry whose share of the row's mass holds the uniform, and the uniform's place within that
    share.

    Never an entry of mass 0: `reached` is the first one whose cumulative mass is above the target, and
    `last`, which bounds it against rounding, the first one where the cumulative mass has its final value.
    """
    masses_BM = masses_BM.double()
    cumulative_BM = masses_BM.cumsum(-1)
    total_B1 = cumulative_BM[:, -1:]
    target_B1 = uniforms_B[:, None] * total_B1
    reached_B1 = (cumulative_BM <= target_B1).sum(-1, keepdim=True)
    last_B1 = (cumulative_BM < total_B1).sum(-1, keepdim=True)
    index_B1 = torch.minimum(reached_B1, last_B1)
    mass_B1 = masses_BM.gather(1, index_B1)
    within_B1 = (target_B1 - cumulative_BM.gather(1, index_B1) + mass_B1) / mass_B1
    return index_B1[:, 0], within_B1[:, 0].clamp(0, 1)


def _draw_filtered(
    probs_BV: Tensor, uniforms_B: Tensor, filters: _Filters, head_sizes: tuple[int, ...]
) -> Tensor:
    """Draw from what the filters keep of the likeliest tokens; rows that may keep more try a larger head."""
    vocab_size = probs_BV.shape[1]
    size = min(filters.top_k or (head_sizes[0] if head_sizes else vocab_size), vocab_size)
    head_BK, token_ids_BK = _head(probs_BV, size)
    cumulative_BK = head_BK.double().cumsum(-1)
    mass_B1 = cumulative_BK[:, -1:] if filters.top_k else torch.ones_like(cumulative_BK[:, -1:])
    kept_BK = cumulative_BK - head_BK < filters.top_p * mass_B1
    kept_BK &= head_BK >= filters.min_p * head_BK[:, :1]
    choice_B, _ = _invert(head_BK.where(kept_BK, 0), uniforms_B)
    chosen_B = token_ids_BK.gather(1, choice_B[:, None])[:, 0]
    if not filters.top_k and size < vocab_size:
        cut_short_B = kept_BK[:, -1]
        if cut_short_B.any():
            rest = _draw_filtered(probs_BV[cut_short_B], uniforms_B[cut_short_B], filters, head_sizes[1:])
            chosen_B[cut_short_B] = rest
    return chosen_B


def _head(probs_BV: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The `size` likeliest tokens, likely first: probabilities and ids."""
    vocab_size = probs_BV.shape[1]
    whole = vocab_size // _BLOCK
    if size == vocab_size:
        return torch.sort(probs_BV, dim=-1, descending=True, stable=True)
    if 4 * size > whole:
        return probs_BV.topk(size)
    # they lie in the `size` blocks with the largest maxima, or behind the last whole block
    blocks = probs_BV[:, : whole * _BLOCK].unflatten(1, (whole, _BLOCK))
    block_BK = blocks.amax(-1).topk(size).indices
    candidates = blocks.gather(1, block_BK[:, :, None].expand(-1, -1, _BLOCK)).flatten(1)
    token_ids = (block_BK[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=probs_BV.device)).flatten(1)
    tail_ids = torch.arange(whole * _BLOCK, vocab_size, device=probs_BV.device).expand(len(probs_BV), -1)
    candidates = torch.cat([candidates, probs_BV[:, whole * _BLOCK :]], 1)
    head_BK, place_BK = candidates.topk(size)
    return head_BK, torch.cat([token_ids, tail_ids], 1).gather(1, place_BK)
