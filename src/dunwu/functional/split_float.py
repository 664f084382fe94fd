"""A float32 number as a bfloat16 one close to it and the 16 bits that this one lacks: the pair is as small as the number, and its
first half is ready to compute with. Nothing is lost. Called by `training.master_weights`.

    bits(wide) = bits(narrow) * 2^16 + offset,    -2^15 <= offset < 2^15

This holds where `narrow` is `wide` rounded to nearest, but for some ties: 2^16 + 1 numbers round to a bfloat16 whose bits are
even, one too many for 16 bits. Those ties, and what is no rounding at all (NaNs, or any other pair), are kept whole, by their
places.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class KeptWhole:
    """The numbers that 16 bits do not restore, one in 2^17 of random ones: their indices for each dimension, and what they are
    (float32)."""

    places: tuple[Tensor, ...]
    values: Tensor


def split(wide: Tensor, narrow: Tensor, offsets: Tensor) -> KeptWhole | None:
    """Write what each number lacks beside its rounded self.

    Args:
        wide: float32, any bits.
        narrow: bfloat16, of the same shape, usually `wide` rounded.
        offsets: int16, of the same shape; overwritten.
    Returns:
        What `join` needs beside narrow and offsets; None where it needs nothing.
    """
    difference = wide.view(torch.int32) - _shifted(narrow)
    offsets.copy_(difference)  # modulo 2^16
    places = torch.nonzero(difference.sub_(offsets), as_tuple=True)
    return KeptWhole(places, wide[places]) if len(places[0]) else None


def join(narrow: Tensor, offsets: Tensor, kept: KeptWhole | None) -> Tensor:
    """Return the numbers that `split` was given, float32, to the bit, in new memory."""
    wide = _shifted(narrow).add_(offsets).view(torch.float32)
    if kept is not None:
        wide[kept.places] = kept.values
    return wide


def _shifted(narrow: Tensor) -> Tensor:
    """The bits as the upper half of int32."""
    return narrow.view(torch.int16).to(torch.int32).mul_(2**16)
