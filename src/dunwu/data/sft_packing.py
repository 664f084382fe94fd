"""Which samples an optimizer step takes, and how they lie in packed rows: no padding, no sample sees another.

The plan of an epoch follows from the samples' lengths and a seed, so that a run can go on at any step. Called by the
fine-tuning stage.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from dunwu.data.chat_tokens import TokenSample
from dunwu.data.packing import Packed
from dunwu.functional.packing import PackItem, plan_rows
from dunwu.records import PackedBatch, Segment


def plan_epoch(
    lengths: NDArray[np.int64], *, batch_size: int, row_tokens: int | None, seed: int
) -> list[tuple[int, ...]]:
    """Deal out an epoch's samples to optimizer steps: each sample once, in an order drawn from the seed.

    The units of a batch are samples; or, with `row_tokens`, rows of at most so many tokens, into which the samples of the whole
    epoch are packed, best fit first, and which are then shuffled. The number of steps is the same for every seed; their sizes
    differ by one unit at most, so that no step of an epoch is left with a few units.

    Args:
        lengths: (S,) tokens of each sample, >= 1.
        batch_size: units of a step at most.
        row_tokens: None: samples are the units.
    Returns:
        For each step the indices of its samples.
    Raises:
        ValueError: batch_size < 1, no samples, or one longer than row_tokens.
    """
    if batch_size < 1 or not len(lengths):
        raise ValueError(f"batch_size is {batch_size} for {len(lengths)} samples; both must be at least 1")
    generator = np.random.Generator(np.random.Philox(key=seed))
    order = [int(index) for index in generator.permutation(len(lengths))]
    units: list[tuple[int, ...]] = [(index,) for index in order]
    if row_tokens is not None:
        rows = _rows([int(lengths[index]) for index in order], row_tokens)
        # rows of many short samples come first in the plan: their order is drawn again
        units = [tuple(order[place] for place in rows[row]) for row in generator.permutation(len(rows))]
    num_steps = -(-len(units) // batch_size)
    ends = [step * len(units) // num_steps for step in range(num_steps + 1)]
    return [tuple(index for unit in units[start:end] for index in unit) for start, end in pairwise(ends)]


def pack_samples(
    samples: Sequence[TokenSample], max_tokens: int, device: str | torch.device = "cpu"
) -> list[Packed]:
    """Pack samples into rows of at most max_tokens tokens, best fit first; every sample is a segment of its own.

    Worked example: a sample of the tokens 5 6 7 8 9, of which 7 and 9 are trained, lies in its row as 5 6 7 8, with the targets
    7 from 6 and 9 from 8. Its last token predicts nothing, so it has no row.

    Args:
        samples: the first token of each is not trained, the last one is.
        max_tokens: not less than the longest sample's tokens but one.
    Returns:
        Rows in the order of their first sample; the targets of a row come sample by sample.
    """
    return [
        Packed(_lay_out([samples[index] for index in row], torch.device(device)), row)
        for row in _rows([len(sample.token_ids) - 1 for sample in samples], max_tokens)
    ]


def _rows(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, ...]]:
    return plan_rows([PackItem(place, 0, length) for place, length in enumerate(lengths)], max_tokens)


def _lay_out(samples: Sequence[TokenSample], device: torch.device) -> PackedBatch:
    inputs = [sample.token_ids[:-1] for sample in samples]
    starts = np.cumsum([0, *(len(ids) for ids in inputs)])
    targets = [np.flatnonzero(sample.trained) for sample in samples]
    return PackedBatch(
        token_ids_T=_tensor(inputs, device),
        position_ids_T=_tensor([np.arange(len(ids)) for ids in inputs], device),
        segments=tuple(Segment(int(start), int(end)) for start, end in pairwise(starts)),
        source_N=_tensor([start + found - 1 for start, found in zip(starts, targets, strict=False)], device),
        target_ids_N=_tensor(
            [sample.token_ids[found] for sample, found in zip(samples, targets, strict=True)], device
        ),
        sequence_N=_tensor([np.repeat(np.arange(len(samples)), [len(found) for found in targets])], device),
        num_sequences=len(samples),
    )


def _tensor(parts: Sequence[NDArray[np.int64] | NDArray[np.int32]], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64, copy=False)).to(device)
