"""Splitting float32 into bfloat16 and 16 bits loses nothing, whatever the bits."""

import pytest
import torch

from dunwu.functional.split_float import join, split

TIES = [0x3F80_8000, 0x3F81_8000, 0xBF80_8000, 0xBF81_8000, 0x0000_8000, 0x0001_8000, 0x8000_8000]
SPECIAL = [
    *(0x0000_0000, 0x8000_0000, 0x0000_0001, 0x8000_0001, 0x007F_FFFF, 0x0080_0000),  # zeros, subnormals
    *(
        0x7F7F_FFFF,
        0xFF7F_FFFF,
        0x7F7F_8000,
        0x7F80_0000,
        0xFF80_0000,
    ),  # the largest, which round to infinity
    *(0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0x7FFF_FFFF, 0xFFFF_FFFF),  # NaNs
]


def from_bits(bits: torch.Tensor) -> torch.Tensor:
    """Float32 numbers of int64 bit patterns."""
    return torch.where(bits >= 2**31, bits - 2**32, bits).to(torch.int32).view(torch.float32)


def same_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def test_every_upper_half_with_every_sort_of_lower_half() -> None:
    upper = torch.arange(2**16, dtype=torch.int64) * 2**16
    lower = [*range(4), *range(0x7FFC, 0x8005), *range(0xFFFC, 0x10000), 0x1234, 0xABCD]
    for low in lower:
        wide = from_bits(upper + low)
        narrow, offsets = wide.to(torch.bfloat16), torch.empty(len(wide), dtype=torch.int16)
        kept = split(wide, narrow, offsets)
        assert same_bits(join(narrow, offsets, kept), wide), hex(low)


@pytest.mark.parametrize("upper", [0x0000, 0x0001, 0x3F80, 0x3F81, 0x7F7F, 0x8000, 0xBF80, 0xBF81, 0xFF7F])
def test_every_lower_half(upper: int) -> None:
    wide = from_bits(torch.arange(2**16, dtype=torch.int64) + upper * 2**16)
    narrow, offsets = wide.to(torch.bfloat16), torch.empty(len(wide), dtype=torch.int16)
    kept = split(wide, narrow, offsets)
    assert same_bits(join(narrow, offsets, kept), wide)
    # of the two ties beside an even number, 16 bits hold one
    assert kept is None or len(kept.values) == 1


def test_special_numbers_in_a_matrix() -> None:
    wide = from_bits(torch.tensor([*TIES, *SPECIAL, 0], dtype=torch.int64)).view(2, -1)
    for seen in (wide, wide.T):
        narrow, offsets = seen.to(torch.bfloat16), torch.zeros_like(seen, dtype=torch.int16)
        assert same_bits(join(narrow, offsets, split(seen, narrow, offsets)), seen)


def test_a_number_that_is_no_rounding_of_the_other_is_kept() -> None:
    wide = torch.randn(100, generator=torch.Generator().manual_seed(0))
    narrow, offsets = torch.ones(100, dtype=torch.bfloat16), torch.empty(100, dtype=torch.int16)
    kept = split(wide, narrow, offsets)
    assert kept is not None
    assert same_bits(join(narrow, offsets, kept), wide)


def test_a_weight_just_loaded_lacks_nothing() -> None:
    narrow = torch.randn(1000, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    offsets = torch.ones(1000, dtype=torch.int16)
    assert split(narrow.float(), narrow, offsets) is None
    assert not offsets.any()
