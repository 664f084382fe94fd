"""Calls a kernel with tensors: the function of their dtype, their addresses, and as many threads as torch uses."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from dunwu.kernels import build

SUFFIXES = {torch.float32: "f32", torch.bfloat16: "bf16"}


def kernels_for(*tensors: Tensor) -> ctypes.CDLL | None:
    """The kernels, if there are any and all tensors are of one dtype that they know, on a CPU, and not empty."""
    dtype = tensors[0].dtype
    if dtype not in SUFFIXES:
        return None
    for tensor in tensors:
        if tensor.device.type != "cpu" or tensor.dtype != dtype or not tensor.numel():
            return None
    return build.library()


def call(
    kernels: ctypes.CDLL, name: str, *arguments: Tensor | int | float | None, dtype: torch.dtype
) -> None:
    """Run the kernel `name` of a dtype. A tensor is passed as its address, an int as 64 bit, a float as float32, None as no
    array; the number of threads comes last, as the kernel's own last parameter."""
    function = getattr(kernels, f"{name}_{SUFFIXES[dtype]}")
    function.restype = None
    function(*map(_as_c, arguments), torch.get_num_threads())


def _as_c(value: Tensor | int | float | None) -> Any:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    if value is None:
        return ctypes.c_void_p()
    return ctypes.c_int64(value) if isinstance(value, int) else ctypes.c_float(value)
