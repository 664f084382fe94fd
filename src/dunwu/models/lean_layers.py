"""Norms and gated MLPs that keep less for the backward pass; what they compute is what they computed before.

transformers' RMSNorm keeps its input in float32, its normalised input in float32 and in the weights' dtype, and its gated
MLP keeps four tensors of the intermediate size. Here a norm keeps its input and one number per row, an MLP its two
projections; the rest is worked out again in the backward pass, elementwise, without another matrix product. With bfloat16
weights that halves the activations of a training step. Does not touch modules that it does not recognise: a module is
recognised by its parts, and by giving the same bits on a probe. Called by `loading`.

Shape legend: T rows, D hidden size, I intermediate size.
"""

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

_PROBE_ROWS = 3


def make_lean(model: nn.Module) -> int:
    """Give each recognised norm and MLP of a model its lean forward, in place (idempotent).

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
        wide = hidden.float()
        inverse_rms = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
        ctx.save_for_backward(hidden, weight_D, inverse_rms)
        ctx.unit_offset = unit_offset
        normalised = wide * inverse_rms
        if unit_offset:
            return (normalised * (1.0 + weight_D.float())).type_as(hidden)
        return weight_D * normalised.to(hidden.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight_D, inverse_rms = ctx.saved_tensors
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
        return functional.linear(activation(gate) * up, weight_DI, bias_D)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, weight_DI = ctx.saved_tensors
        grad = grad_outputs[0]
        grad_product = grad @ weight_DI
        with torch.enable_grad():
            gate, up = gate.detach().requires_grad_(), up.detach().requires_grad_()
            product = ctx.activation(gate) * up
        grad_gate, grad_up = torch.autograd.grad(product, (gate, up), grad_product)
        grad_rows_TD = grad.flatten(0, -2)
        grad_weight_DI = grad_bias_D = None
        if ctx.needs_input_grad[2]:
            grad_weight_DI = grad_rows_TD.T @ product.detach().flatten(0, -2)
        if ctx.needs_input_grad[3]:
            grad_bias_D = grad_rows_TD.sum(0)
        return grad_gate, grad_up, grad_weight_DI, grad_bias_D, None


def _norm(module: Any, hidden: Tensor) -> Tensor:
    """RMSNorm as in Llama, Qwen and DeepSeek."""
    if not torch.is_grad_enabled():
        return type(module).forward(module, hidden)
    return _RmsNorm.apply(hidden, module.weight, module.variance_epsilon, False)


def _unit_offset_norm(module: Any, hidden: Tensor) -> Tensor:
    """RMSNorm as in Gemma, whose weight is an offset from 1."""
    if not torch.is_grad_enabled():
        return type(module).forward(module, hidden)
    return _RmsNorm.apply(hidden, module.weight, module.eps, True)


def _gated_mlp(module: Any, hidden: Tensor) -> Tensor:
    """down(activation(gate(x)) * up(x))"""
    if not torch.is_grad_enabled():
        return type(module).forward(module, hidden)
    down = module.down_proj
    gate, up = module.gate_proj(hidden), module.up_proj(hidden)
    return _LinearOfGated.apply(gate, up, down.weight, down.bias, module.act_fn)


_FORWARDS = (_norm, _unit_offset_norm, _gated_mlp)


def _lean_forward(module: Any) -> Callable[[Any, Tensor], Tensor] | None:
    """The lean forward that fits a module by its parts; None if none does."""
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


def _agrees(module: Any, forward: Callable[[Any, Tensor], Tensor]) -> bool:
    """Whether both forwards give the same bits on a few fixed rows, a norm's under weights that are not all the same."""
    norm = forward is not _gated_mlp
    weight = module.weight if norm else module.gate_proj.weight
    if weight.is_meta:
        return False
    generator = torch.Generator().manual_seed(0)
    probe = torch.randn(1, _PROBE_ROWS, weight.shape[-1], generator=generator).to(weight)
    with torch.no_grad():
        kept = weight.clone()
        if norm:
            weight.copy_(torch.randn(weight.shape, generator=generator))
        expected = module(probe)
    lean = forward(module, probe).detach()
    with torch.no_grad():
        weight.copy_(kept)
    return torch.equal(expected, lean)
