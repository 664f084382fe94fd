"""Lay sequences end to end into packed batches; a prompt that several sequences of a batch share is laid down
once.

Does not run the model or choose which sequences are trained. Called by training for the policy, the reference
and the old policy, once for each optimizer batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from dunwu.errors import DataError
from dunwu.functional.packing import PackItem, plan_rows
from dunwu.records import PackedBatch, Segment

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class PackSequence:
    """A prompt and the completion whose tokens are targets, both as token ids and neither empty."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]


@dataclass(frozen=True)
class Packed:
    """A packed batch; its sequence s is number `sequence_indices[s]`, ascending, of those given to `pack`.

    The batch's targets come sequence by sequence in that order, each in the order of its completion. So a
    per-token quantity of the batch is the concatenation of that of the sequences `sequence_indices`.
    """

    batch: PackedBatch
    sequence_indices: tuple[int, ...]


def pack(
    sequences: Sequence[PackSequence], max_tokens: int, device: str | torch.device = "cpu"
) -> list[Packed]:
    """Pack sequences into batches of at most max_tokens rows, groups together where they fit.

    Worked example, max_tokens 8: prompt (5, 6) with completions (7, 8, 9) and (7, 3), in this order, become

        row        0  1 | 2  3 | 4         segments  [0, 2), [2, 4) after [0, 2), [4, 5) after [0, 2)
        token      5  6 | 7  8 | 7
        position   0  1 | 2  3 | 2
        targets    7 8 9 from rows 1 2 3, then 7 3 from rows 1 4

    The last token of a completion predicts nothing, so it has no row: a sequence needs one row less than it
    has tokens. The first one is predicted by the prompt's last row, which all sequences of that prompt share.
    A prompt with one completion in the batch is one segment with it.

    Args:
        sequences: in any order; prompts are shared when their ids are equal.
        max_tokens: of a batch.
        device: of the batches' tensors.
    Returns:
        Batches in the order of their first sequence; every sequence lies in exactly one of them.
    Raises:
        DataError: an empty prompt or completion, or a sequence longer than max_tokens (names its index).
    """
    for index, sequence in enumerate(sequences):
        _check(index, sequence, max_tokens)
    items = [PackItem(s.prompt_ids, len(s.prompt_ids), len(s.completion_ids) - 1) for s in sequences]
    return [
        Packed(_lay_out([sequences[index] for index in row], torch.device(device)), row)
        for row in plan_rows(items, max_tokens)
    ]


def _check(index: int, sequence: PackSequence, max_tokens: int) -> None:
    if not sequence.prompt_ids or not sequence.completion_ids:
        part = "completion" if sequence.prompt_ids else "prompt"
        raise DataError(f"sequence {index} has an empty {part}; it needs at least one token")
    length = len(sequence.prompt_ids) + len(sequence.completion_ids) - 1
    if length > max_tokens:
        raise DataError(
            f"sequence {index} needs {length} tokens ({len(sequence.prompt_ids)} prompt, "
            f"{len(sequence.completion_ids)} completion, the last one not fed in) "
            f"but a packed batch holds {max_tokens}; "
            "raise batch.micro_batch_tokens or lower sampling.max_new_tokens"
        )


def _lay_out(sequences: Sequence[PackSequence], device: torch.device) -> PackedBatch:
    members: dict[tuple[int, ...], list[int]] = {}
    for place, sequence in enumerate(sequences):
        members.setdefault(sequence.prompt_ids, []).append(place)
    tokens: list[Ids] = []
    positions: list[Ids] = []
    segments: list[Segment] = []
    sources: dict[int, Ids] = {}
    end = 0
    for prompt_ids, places in members.items():
        start, prompt_end = end, end + len(prompt_ids)
        tokens.append(_ids(prompt_ids))
        positions.append(np.arange(len(prompt_ids)))
        end = prompt_end
        if len(places) > 1:
            segments.append(Segment(start, prompt_end))
        for place in places:
            inputs = _ids(sequences[place].completion_ids[:-1])
            tokens.append(inputs)
            positions.append(len(prompt_ids) + np.arange(len(inputs)))
            sources[place] = np.concatenate([[prompt_end - 1], np.arange(end, end + len(inputs))])
            if len(places) == 1:
                segments.append(Segment(start, end + len(inputs)))
            elif len(inputs):
                segments.append(Segment(end, end + len(inputs), start, prompt_end))
            end += len(inputs)
    lengths = [len(sequence.completion_ids) for sequence in sequences]
    return PackedBatch(
        token_ids_T=_tensor(tokens, device),
        position_ids_T=_tensor(positions, device),
        segments=tuple(segments),
        source_N=_tensor([sources[place] for place in range(len(sequences))], device),
        target_ids_N=_tensor([_ids(sequence.completion_ids) for sequence in sequences], device),
        sequence_N=_tensor([np.repeat(np.arange(len(sequences)), lengths)], device),
        num_sequences=len(sequences),
    )


def _ids(token_ids: tuple[int, ...]) -> Ids:
    return np.array(token_ids, dtype=np.int64)


def _tensor(parts: Sequence[Ids], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.int64, copy=False)).to(device)
