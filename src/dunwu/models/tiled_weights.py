"""Linear layers whose bfloat16 weights lie in the tiles of a CPU's matrix unit, for the many small products
of decoding.

The products are the same to the bit; what is saved is oneDNN's rearranging of the weights at every call, a
sixth of the time at 64 rows and almost half at 4. The tiles are a copy: inside the context the weights must
not change. Called by `Policy.many_steps`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_ROWS_HINT = 64


@contextmanager
def tiled_weights(model: nn.Module) -> Iterator[int]:
    """Inside, the linear layers of a bfloat16 CPU model compute with tiled copies of their weights.

    Yields the number of layers that do: 0 for other models, or where oneDNN has no bfloat16 kernels.
    """
    layers = [module for module in model.modules() if type(module) is nn.Linear and _can_tile(module.weight)]
    try:
        for layer in layers:
            vars(layer)["forward"] = _tiled_forward(layer)
        yield len(layers)
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _can_tile(weight: Tensor) -> bool:
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.bfloat16
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@torch.inference_mode()
def _tiled_forward(layer: nn.Linear) -> Callable[[Tensor], Tensor]:
    tiles, bias = torch.ops.mkldnn._reorder_linear_weight(layer.weight, _ROWS_HINT), layer.bias

    def forward(hidden: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, tiles, bias, "none", [], "")
        return product

    return forward
