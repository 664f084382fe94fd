import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.data.packing import Packed, PackSequence, pack
from dunwu.errors import DataError
from dunwu.records import PackedBatch, Segment

steady = settings(deadline=None, derandomize=True, max_examples=60)


def test_the_worked_example_of_the_docstring() -> None:
    sequences = [PackSequence((5, 6), (7, 8, 9)), PackSequence((5, 6), (7, 3))]
    (packed,) = pack(sequences, 8)
    batch = packed.batch
    assert packed.sequence_indices == (0, 1)
    assert batch.num_sequences == 2
    assert batch.token_ids_T.tolist() == [5, 6, 7, 8, 7]
    assert batch.position_ids_T.tolist() == [0, 1, 2, 3, 2]
    assert batch.segments == (Segment(0, 2), Segment(2, 4, 0, 2), Segment(4, 5, 0, 2))
    assert batch.target_ids_N.tolist() == [7, 8, 9, 7, 3]
    assert batch.source_N.tolist() == [1, 2, 3, 1, 4]
    assert batch.sequence_N.tolist() == [0, 0, 0, 1, 1]


def test_a_prompt_with_one_completion_is_one_segment_with_it() -> None:
    (packed,) = pack([PackSequence((5, 6), (7, 8)), PackSequence((9,), (1,))], 8)
    assert packed.batch.token_ids_T.tolist() == [5, 6, 7, 9]
    assert packed.batch.segments == (Segment(0, 3), Segment(3, 4))
    assert packed.batch.source_N.tolist() == [1, 2, 3]


def test_completions_of_one_token_share_the_prompt_s_last_row() -> None:
    (packed,) = pack([PackSequence((5, 6), (7,)), PackSequence((5, 6), (8,))], 2)
    assert packed.batch.token_ids_T.tolist() == [5, 6]
    assert packed.batch.segments == (Segment(0, 2),)
    assert packed.batch.source_N.tolist() == [1, 1]
    assert packed.batch.target_ids_N.tolist() == [7, 8]


def test_prompts_are_shared_between_sequences_that_are_not_neighbours() -> None:
    sequences = [PackSequence((5,), (1, 2)), PackSequence((6,), (3, 4)), PackSequence((5,), (5, 6))]
    (packed,) = pack(sequences, 8)
    assert packed.batch.token_ids_T.tolist() == [5, 1, 5, 6, 3]
    # targets stay in the order in which the sequences were given
    assert packed.batch.target_ids_N.tolist() == [1, 2, 3, 4, 5, 6]
    assert packed.batch.source_N.tolist() == [0, 1, 3, 4, 0, 2]


def test_sequences_that_do_not_fit_together_become_several_batches() -> None:
    sequences = [PackSequence((1, 2), (3, 4, 5)), PackSequence((6,), (7,)), PackSequence((1, 2), (8, 9, 9))]
    result = pack(sequences, 5)
    assert [packed.sequence_indices for packed in result] == [(0, 1), (2,)]
    assert result[0].batch.sequence_N.tolist() == [0, 0, 0, 1]
    assert result[1].batch.sequence_N.tolist() == [0, 0, 0]
    assert result[1].batch.num_sequences == 1


def test_tensors_are_int64_on_the_device_that_was_asked_for() -> None:
    (packed,) = pack([PackSequence((1,), (2,))], 4, torch.device("meta"))
    for name in ("token_ids_T", "position_ids_T", "source_N", "target_ids_N", "sequence_N"):
        tensor = getattr(packed.batch, name)
        assert tensor.device.type == "meta"
        assert tensor.dtype == torch.int64


def test_nothing_to_pack() -> None:
    assert pack([], 8) == []


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (PackSequence((), (1,)), "sequence 1 has an empty prompt"),
        (PackSequence((1,), ()), "sequence 1 has an empty completion"),
        (
            PackSequence((1,) * 5, (1,) * 5),
            "sequence 1 needs 9 tokens .* holds 8; raise batch.micro_batch_tokens",
        ),
    ],
)
def test_sequences_that_cannot_be_packed_are_named(sequence: PackSequence, message: str) -> None:
    with pytest.raises(DataError, match=message):
        pack([PackSequence((1,), (2,)), sequence], 8)


def test_a_sequence_of_just_the_limit_fits() -> None:
    (packed,) = pack([PackSequence((1,) * 5, (1,) * 4)], 8)
    assert len(packed.batch.token_ids_T) == 8


def context_of(batch: PackedBatch, row: int) -> tuple[list[int], list[int]]:
    """Tokens and positions that a row attends to, itself last, as the segments say."""
    (segment,) = [segment for segment in batch.segments if segment.start <= row < segment.end]
    rows = [*range(segment.prefix_start, segment.prefix_end), *range(segment.start, row + 1)]
    return batch.token_ids_T[rows].tolist(), batch.position_ids_T[rows].tolist()


ids = st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple)


@steady
@given(st.lists(st.builds(PackSequence, ids, ids), max_size=20), st.integers(11, 40))
def test_every_target_sees_exactly_its_own_prompt_and_what_came_before(
    sequences: list[PackSequence], max_tokens: int
) -> None:
    seen: dict[int, list[int]] = {}
    for packed in pack(sequences, max_tokens):
        batch = packed.batch
        assert len(batch.token_ids_T) <= max_tokens
        covered = [row for segment in batch.segments for row in range(segment.start, segment.end)]
        assert sorted(covered) == list(range(len(batch.token_ids_T)))
        assert list(packed.sequence_indices) == sorted(packed.sequence_indices)
        assert batch.num_sequences == len(packed.sequence_indices)
        for source, target, place in zip(
            batch.source_N.tolist(), batch.target_ids_N.tolist(), batch.sequence_N.tolist(), strict=True
        ):
            index = packed.sequence_indices[place]
            done = seen.setdefault(index, [])
            tokens, positions = context_of(batch, source)
            assert tokens == [*sequences[index].prompt_ids, *done]
            assert positions == list(range(len(tokens)))
            done.append(target)
        check_targets_in_order(packed, sequences)
    assert seen == {index: list(sequence.completion_ids) for index, sequence in enumerate(sequences)}


def check_targets_in_order(packed: Packed, sequences: list[PackSequence]) -> None:
    expected = [token for index in packed.sequence_indices for token in sequences[index].completion_ids]
    assert packed.batch.target_ids_N.tolist() == expected


@steady
@given(st.integers(1, 12), st.integers(1, 6))
def test_a_group_s_prompt_is_computed_once_where_it_fits(group_size: int, length: int) -> None:
    sequences = [PackSequence((1, 2, 3, 4), (5,) * length)] * group_size
    (packed,) = pack(sequences, 100)
    assert len(packed.batch.token_ids_T) == 4 + group_size * (length - 1)
