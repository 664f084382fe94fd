"""The arithmetic and the guards of the comparison with peers, on made-up figures."""

import dataclasses

import pytest
from benchmarks.results import (
    SideFigures,
    StepFigures,
    bound_seconds,
    check_same_work,
    fitted_exponent,
    speed_ratio,
    spread_frac,
    step_table,
    text_table,
)


def side(name: str, seconds: list[float], *, peak: int = 1 << 30, **changes: int) -> SideFigures:
    """Steps of these lengths, half of each spent in the sampler."""
    step = StepFigures(0.0, 0.0, 1000, 1000, 90)
    steps = [dataclasses.replace(step, step_seconds=s, generation_seconds=s / 2, **changes) for s in seconds]
    return SideFigures(name, steps, peak, {"num_parameters": 7})


def test_rates_are_medians_over_the_right_time() -> None:
    ours = side("dunwu", [10.0, 40.0, 20.0])
    figures = ours.to_record()
    assert figures["median_step_seconds"] == 20.0
    assert figures["generation_tokens_per_second"] == 100.0
    assert figures["training_tokens_per_second"] == 100.0
    uneven = StepFigures(10.0, 2.0, 1000, 800, 90)
    assert uneven.generation_tokens_per_second == 500.0
    assert uneven.training_tokens_per_second == 100.0


def test_the_bound_counts_ten_flop_per_parameter_and_token() -> None:
    assert bound_seconds(num_parameters=3, completion_tokens=4, flops=60.0) == 2.0


def test_table_says_better_by_more_than_one_for_us_when_we_are_faster_and_smaller() -> None:
    lines = step_table(side("dunwu", [10.0], peak=1 << 30), side("TRL", [30.0], peak=2 << 30)).splitlines()
    assert lines[1].split()[-3:] == ["10.00", "30.00", "3.00x"]
    assert lines[2].split()[-3:] == ["200.00", "66.67", "3.00x"]
    assert lines[4].split()[-3:] == ["1.00", "2.00", "2.00x"]
    assert lines[-1] == "TRL steps: 30.0 s"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generated_tokens": 999}, "step 1: TRL generated 999 tokens, not 1000"),
        ({"trained_tokens": 500}, "step 1: TRL trained 500 tokens, not 1000"),
        ({"prompt_tokens": 91}, "prompt tokens per step differ"),
    ],
)
def test_other_work_is_not_compared(changes: dict[str, int], message: str) -> None:
    check_same_work([side("dunwu", [1.0]), side("TRL", [2.0])], [1000])
    with pytest.raises(ValueError, match=message):
        check_same_work([side("dunwu", [1.0]), side("TRL", [2.0], **changes)], [1000])


def test_a_step_of_another_size_is_compared_with_its_own_tokens() -> None:
    sides = [side("dunwu", [1.0, 1.0]), side("TRL", [2.0, 2.0])]
    check_same_work(sides, [1000, 1000])
    with pytest.raises(ValueError, match="step 2: dunwu generated 1000 tokens, not 900"):
        check_same_work(sides, [1000, 900])


def test_a_ratio_is_that_of_the_medians_and_has_a_range_over_the_rounds() -> None:
    speed = speed_ratio([1.0, 2.0, 4.0], [3.0, 8.0, 10.0])
    assert speed == {"ratio": 4.0, "by_round": [3.0, 4.0, 2.5], "lowest": 2.5, "highest": 4.0}
    with pytest.raises(ValueError, match="longer than"):
        speed_ratio([1.0], [1.0, 2.0])


def test_spread_is_a_share_of_the_median() -> None:
    assert spread_frac([9.0, 10.0, 12.0]) == pytest.approx(0.3)


def test_a_power_law_gives_back_its_exponent() -> None:
    sizes = [1.0, 10.0, 50.0]
    assert fitted_exponent(sizes, [3 * size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert fitted_exponent(sizes, [7.0, 7.0, 7.0]) == pytest.approx(0.0)


@pytest.mark.parametrize("sizes", [[2.0, 2.0], [0.0, 1.0]])
def test_no_exponent_without_two_sizes_above_zero(sizes: list[float]) -> None:
    with pytest.raises(ValueError, match="no exponent can be fitted"):
        fitted_exponent(sizes, [1.0, 2.0])


def test_columns_of_a_table_line_up() -> None:
    assert text_table(["", "b"], [["first", "1"], ["2nd", "10"]]).splitlines() == [
        "        b",
        "first   1",
        "2nd    10",
    ]
