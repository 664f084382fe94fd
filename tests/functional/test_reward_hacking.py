"""The watch fires when a reward rises while a held-out figure falls, both beyond chance, and at nothing else."""

import pytest

from dunwu.functional.reward_hacking import HeldOut, Rise, held_out_fall, reward_rise, suspect

RISING = [0.50, 0.52, 0.49, 0.55, 0.60, 0.58, 0.66, 0.70, 0.69]
LEVEL = [0.50, 0.58, 0.49, 0.55, 0.51, 0.57, 0.49, 0.58, 0.53]
FALLING = RISING[::-1]


def figures(*means: float, half: float = 0.03, steps: int = 10) -> list[HeldOut]:
    return [HeldOut(i * steps, mean, mean - half, mean + half) for i, mean in enumerate(means)]


def test_it_fires_with_the_evidence_and_the_remedy() -> None:
    held_out = {"pass@1": figures(0.70, 0.80, 0.79, 0.72), "helpfulness": figures(0.6, 0.6, 0.6, 0.7)}
    found = suspect({"preference.helpful": RISING, "preference.safety": LEVEL}, held_out)
    assert found is not None
    assert [rise.name for rise in found.rises] == ["preference.helpful"]
    assert [(fall.name, fall.best.step, fall.now.step) for fall in found.falls] == [("pass@1", 10, 30)]
    assert "preference.helpful rose from 0.503 to 0.683" in found.text
    assert "pass@1 fell from 80.0% [77.0%, 83.0%] (step 10) to 72.0% [69.0%, 75.0%] (step 30)" in found.text
    assert "as it was at step 10" in found.text
    assert "general.steps" in found.text


def test_what_is_true_counts_as_much_as_reasoning() -> None:
    held_out = {"pass@1": figures(0.7, 0.71), "helpfulness": figures(0.9, 0.6)}
    found = suspect({"preference.helpful": RISING}, held_out)
    assert found is not None
    assert [fall.name for fall in found.falls] == ["helpfulness"]


@pytest.mark.parametrize(
    ("rewards", "means"),
    [
        (RISING, (0.70, 0.80, 0.82)),  # both go up
        (RISING, (0.80, 0.78)),  # a fall within the intervals
        (LEVEL, (0.80, 0.60)),  # the reward does not rise beyond chance
        (FALLING, (0.80, 0.60)),  # both go down: no hacking, something else
        (RISING[:5], (0.80, 0.60)),  # too few rollouts to tell
        ([], (0.80, 0.60)),
        (RISING, (0.60,)),  # nothing to compare with
    ],
)
def test_it_does_not_fire(rewards: list[float], means: tuple[float, ...]) -> None:
    assert suspect({"preference.helpful": rewards}, {"pass@1": figures(*means)}) is None


def test_a_rise_is_of_the_first_and_last_thirds() -> None:
    assert reward_rise("r", [0.0, 0.0, 9.0, 9.0, 1.0, 1.0]) == Rise("r", 0.0, 1.0)
    assert reward_rise("r", [0.0] * 6) is None
    noisy = [0.0, 1.0, 0.5, 0.5, 0.1, 1.1]  # 0.5 to 0.6, the standard error is 0.707
    assert reward_rise("r", noisy) is None
    assert reward_rise("r", noisy, confidence=0.55) == Rise("r", 0.5, pytest.approx(0.6))  # z is 0.126


def test_a_fall_is_seen_only_if_neither_interval_holds_the_other_mean() -> None:
    best = HeldOut(0, 0.8, 0.75, 0.85)
    assert held_out_fall("f", [best, HeldOut(5, 0.74, 0.60, 0.79)]) is not None
    assert held_out_fall("f", [best, HeldOut(5, 0.74, 0.60, 0.81)]) is None
    assert held_out_fall("f", [best, HeldOut(5, 0.76, 0.74, 0.78)]) is None
    later = held_out_fall("f", [HeldOut(0, 0.5, 0.4, 0.6), best, HeldOut(5, 0.7, 0.68, 0.72)])
    assert later is not None
    assert later.best is best
