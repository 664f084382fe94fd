"""Epochs deal each sample out once, seeded; rows hold samples end to end, each a segment of its own."""

import numpy as np
import pytest

from dunwu.data.chat_tokens import TokenSample
from dunwu.data.sft_packing import pack_samples, plan_epoch
from dunwu.records import Segment

LENGTHS = np.array([3, 9, 4, 4, 7, 2, 2, 8, 5, 6, 3])


def sample(ids: list[int], mask: str) -> TokenSample:
    return TokenSample("x", np.array(ids, dtype=np.int32), np.array([letter == "1" for letter in mask]))


def test_the_worked_example() -> None:
    (packed,) = pack_samples([sample([5, 6, 7, 8, 9], "00101")], 100)
    batch = packed.batch
    assert packed.sequence_indices == (0,)
    assert batch.token_ids_T.tolist() == [5, 6, 7, 8]
    assert batch.position_ids_T.tolist() == [0, 1, 2, 3]
    assert batch.segments == (Segment(0, 4),)
    assert batch.source_N.tolist() == [1, 3]
    assert batch.target_ids_N.tolist() == [7, 9]
    assert batch.sequence_N.tolist() == [0, 0]


def test_two_samples_in_a_row_by_hand() -> None:
    (packed,) = pack_samples([sample([5, 6, 7], "001"), sample([1, 2, 3, 4], "0101")], 5)
    batch = packed.batch
    assert batch.token_ids_T.tolist() == [5, 6, 1, 2, 3]
    assert batch.position_ids_T.tolist() == [0, 1, 0, 1, 2]
    assert batch.segments == (Segment(0, 2), Segment(2, 5))
    assert batch.source_N.tolist() == [1, 2, 4]
    assert batch.target_ids_N.tolist() == [7, 2, 4]
    assert batch.sequence_N.tolist() == [0, 1, 1]
    assert batch.num_sequences == 2


def test_rows_are_filled_best_fit_and_hold_every_sample_once() -> None:
    samples = [sample(list(range(n)), "0" * (n - 1) + "1") for n in LENGTHS.tolist()]
    rows = pack_samples(samples, 8)
    assert sorted(index for row in rows for index in row.sequence_indices) == list(range(len(samples)))
    for row in rows:
        assert len(row.batch.token_ids_T) <= 8
        assert len(row.batch.segments) == len(row.sequence_indices)
    assert len(rows) == 6  # 42 input tokens in rows of 8: not one row more than needed


@pytest.mark.parametrize("batch_size", [1, 3, 5, 10, 11, 50])
def test_an_epoch_takes_each_sample_once_in_batches_of_like_size(batch_size: int) -> None:
    steps = plan_epoch(LENGTHS, batch_size=batch_size, row_tokens=None, seed=5)
    assert sorted(index for step in steps for index in step) == list(range(11))
    assert len(steps) == -(-11 // batch_size)
    sizes = [len(step) for step in steps]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


def test_the_order_is_drawn_from_the_seed() -> None:
    def order(seed: int) -> list[tuple[int, ...]]:
        return plan_epoch(LENGTHS, batch_size=4, row_tokens=None, seed=seed)

    assert order(1) == order(1)
    assert len({str(order(seed)) for seed in range(6)}) == 6
    assert any(list(order(seed)[0]) != sorted(order(seed)[0]) for seed in range(6))


@pytest.mark.parametrize("batch_size", [1, 2])
def test_rows_as_units_of_a_batch(batch_size: int) -> None:
    plans = [plan_epoch(LENGTHS, batch_size=batch_size, row_tokens=9, seed=seed) for seed in range(20)]
    num_rows = 6  # 53 tokens in rows of 9
    for plan in plans:
        assert len(plan) == -(-num_rows // batch_size)
        assert sorted(index for step in plan for index in step) == list(range(11))
        assert all(LENGTHS[list(step)].sum() <= 9 * batch_size for step in plan)
    # the longest sample fills a row of its own; it comes at every place of the epoch, not always last or first
    places = {next(place for place, step in enumerate(plan) if 1 in step) for plan in plans}
    assert len(places) == len(plans[0])


def test_impossible_plans_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 0 for 11 samples"):
        plan_epoch(LENGTHS, batch_size=0, row_tokens=None, seed=1)
    with pytest.raises(ValueError, match="batch_size is 2 for 0 samples"):
        plan_epoch(LENGTHS[:0], batch_size=2, row_tokens=None, seed=1)
    with pytest.raises(ValueError, match="a row holds 1 to 8"):
        plan_epoch(LENGTHS, batch_size=2, row_tokens=8, seed=1)
