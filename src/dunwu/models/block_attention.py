"""Attention of one padded block of sequences, through torch's scaled_dot_product_attention.

Knows nothing of packing or caches. Called by `packed_plan`.

Shape legend: B sequences, H query heads, K key/value heads, Q queries, L keys, D head size of queries and
keys, E of values.
"""

import torch
from torch import Tensor
from torch.nn import functional


def causal_attention(query_BHLD: Tensor, key_BKLD: Tensor, value_BKLE: Tensor, *, scale: float) -> Tensor:
    """Query i attends to the keys 0 .. i.

    Args:
        query_BHLD, key_BKLD, value_BKLE: H a multiple of K; query head h reads key head h // (H / K).
        scale: factor on the scores.
    Returns:
        (B, H, L, E).
    """
    return _attention(query_BHLD, key_BKLD, value_BKLE, scale=scale, bias=None)


def masked_attention(
    query_BHQD: Tensor,
    key_BKLD: Tensor,
    value_BKLE: Tensor,
    bias_BQL: Tensor,
    *,
    scale: float,
    softcap: float | None = None,
) -> Tensor:
    """Attention with a bias on the scores that is 0 where a query looks and -inf elsewhere.

        out = softmax(cap(scale * query @ key^T) + bias) @ value,   cap(s) = softcap * tanh(s / softcap)

    Args:
        bias_BQL: of `bias_dtype(query)`; every query has at least one 0.
        softcap: > 0, or None for no cap.
    Returns:
        (B, H, Q, E).
    """
    bias_B1QL = bias_BQL.unsqueeze(1)
    if softcap is None:
        return _attention(query_BHQD, key_BKLD, value_BKLE, scale=scale, bias=bias_B1QL)
    groups = query_BHQD.shape[1] // key_BKLD.shape[1]
    key_BHLD, value_BHLE = _repeat(key_BKLD, groups), _repeat(value_BKLE, groups)
    scores_BHQL = (query_BHQD @ key_BHLD.transpose(2, 3)).float() * scale
    scores_BHQL = softcap * torch.tanh(scores_BHQL / softcap) + bias_B1QL
    weights_BHQL = torch.softmax(scores_BHQL, dim=-1).to(query_BHQD.dtype)
    return weights_BHQL @ value_BHLE


def bias_dtype(query: Tensor) -> torch.dtype:
    """The dtype in which the fused kernels compute with this query, and want a bias."""
    return torch.float32 if _computes_wide(query) else query.dtype


def _computes_wide(query: Tensor) -> bool:
    """16-bit attention runs in float32 on a CPU: its fused kernel is twice as fast there in the backward
    pass, and the scores are exact.
    """
    return query.device.type == "cpu" and query.dtype in (torch.bfloat16, torch.float16)


def _attention(query: Tensor, key: Tensor, value: Tensor, *, scale: float, bias: Tensor | None) -> Tensor:
    """scaled_dot_product_attention kept on its fused kernels: equal head sizes, and few key heads only where
    they serve.
    """
    dtype = query.dtype
    if _computes_wide(query):
        query, key, value = query.float(), key.float(), value.float()
    size, value_size = query.shape[-1], value.shape[-1]
    if value_size < size:
        value = functional.pad(value, (0, size - value_size))
    elif value_size > size:
        padding = (0, value_size - size)
        query, key = functional.pad(query, padding), functional.pad(key, padding)
    groups = query.shape[1] // key.shape[1]
    if groups > 1 and not _fused_with_few_key_heads(query, bias):
        key, value, groups = _repeat(key, groups), _repeat(value, groups), 1
    output = functional.scaled_dot_product_attention(
        query, key, value, attn_mask=bias, is_causal=bias is None, scale=scale, enable_gqa=groups > 1
    )
    return output[..., :value_size].to(dtype)


def _fused_with_few_key_heads(query: Tensor, bias: Tensor | None) -> bool:
    """Whether a kernel that never holds all scores takes fewer key heads than query heads: always on the CPU,
    on a GPU only the half-precision one without a bias.
    """
    return query.device.type == "cpu" or (bias is None and query.dtype in (torch.bfloat16, torch.float16))


def _repeat(heads_BKLD: Tensor, times: int) -> Tensor:
    """Each key head `times` times, side by side: (B, K * times, L, D)."""
    return heads_BKLD if times == 1 else heads_BKLD.repeat_interleave(times, dim=1)
