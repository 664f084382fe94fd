import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dunwu.functional.packing import PackItem, plan_rows

steady = settings(deadline=None, derandomize=True, max_examples=60)


def row_tokens(items: list[PackItem], row: tuple[int, ...]) -> int:
    prompts = {items[index].prompt: items[index].prompt_tokens for index in row}
    return sum(prompts.values()) + sum(items[index].own_tokens for index in row)


def singles(*lengths: int) -> list[PackItem]:
    return [PackItem(index, 1, length - 1) for index, length in enumerate(lengths)]


def test_best_fit_decreasing_by_hand() -> None:
    # 7, 6 and 5 open a row each; 3 fills the 7's; both 2s go to the 6's, which is fuller than the 5's
    assert plan_rows(singles(2, 5, 7, 2, 6, 3), 10) == [(0, 3, 4), (1,), (2, 5)]


def test_a_shared_prompt_counts_once() -> None:
    items = [PackItem("p", 6, 2), PackItem("p", 6, 2), PackItem("q", 4, 4)]
    assert plan_rows(items, 10) == [(0, 1), (2,)]
    assert plan_rows(items, 18) == [(0, 1, 2)]


def test_a_group_longer_than_a_row_is_cut_and_its_prompt_repeated() -> None:
    items = [PackItem("p", 4, length) for length in (1, 2, 3, 4, 5)]
    # 6 tokens beside the prompt: 5 + 1, 4 + 2, 3
    assert plan_rows(items, 10) == [(0, 4), (1, 3), (2,)]


def test_equal_lengths_keep_their_order() -> None:
    assert plan_rows(singles(5, 5, 5, 5), 10) == [(0, 1), (2, 3)]


def test_nothing_to_plan() -> None:
    assert plan_rows([], 10) == []


@pytest.mark.parametrize("item", [PackItem("p", 8, 3), PackItem("p", 0, 0)])
def test_an_item_that_fits_no_row_is_named(item: PackItem) -> None:
    with pytest.raises(ValueError, match="item 1 has"):
        plan_rows([PackItem("q", 1, 1), item], 10)


@steady
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=40),
    st.integers(18, 60),
)
def test_every_plan_holds_each_item_once_and_keeps_the_limit(
    draws: list[tuple[int, int]], limit: int
) -> None:
    items = [PackItem(prompt, prompt + 1, own) for prompt, own in draws]
    rows = plan_rows(items, limit)
    assert sorted(index for row in rows for index in row) == list(range(len(items)))
    assert all(row_tokens(items, row) <= limit for row in rows)
    assert all(row == tuple(sorted(row)) for row in rows)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert rows == plan_rows(items, limit)


@steady
@given(st.lists(st.integers(1, 30), min_size=1, max_size=60))
def test_rows_are_filled_at_least_by_half(lengths: list[int]) -> None:
    # any two rows together hold more than one row: else the later one would have been put into the earlier
    fills = sorted(row_tokens(singles(*lengths), row) for row in plan_rows(singles(*lengths), 30))
    if len(fills) > 1:
        assert fills[0] + fills[1] > 30
