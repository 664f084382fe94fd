import math

import pytest

from dunwu.functional.schedules import lr_multiplier


def course(num_steps: int, kind: str, warmup_steps: int, final_frac: float) -> list[float]:
    return [
        lr_multiplier(
            step,
            num_steps=num_steps,
            kind=kind,  # type: ignore[arg-type]
            warmup_steps=warmup_steps,
            final_frac=final_frac,
        )
        for step in range(num_steps)
    ]


def test_constant_after_a_warm_up_of_three() -> None:
    assert course(6, "constant", 3, 0.1) == [0.25, 0.5, 0.75, 1, 1, 1]


def test_linear_goes_from_the_peak_to_its_share_at_the_last_step() -> None:
    assert course(6, "linear", 1, 0.2) == pytest.approx([0.5, 1, 0.8, 0.6, 0.4, 0.2])


def test_cosine_is_half_way_in_the_middle_and_flat_at_both_ends() -> None:
    result = course(5, "cosine", 0, 0.1)
    quarter = 0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    assert result == pytest.approx([1, quarter, 0.55, 1.1 - quarter, 0.1])


@pytest.mark.parametrize("kind", ["constant", "linear", "cosine"])
def test_a_run_of_one_step_and_a_run_shorter_than_its_warm_up(kind: str) -> None:
    assert course(1, kind, 0, 0.3) == [1]
    assert course(3, kind, 9, 0.3) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("step", [-1, 10])
def test_a_step_outside_the_run_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match=r"must be in \[0, 10\)"):
        lr_multiplier(step, num_steps=10, kind="constant", warmup_steps=0, final_frac=0.1)


@pytest.mark.parametrize(("warmup_steps", "final_frac"), [(-1, 0.1), (0, -0.1), (0, 1.1)])
def test_impossible_shapes_are_refused(warmup_steps: int, final_frac: float) -> None:
    with pytest.raises(ValueError, match="warmup_steps is"):
        lr_multiplier(0, num_steps=10, kind="constant", warmup_steps=warmup_steps, final_frac=final_frac)


@pytest.mark.parametrize("step", [0, 5])
def test_an_unknown_kind_is_refused_from_the_first_step_on(step: int) -> None:
    with pytest.raises(ValueError, match="constant, linear or cosine"):
        lr_multiplier(step, num_steps=10, kind="step", warmup_steps=2, final_frac=0.1)  # type: ignore[arg-type]
