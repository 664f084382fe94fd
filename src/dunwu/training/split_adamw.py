"""AdamW's step on masters kept in two halves (`functional.split_float`): one pass of a loop in C over each piece, in the order
of the operations of torch's fused AdamW. Called by `training.master_weights`."""

import ctypes
from typing import Any

import torch
from torch import Tensor

from dunwu.functional.split_float import KeptWhole
from dunwu.kernels.call import call

_BLOCK = 1024  # as in `adamw.c`

Piece = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""Parameter (bfloat16), offsets (int16), gradient, mean, mean square (float32) of the same numbers; 1-dimensional, contiguous."""


def split_adamw_(
    kernels: ctypes.CDLL, piece: Piece, kept: KeptWhole | None, step: int, settings: dict[str, Any]
) -> KeptWhole | None:
    """Make a step on the masters, and write all of `piece` but the gradient.

    Args:
        kept: those that the two halves do not restore.
        step: 1 for the first.
        settings: those of torch's `adamw`.
    Returns:
        The same of the new masters.
    """
    assert not settings["amsgrad"]
    assert not settings["maximize"]
    size = piece[0].numel()
    counts = torch.empty(-(-size // _BLOCK), dtype=torch.int64)
    places, values = torch.empty(size, dtype=torch.int64), torch.empty(size, dtype=torch.float32)
    correction1, correction2 = (1 - settings[beta] ** step for beta in ("beta1", "beta2"))
    call(
        kernels,
        "split_adamw",
        *piece,
        None if kept is None else kept.places[0],
        None if kept is None else kept.values,
        counts,
        places,
        values,
        0 if kept is None else len(kept.values),
        size,
        float(1 - settings["lr"] * settings["weight_decay"]),
        float(1 - settings["beta1"]),
        float(settings["beta2"]),
        float(1 - settings["beta2"]),
        float(correction2**0.5),
        float(settings["eps"]),
        float(-settings["lr"] / correction1),
        dtype=torch.bfloat16,
    )
    found = [(block * _BLOCK, int(counts[block])) for block in counts.nonzero()[:, 0].tolist()]
    if not found:
        return None
    parts = [slice(begin, begin + count) for begin, count in found]
    return KeptWhole(
        (torch.cat([places[part] for part in parts]),), torch.cat([values[part] for part in parts])
    )
