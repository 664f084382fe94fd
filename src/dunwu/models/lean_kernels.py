"""The loops in C behind the lean layers, called with tensors.

Each function wants what `kernels.call.kernels_for` was asked about, makes contiguous what is not, and knows nothing of autograd.
The torch operations that do the same stand with the layers (`lean_layers`, `lean_attention`), which call this.

Shape legend: T rows, D hidden size or head size, H heads.
"""

import ctypes

import torch
from torch import Tensor, nn
from transformers.activations import SiLUActivation

from dunwu.kernels.call import call

_NORM_BLOCKS = 32
"""Rows are cut into so many blocks where a weight's gradient is summed, whatever the threads."""


def norm(
    kernels: ctypes.CDLL, hidden: Tensor, weight_D: Tensor, eps: float, unit_offset: bool
) -> tuple[Tensor, Tensor]:
    """The normed rows, and 1 / rms (..., 1) float32 of each."""
    hidden, weight_D = hidden.contiguous(), weight_D.contiguous()
    size = hidden.shape[-1]
    normed = torch.empty_like(hidden)
    inverse_rms = torch.empty((*hidden.shape[:-1], 1), dtype=torch.float32)
    shape = (hidden.numel() // size, size)
    arguments = (hidden, weight_D, normed, inverse_rms, *shape, float(eps), int(unit_offset))
    call(kernels, "rms_norm", *arguments, dtype=hidden.dtype)
    return normed, inverse_rms


def norm_backward(
    kernels: ctypes.CDLL,
    grad: Tensor,
    saved: tuple[Tensor, Tensor, Tensor],
    *,
    unit_offset: bool,
    weight_too: bool,
) -> tuple[Tensor, Tensor | None]:
    """The gradients of the rows and, if asked for, of the weight.

    Args:
        saved: the rows, the weight, and what `norm` returned as 1 / rms.
    """
    hidden, weight_D, inverse_rms = (tensor.contiguous() for tensor in saved)
    size = hidden.shape[-1]
    num_rows = hidden.numel() // size
    num_blocks = min(_NORM_BLOCKS, num_rows)
    grad_hidden = torch.empty_like(hidden)
    partial_BD = grad_weight_D = None
    if weight_too:
        partial_BD = torch.empty((num_blocks, size), dtype=torch.float32)
        grad_weight_D = torch.empty_like(weight_D)
    arrays = (grad.contiguous(), hidden, weight_D, inverse_rms, grad_hidden, partial_BD, grad_weight_D)
    sizes = (num_rows, size, num_blocks, int(unit_offset))
    call(kernels, "rms_norm_backward", *arrays, *sizes, dtype=hidden.dtype)
    return grad_hidden, grad_weight_D


def silu_gate(kernels: ctypes.CDLL, gate: Tensor, up: Tensor, *, in_place: bool = False) -> Tensor:
    """silu(gate) * up; `in_place` writes it over a contiguous gate. Both may be halves of the columns of one tensor."""
    size = gate.shape[-1]
    if gate.stride() != up.stride() or gate.stride(-1) != 1 or gate.ndim > 2:
        gate, up = gate.contiguous(), up.contiguous()
    stride = gate.stride(0) if gate.ndim == 2 else size
    product = gate if in_place else torch.empty(gate.shape, dtype=gate.dtype)
    call(kernels, "silu_gate", gate, up, product, gate.numel() // size, size, stride, dtype=gate.dtype)
    return product


def silu_gate_backward(
    kernels: ctypes.CDLL, grad_product: Tensor, gate: Tensor, up: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of gate and up, and the product again, which may lie where its gradient lay."""
    product, gate, up = grad_product.contiguous(), gate.contiguous(), up.contiguous()
    grad_gate, grad_up = torch.empty_like(gate), torch.empty_like(up)
    arguments = (product, gate, up, grad_gate, grad_up, gate.numel())
    call(kernels, "silu_gate_backward", *arguments, dtype=gate.dtype)
    return grad_gate, grad_up, product


def rotate(
    kernels: ctypes.CDLL, heads_THD: Tensor, cos_TD: Tensor, sin_TD: Tensor, *, backward: bool
) -> Tensor:
    """heads * cos + rotate_half(heads) * sin, or with `backward` the transpose of that; D is even."""
    heads_THD = heads_THD.contiguous()
    rotated_THD = torch.empty_like(heads_THD)
    arrays = (heads_THD, cos_TD.contiguous(), sin_TD.contiguous(), rotated_THD)
    call(kernels, "rotate_heads", *arrays, *heads_THD.shape, int(backward), dtype=heads_THD.dtype)
    return rotated_THD


def is_silu(activation: object) -> bool:
    """Whether an activation is x * sigmoid(x) and nothing else."""
    return type(activation) in (nn.SiLU, SiLUActivation)
