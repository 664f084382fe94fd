"""Attention modules whose queries and keys are rotated in one pass, in the layout that dunwu's attention reads.

transformers rotates queries and keys by five operations with temporaries each, on transposed views. Here a known attention module
calls its own projections and norms, then the rotation (`lean_kernels`), then `dunwu_attention`. Where there are no kernels, or
another attention or a cache of transformers is asked for, the module's own forward runs. Used by `lean_layers`.

Shape legend: T tokens of the row, H query heads, K key/value heads, D head size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dunwu.kernels.call import kernels_for
from dunwu.models import lean_kernels
from dunwu.models.attention import ATTENTION_NAME, LayerAttention, dunwu_attention, register_attention

_WINDOW_FROM_CONFIG = "MistralAttention"
_KNOWN = frozenset(
    {
        "GraniteAttention",
        "LlamaAttention",
        _WINDOW_FROM_CONFIG,
        "Qwen2Attention",
        "Qwen3Attention",
        "Qwen3MoeAttention",
    }
)
_PROBE_ROWS = 3
_AGREE_ULPS = 4


def is_known_attention(module: Any) -> bool:
    """Whether a module is transformers' own attention of a known family, made of plain linear layers."""
    if type(module).__name__ not in _KNOWN or not type(module).__module__.startswith("transformers.models."):
        return False
    children = dict(module.named_children())
    linears = {name for name, child in children.items() if type(child) is nn.Linear}
    return linears == {"q_proj", "k_proj", "v_proj", "o_proj"} and set(children) - linears <= {
        "q_norm",
        "k_norm",
    }


def lean_attention(
    module: Any,
    hidden_states: Tensor,
    position_embeddings: tuple[Tensor, Tensor] | None = None,
    attention_mask: Tensor | None = None,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """The forward of a known attention module on a packed row (1, T, hidden size)."""
    if not _serves(module, hidden_states, position_embeddings, others):
        arguments = {"position_embeddings": position_embeddings, "attention_mask": attention_mask, **others}
        output: tuple[Tensor, Tensor | None] = type(module).forward(module, hidden_states, **arguments)
        return output
    assert position_embeddings is not None
    cos_TD, sin_TD = (part[0] for part in position_embeddings)
    heads = (1, hidden_states.shape[1], -1, module.head_dim)
    query, key = module.q_proj(hidden_states).view(heads), module.k_proj(hidden_states).view(heads)
    value = module.v_proj(hidden_states).view(heads)
    if hasattr(module, "q_norm"):
        query, key = module.q_norm(query), module.k_norm(key)
    query, key = (_Rotation.apply(part[0], cos_TD, sin_TD).unsqueeze(0) for part in (query, key))
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    mixed, weights = dunwu_attention(
        module,
        query,
        key,
        value,
        attention_mask,
        scaling=module.scaling,
        sliding_window=sliding_window(module),
        **others,
    )
    return module.o_proj(mixed.flatten(2)), weights


class _Rotation(torch.autograd.Function):
    """Rotary position embedding by kernel: x * cos + rotate_half(x) * sin. The gradient is rotated back."""

    @staticmethod
    def forward(ctx: Any, heads_THD: Tensor, cos_TD: Tensor, sin_TD: Tensor) -> Tensor:
        ctx.save_for_backward(cos_TD, sin_TD)
        return _rotate(heads_THD, cos_TD, sin_TD, backward=False)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        return _rotate(grad_outputs[0], *ctx.saved_tensors, backward=True), None, None


def _rotate(heads_THD: Tensor, cos_TD: Tensor, sin_TD: Tensor, *, backward: bool) -> Tensor:
    kernels = kernels_for(heads_THD, cos_TD, sin_TD)
    assert kernels is not None, "a rotation was begun without kernels"
    return lean_kernels.rotate(kernels, heads_THD, cos_TD, sin_TD, backward=backward)


def _serves(
    module: Any, hidden: Tensor, embeddings: tuple[Tensor, Tensor] | None, others: dict[str, Any]
) -> bool:
    """Whether this call is one of dunwu's on a CPU with kernels, and rotates whole heads."""
    if module.config._attn_implementation != ATTENTION_NAME or embeddings is None or len(hidden) != 1:
        return False
    if others.get("cache") is not None or others.get("past_key_values") is not None:
        return False
    wanted = (1, hidden.shape[1], module.head_dim)
    if module.head_dim % 2 or any(part.shape != wanted or part.requires_grad for part in embeddings):
        return False
    return kernels_for(hidden, module.q_proj.weight, *embeddings) is not None


def sliding_window(module: Any) -> int | None:
    """The sliding window that a known module asks of its attention."""
    owner = module.config if type(module).__name__ == _WINDOW_FROM_CONFIG else module
    window: int | None = getattr(owner, "sliding_window", None)
    return window


class _Recorder:
    """Attention that mixes nothing, and notes what it was asked for; every part of that is seen in its output."""

    def __init__(self) -> None:
        self.asked: list[LayerAttention] = []

    def attend(self, query_THD: Tensor, key_TKD: Tensor, value_TKE: Tensor, layer: LayerAttention) -> Tensor:
        self.asked.append(layer)
        groups = query_THD.shape[1] // key_TKD.shape[1]
        return query_THD + (2 * key_TKD + 3 * value_TKE).repeat_interleave(groups, dim=1)


@torch.no_grad()
def agrees_in_attention(module: Any) -> bool:
    """Whether both forwards of a known attention module ask the same of attention and give the same, on a few fixed rows."""
    weight = module.q_proj.weight
    if weight.is_meta:
        return False
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, _PROBE_ROWS, weight.shape[1], generator=generator).to(weight)
    angles = torch.randn(2, 1, _PROBE_ROWS, module.head_dim, generator=generator).to(weight)
    recorder = _Recorder()
    arguments: dict[str, Any] = {"position_embeddings": tuple(angles), "dunwu_context": recorder}
    arguments["attention_mask"] = None
    register_attention()
    implementation = module.config._attn_implementation
    module.config._attn_implementation = ATTENTION_NAME
    try:
        expected, _ = module(hidden, **arguments)
        lean, _ = lean_attention(module, hidden, **arguments)
    finally:
        module.config._attn_implementation = implementation
    return recorder.asked[0] == recorder.asked[1] and same_to_rounding(lean, expected)


def same_to_rounding(actual: Tensor, expected: Tensor) -> bool:
    """Whether two results are within 4 units in the last place of each row's largest value; NaN is the same as nothing."""
    limit = _AGREE_ULPS * torch.finfo(expected.dtype).eps * expected.abs().amax(-1, keepdim=True)
    return actual.shape == expected.shape and bool(((actual - expected).abs() <= limit).all())
