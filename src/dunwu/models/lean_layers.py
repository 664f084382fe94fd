"""Norms, gated MLPs and rotations that keep less for the backward pass, and pass over memory fewer times where there are kernels.

transformers' RMSNorm keeps its input in float32, its normalised input in float32 and in the weights' dtype, and its gated
MLP keeps four tensors of the intermediate size. Here a norm keeps its input and one number per row, an MLP its two
projections; the rest is worked out again in the backward pass, elementwise, without another matrix product. With bfloat16
weights that halves the activations of a training step. What lies between the matrix products is one kernel (`lean_kernels`) in
each direction, or torch's operations where there is none; attention is in `lean_attention`. Does not touch modules that it does
not recognise: a module is recognised by its parts, and by giving the same on a probe. Called by `loading` and `reward_model`.

Shape legend: T rows, D hidden size, I intermediate size.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from dunwu.kernels.call import kernels_for
from dunwu.models import lean_kernels
from dunwu.models.lean_attention import (
    agrees_in_attention,
    is_known_attention,
    lean_attention,
    same_to_rounding,
)

_PROBE_SIZES = (1.0, 1e-3, 30.0)
"""Standard deviations of the rows of a probe; a small row shows a norm's epsilon."""


def make_lean(model: nn.Module) -> int:
    """Give each recognised norm, MLP and attention of a model its lean forward, in place (idempotent).

    Returns:
        How many modules have one.
    """
    count = 0
    for module in model.modules():
        forward = _lean_forward(module)
        if forward is None:
            continue
        if not _is_lean(module) and _agrees(module, forward):
            module.forward = MethodType(forward, module)
        count += _is_lean(module)
    return count


class _RmsNorm(torch.autograd.Function):
    """y = w * round(x / rms(x)), or, with `unit_offset`, y = round((1 + w) * x / rms(x)); rounding is to the dtype of x."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight_D: Tensor, eps: float, unit_offset: bool) -> Tensor:
        ctx.unit_offset = unit_offset
        if kernels := kernels_for(hidden, weight_D):
            normed, inverse_rms = lean_kernels.norm(kernels, hidden, weight_D, eps, unit_offset)
            ctx.save_for_backward(hidden, weight_D, inverse_rms)
            return normed
        wide = hidden.float()
        inverse_rms = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(hidden, weight_D, inverse_rms)
        normalised = wide * inverse_rms
        if unit_offset:
            return (normalised * (1.0 + weight_D.float())).type_as(hidden)
        return weight_D * normalised.to(hidden.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight_D, inverse_rms = saved = ctx.saved_tensors
        if kernels := kernels_for(hidden, weight_D, grad_outputs[0]):
            options = {"unit_offset": ctx.unit_offset, "weight_too": ctx.needs_input_grad[1]}
            return *lean_kernels.norm_backward(kernels, grad_outputs[0], saved, **options), None, None
        grad = grad_outputs[0].float()
        normalised = hidden.float().mul_(inverse_rms)
        grad_weight_D = None
        if ctx.needs_input_grad[1]:
            grad_weight_D = (grad * normalised).flatten(0, -2).sum(0).to(weight_D.dtype)
        # with n = x / rms(x):  dx = (dn - n * mean(dn * n)) / rms(x)
        scale_D = weight_D.float() + 1.0 if ctx.unit_offset else weight_D.float()
        grad_normalised = grad * scale_D
        share = (grad_normalised * normalised).mean(-1, keepdim=True)
        grad_normalised.sub_(normalised.mul_(share)).mul_(inverse_rms)
        return grad_normalised.to(hidden.dtype), grad_weight_D, None, None


class _LinearOfGated(torch.autograd.Function):
    """out = (activation(gate) * up) W^T + b; the product is worked out again in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        gate: Tensor,
        up: Tensor,
        weight_DI: Tensor,
        bias_D: Tensor | None,
        activation: Callable[[Tensor], Tensor],
    ) -> Tensor:
        ctx.save_for_backward(gate, up, weight_DI)
        ctx.activation = activation
        return functional.linear(_gated(gate, up, activation), weight_DI, bias_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, weight_DI = ctx.saved_tensors
        grad = grad_outputs[0]
        grad_gate, grad_up, product = _gated_backward(grad @ weight_DI, gate, up, ctx.activation)
        grad_rows_TD = grad.flatten(0, -2)
        grad_weight_DI = grad_bias_D = None
        if ctx.needs_input_grad[2]:
            grad_weight_DI = grad_rows_TD.T @ product.flatten(0, -2)
        if ctx.needs_input_grad[3]:
            grad_bias_D = grad_rows_TD.sum(0)
        return grad_gate, grad_up, grad_weight_DI, grad_bias_D, None


def _gated(gate: Tensor, up: Tensor, activation: Callable[[Tensor], Tensor]) -> Tensor:
    """activation(gate) * up"""
    kernels = kernels_for(gate, up) if lean_kernels.is_silu(activation) else None
    return lean_kernels.silu_gate(kernels, gate, up) if kernels else activation(gate) * up


def _gated_backward(
    grad_product: Tensor, gate: Tensor, up: Tensor, activation: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of gate and up, and their product again; nothing of `grad_product` is left."""
    kernels = kernels_for(gate, up, grad_product) if lean_kernels.is_silu(activation) else None
    if kernels:
        return lean_kernels.silu_gate_backward(kernels, grad_product, gate, up)
    with torch.enable_grad():
        gate, up = gate.detach().requires_grad_(), up.detach().requires_grad_()
        product = activation(gate) * up
    grad_gate, grad_up = torch.autograd.grad(product, (gate, up), grad_product)
    return grad_gate, grad_up, product.detach()


def _norm(module: Any, hidden: Tensor) -> Tensor:
    """RMSNorm as in Llama, Qwen and DeepSeek."""
    if torch.is_grad_enabled():
        return _RmsNorm.apply(hidden, module.weight, module.variance_epsilon, False)
    if kernels := kernels_for(hidden, module.weight):
        return lean_kernels.norm(kernels, hidden, module.weight, module.variance_epsilon, False)[0]
    return type(module).forward(module, hidden)


def _unit_offset_norm(module: Any, hidden: Tensor) -> Tensor:
    """RMSNorm as in Gemma, whose weight is an offset from 1."""
    if torch.is_grad_enabled():
        return _RmsNorm.apply(hidden, module.weight, module.eps, True)
    if kernels := kernels_for(hidden, module.weight):
        return lean_kernels.norm(kernels, hidden, module.weight, module.eps, True)[0]
    return type(module).forward(module, hidden)


def _gated_mlp(module: Any, hidden: Tensor) -> Tensor:
    """down(activation(gate(x)) * up(x))"""
    kernels = kernels_for(hidden, module.down_proj.weight) if lean_kernels.is_silu(module.act_fn) else None
    if not torch.is_grad_enabled() and not kernels:
        return type(module).forward(module, hidden)
    down = module.down_proj
    gate, up = module.gate_proj(hidden), module.up_proj(hidden)
    if torch.is_grad_enabled():
        return _LinearOfGated.apply(gate, up, down.weight, down.bias, module.act_fn)
    assert kernels
    return down(lean_kernels.silu_gate(kernels, gate, up, in_place=True))


_FORWARDS = (_norm, _unit_offset_norm, _gated_mlp, lean_attention)


def _lean_forward(module: Any) -> Callable[..., Any] | None:
    """The lean forward that fits a module by its parts; None if none does."""
    if is_known_attention(module):
        return lean_attention
    children = dict(module.named_children())
    own = {name for name, _ in module.named_parameters(recurse=False)}
    if type(module).__name__.endswith("RMSNorm") and own == {"weight"} and not children:
        if hasattr(module, "variance_epsilon"):
            return _norm
        return _unit_offset_norm if hasattr(module, "eps") else None
    projections = [children.get(name) for name in ("gate_proj", "up_proj", "down_proj")]
    if not own and "act_fn" in children and len(children) == 4:
        return _gated_mlp if all(type(p) is nn.Linear for p in projections) else None
    return None


def _is_lean(module: nn.Module) -> bool:
    return getattr(module.forward, "__func__", None) in _FORWARDS


def _agrees(module: Any, forward: Callable[..., Any]) -> bool:
    """Whether both forwards give the same on a few fixed rows, a norm's under weights that are not all the same.

    The same is: within 4 units in the last place of a row's largest output. Kernels add in another order, whose effect is of that
    size; torch's operations give the same bits.
    """
    if forward is lean_attention:
        return agrees_in_attention(module)
    norm = forward is not _gated_mlp
    weight = module.weight if norm else module.gate_proj.weight
    if weight.is_meta:
        return False
    generator = torch.Generator().manual_seed(0)
    sizes = torch.tensor(_PROBE_SIZES)[:, None]
    probe = (torch.randn(1, len(sizes), weight.shape[-1], generator=generator) * sizes).to(weight)
    with torch.no_grad():
        kept = weight.clone()
        if norm:
            weight.copy_(torch.randn(weight.shape, generator=generator))
        expected = module(probe)
    with torch.enable_grad():  # else the module's own forward may run
        lean = forward(module, probe).detach()
    with torch.no_grad():
        weight.copy_(kept)
    return same_to_rounding(lean, expected)
