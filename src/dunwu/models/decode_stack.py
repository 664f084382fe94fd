"""The layers of a Llama-like model as a short list of operations, for decoding on a CPU, where a step of small products is spent
between them.

Queries, keys and values come from one product, gate and up from one, both are rotated together, and nothing of transformers'
generality is walked through at every token. What is computed is what the modules compute, rounding included, up to the order in
which a matrix product adds. Only layers whose every part is known are run in this way (`decode_stack` returns None for others):
they are recognised by transformers' own classes. The weights are copied: while a stack is used, they must not change. Called by
`Policy.many_steps`; the modules themselves run training, scoring and prefill.

Shape legend: B sequences, D hidden size, H query heads, K key heads, E head size, I intermediate size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from dunwu.models.attention import AttentionContext, LayerAttention
from dunwu.models.decode_attention import DecodeContext
from dunwu.models.decode_kernels import DecodeKernels, HeadShape, decode_kernels
from dunwu.models.lean_attention import sliding_window
from dunwu.models.lean_kernels import is_silu
from dunwu.models.tiled_weights import can_tile, tiled_linear

_KNOWN = frozenset({"Llama", "Mistral", "Qwen2", "Qwen3"})
Linear = Callable[[Tensor], Tensor]


def decode_stack(model: PreTrainedModel) -> "DecodeStack | None":
    """Copy a model's layers into a stack; None where a part of them is not known, or the model is not on a CPU."""
    base: Any = model.base_model
    family = type(base).__name__.removesuffix("Model")
    if model.device.type != "cpu" or family not in _KNOWN or not _is_transformers_own(base):
        return None
    if any(not _is_known(layer, family) for layer in base.layers):
        return None
    return DecodeStack(base)


class DecodeStack:
    """Embedding, layers and final norm of a model; see the module."""

    @torch.inference_mode()
    def __init__(self, base: Any) -> None:
        self._embed, self._rotary = base.embed_tokens, base.rotary_emb
        self._layers = [_Layer.of(layer) for layer in base.layers[: base.config.num_hidden_layers]]
        self._norm = _Norm.of(base.norm)
        self._kernels = None
        if self._layers and all(is_silu(layer.activation) for layer in self._layers):
            self._kernels = decode_kernels(self._layers[0].shape, base.embed_tokens.weight.dtype)

    def run(self, token_ids_B: Tensor, position_ids_B: Tensor, context: AttentionContext) -> Tensor:
        """The hidden states (B, D) after the final norm."""
        hidden_BD = self._embed(token_ids_B)
        cos_1BE, sin_1BE = self._rotary(hidden_BD[None], position_ids=position_ids_B[None])
        if self._kernels is not None and isinstance(context, DecodeContext):
            return self._run_kernels(self._kernels, hidden_BD, (cos_1BE[0], sin_1BE[0]), context)
        rotation = _Rotation.of(cos_1BE[0], sin_1BE[0])
        for layer in self._layers:
            hidden_BD = layer.run(hidden_BD, rotation, context)
        return self._norm(hidden_BD)

    def _run_kernels(
        self,
        kernels: DecodeKernels,
        hidden_BD: Tensor,
        rotation: tuple[Tensor, Tensor],
        context: DecodeContext,
    ) -> Tensor:
        """The same, with the kernels between the matrix products; the sum after a product is made before the next norm."""
        delta_BD: Tensor | None = None
        for layer in self._layers:
            before, after = layer.norms
            heads = layer.to_heads(kernels.add_and_norm(hidden_BD, delta_BD, before.weight, before.eps))
            norm = None if layer.head_norm is None else (layer.head_norm.weight, layer.head_norm.eps)
            mixed = kernels.attend(heads, rotation, norm, layer.shape, context, layer.attention)
            delta_BD = layer.from_heads(mixed)
            gate_and_up = layer.to_gate_and_up(
                kernels.add_and_norm(hidden_BD, delta_BD, after.weight, after.eps)
            )
            delta_BD = layer.down(kernels.gated(gate_and_up))
        return kernels.add_and_norm(hidden_BD, delta_BD, self._norm.weight, self._norm.eps)


@dataclass(frozen=True)
class _Norm:
    """w * round(x / rms(x)) over the last dimension."""

    weight: Tensor
    eps: float

    @classmethod
    def of(cls, *modules: Any, repeats: Sequence[int] = (1,)) -> "_Norm":
        """One norm, or several of one size side by side, each for so many heads."""
        if repeats == (1,):
            return cls(modules[0].weight, modules[0].variance_epsilon)
        rows = [m.weight.expand(times, -1) for m, times in zip(modules, repeats, strict=True)]
        return cls(torch.cat(rows), modules[0].variance_epsilon)

    def __call__(self, hidden: Tensor) -> Tensor:
        wide = hidden.float()
        inverse_rms = wide.square().mean(-1, keepdim=True).add_(self.eps).rsqrt_()
        return (wide * inverse_rms).to(hidden.dtype).mul_(self.weight)


@dataclass(frozen=True)
class _Rotation:
    """Rotary position embedding of all heads of a step: x * cos + swapped halves of x * signed sin."""

    cos_B1E: Tensor
    signed_sin_B1E: Tensor

    @classmethod
    def of(cls, cos_BE: Tensor, sin_BE: Tensor) -> "_Rotation":
        low, high = sin_BE.chunk(2, -1)
        return cls(cos_BE[:, None], torch.cat([-low, high], -1)[:, None])

    def __call__(self, heads_BHE: Tensor) -> Tensor:
        low, high = heads_BHE.chunk(2, -1)
        swapped = torch.cat([high, low], -1).mul_(self.signed_sin_B1E)
        return (heads_BHE * self.cos_B1E).add_(swapped)


@dataclass(frozen=True)
class _Layer:
    """One decoder layer."""

    attention: LayerAttention
    shape: HeadShape
    """Of the heads in the first product: queries, keys, values."""
    norms: tuple[_Norm, _Norm]
    head_norm: _Norm | None
    to_heads: Linear
    from_heads: Linear
    to_gate_and_up: Linear
    activation: Callable[[Tensor], Tensor]
    down: Linear

    @classmethod
    def of(cls, layer: Any) -> "_Layer":
        """Copy the weights of a transformers layer."""
        attention, mlp = layer.self_attn, layer.mlp
        size = attention.head_dim
        num_queries, num_keys = (m.out_features // size for m in (attention.q_proj, attention.k_proj))
        head_norm = None
        if hasattr(attention, "q_norm"):
            head_norm = _Norm.of(attention.q_norm, attention.k_norm, repeats=(num_queries, num_keys))
        return cls(
            attention=LayerAttention(
                attention.layer_idx, float(attention.scaling), sliding_window(attention)
            ),
            shape=HeadShape(num_queries, num_keys, size),
            norms=(_Norm.of(layer.input_layernorm), _Norm.of(layer.post_attention_layernorm)),
            head_norm=head_norm,
            to_heads=_joined(attention.q_proj, attention.k_proj, attention.v_proj),
            from_heads=_joined(attention.o_proj),
            to_gate_and_up=_joined(mlp.gate_proj, mlp.up_proj),
            activation=mlp.act_fn,
            down=_joined(mlp.down_proj),
        )

    def run(self, hidden_BD: Tensor, rotation: _Rotation, context: AttentionContext) -> Tensor:
        """The layer's output (B, D)."""
        num_queries, num_rotated = self.shape.num_queries, self.shape.num_queries + self.shape.num_keys
        heads = self.to_heads(self.norms[0](hidden_BD)).view(len(hidden_BD), -1, self.shape.size)
        rotated, values = heads[:, :num_rotated], heads[:, num_rotated:]
        if self.head_norm is not None:
            rotated = self.head_norm(rotated)
        rotated = rotation(rotated)
        mixed = context.attend(rotated[:, :num_queries], rotated[:, num_queries:], values, self.attention)
        hidden_BD = hidden_BD + self.from_heads(mixed.flatten(1))
        gate, up = self.to_gate_and_up(self.norms[1](hidden_BD)).chunk(2, -1)
        return self.down(self.activation(gate).mul_(up)).add_(hidden_BD)


def _joined(*modules: nn.Linear) -> Linear:
    """One product for several layers of one input, their outputs side by side."""
    weight = torch.cat([m.weight for m in modules]) if len(modules) > 1 else modules[0].weight
    biases: list[Tensor] = [m.bias for m in modules if m.bias is not None]
    bias = torch.cat(biases) if biases else None
    if can_tile(weight):
        return tiled_linear(weight, bias)
    return lambda hidden: functional.linear(hidden, weight, bias)


def _is_transformers_own(module: nn.Module) -> bool:
    return type(module).__module__.startswith("transformers.models.")


def _is_known(layer: Any, family: str) -> bool:
    """Whether a layer consists of the family's own attention, gated MLP and norms, of plain linear layers, and nothing else."""
    attention, mlp = getattr(layer, "self_attn", None), getattr(layer, "mlp", None)
    if not _is_transformers_own(layer) or attention is None or mlp is None:
        return False
    if (type(attention).__name__, type(mlp).__name__) != (f"{family}Attention", f"{family}MLP"):
        return False
    norms = {"input_layernorm", "post_attention_layernorm"}
    if {name for name, _ in layer.named_children()} != {"self_attn", "mlp"} | norms:
        return False
    inner = dict(attention.named_children()) | dict(mlp.named_children())
    linears = {name for name, module in inner.items() if type(module) is nn.Linear}
    if linears != {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}:
        return False
    biased = {attention.q_proj.bias is None, attention.k_proj.bias is None, attention.v_proj.bias is None}
    mlp_biased = {mlp.gate_proj.bias is None, mlp.up_proj.bias is None}
    return len(biased) == len(mlp_biased) == 1 and set(inner) - linears <= {"act_fn", "q_norm", "k_norm"}
