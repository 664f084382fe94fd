"""The matrix products of a Llama-like model at the shapes in use, and the time that the machine needs for them.

What is measured is a lower bound of the time of a decode step or of a training row: every weight once, in the model's order,
each from its own memory, as a pass through the model meets them; nothing between the products. Norms, attention, softmax,
sampling and the optimizer are left out.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from benchmarks.machine import median_seconds

DECODE_ROWS = (1, 16, 64, 256)
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


@dataclass(frozen=True)
class Product:
    """`count` products of rows x `inner` by `inner` x `outer`, all of one shape, one in each layer."""

    name: str
    inner: int
    outer: int
    count: int = 1

    def flops(self, rows: int) -> int:
        """Floating-point operations of all of them."""
        return 2 * rows * self.inner * self.outer * self.count


def read_shapes(folder: str) -> tuple[Product, ...]:
    """The products of the model in a Hugging Face folder; the output layer comes last.

    Raises:
        ValueError: it is no Llama, whose products are known here.
    """
    return model_products(json.loads((Path(folder) / "config.json").read_text()))


def model_products(config: Mapping[str, Any]) -> tuple[Product, ...]:
    """The products of a Llama configuration; see `read_shapes`."""
    if config.get("model_type") != "llama":
        raise ValueError(f"the products of a {config.get('model_type')} are not known here; only Llama's are")
    width, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    heads = config["num_attention_heads"]
    head = config.get("head_dim") or width // heads
    keys = config.get("num_key_value_heads", heads)
    return (
        Product("query", width, heads * head, layers),
        Product("key, value", width, keys * head, 2 * layers),
        Product("attention out", heads * head, width, layers),
        Product("gate, up", width, inner, 2 * layers),
        Product("down", inner, width, layers),
        Product("head", width, config["vocab_size"]),
    )


def total_flops(products: Sequence[Product], rows: int) -> int:
    """Floating-point operations of one pass."""
    return sum(product.flops(rows) for product in products)


def weight_bytes(products: Sequence[Product], element_bytes: int) -> int:
    """Bytes of all weights that a pass reads."""
    return sum(product.inner * product.outer * product.count for product in products) * element_bytes


def forward_seconds(products: Sequence[Product], rows: int, dtype: torch.dtype) -> float:
    """Least time of one pass of `rows` rows: plain weights, or weights in the tiles of oneDNN, whichever is faster."""
    seconds = [median_seconds(_passes(products, rows, dtype, tiled=False))]
    if dtype == torch.bfloat16 and _tiles_available():
        seconds.append(median_seconds(_passes(products, rows, dtype, tiled=True)))
    return min(seconds)


@torch.inference_mode()
def backward_seconds(products: Sequence[Product], rows: int, dtype: torch.dtype) -> float:
    """Least time of the two products behind each product: gradients of its input and of its weight."""
    weights = _weights(products, dtype)
    inputs = {product.inner: torch.randn(rows, product.inner).to(dtype) for product in products}
    grads = {product.outer: torch.randn(rows, product.outer).to(dtype) for product in products}

    def run() -> None:
        for weight in weights:
            grad = grads[weight.shape[0]]
            grad @ weight
            grad.T @ inputs[weight.shape[1]]

    return median_seconds(run, 3)


def measure_shapes(products: Sequence[Product], row_tokens: int, dtype: str) -> dict[str, Any]:
    """Rates of passes: decode batches of several sizes, a training row forward and backward; FLOP/s and seconds.

    Args:
        row_tokens: rows of a training pass.
    """
    kind = DTYPES[dtype]
    decode = {}
    for rows in DECODE_ROWS:
        seconds = forward_seconds(products, rows, kind)
        flops = total_flops(products, rows) / seconds
        decode[str(rows)] = {"seconds": seconds, "flops": flops, "tokens_per_second": rows / seconds}
    forward = median_seconds(_passes(products, row_tokens, kind, tiled=False), 3)
    backward = backward_seconds(products, row_tokens, kind)
    flops = total_flops(products, row_tokens)
    return {
        "dtype": dtype,
        "decode": decode,
        "row_tokens": row_tokens,
        "row_forward": {"seconds": forward, "flops": flops / forward},
        "row_backward": {"seconds": backward, "flops": 2 * flops / backward},
    }


def _passes(products: Sequence[Product], rows: int, dtype: torch.dtype, *, tiled: bool) -> Callable[[], None]:
    inputs = {product.inner: torch.randn(rows, product.inner).to(dtype) for product in products}
    weights = _weights(products, dtype)
    if tiled:
        ops = torch.ops.mkldnn
        tiles = [(ops._reorder_linear_weight(weight, rows), weight.shape[1]) for weight in weights]

        @torch.inference_mode()
        def run_tiled() -> None:
            for tile, inner in tiles:
                ops._linear_pointwise(inputs[inner], tile, None, "none", [], "")

        return run_tiled

    @torch.inference_mode()
    def run() -> None:
        for weight in weights:
            linear(inputs[weight.shape[1]], weight)

    return run


def _weights(products: Sequence[Product], dtype: torch.dtype) -> list[Tensor]:
    """One matrix for each product of each layer, layer by layer as a pass meets them."""
    depth = max(product.count for product in products)
    return [
        torch.randn(product.outer, product.inner).to(dtype)
        for layer in range(depth)
        for product in products
        for _ in range(_in_layer(product, layer, depth))
    ]


def _in_layer(product: Product, layer: int, depth: int) -> int:
    """How many of the products lie in a layer, spread evenly; the last layer has what stands alone."""
    return product.count * (layer + 1) // depth - product.count * layer // depth


def _tiles_available() -> bool:
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
