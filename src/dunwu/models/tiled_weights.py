"""Linear layers whose bfloat16 weights lie in the tiles of a CPU's matrix unit, for the many small products
of decoding.

The products are the same to the bit; what is saved is oneDNN's rearranging of the weights at every call, a
sixth of the time at 64 rows and almost half at 4. The tiles are a copy: inside the context the weights must
not change. Called by `Policy.many_steps` and `decode_stack`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_ROWS_HINT = 64


@contextmanager
def tiled_weights(modules: Iterable[nn.Module]) -> Iterator[int]:
    """Inside, those of the modules that are linear layers of bfloat16 on a CPU compute with tiled copies of their weights.

    Yields the number of layers that do: 0 for other modules, or where oneDNN has no bfloat16 kernels.
    """
    layers = [module for module in modules if type(module) is nn.Linear and can_tile(module.weight)]
    try:
        for layer in layers:
            vars(layer)["forward"] = tiled_linear(layer.weight, layer.bias)
        yield len(layers)
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def can_tile(weight: Tensor) -> bool:
    """Whether a weight is bfloat16 on a CPU whose oneDNN has kernels for it."""
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.bfloat16
        or not torch.backends.mkldnn.is_available()
    ):
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@torch.inference_mode()
def tiled_linear(weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
    """Return hidden -> hidden @ weight^T + bias with a tiled copy of a weight for which `can_tile` holds."""
    tiles = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS_HINT)

    def forward(hidden: Tensor) -> Tensor:
        product: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, tiles, bias, "none", [], "")
        return product

    return forward
