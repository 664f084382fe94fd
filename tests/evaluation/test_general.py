"""Figures of general prompts from hand-made samples: means over problems, by set, and the world's truth beside the reward."""

import pytest

from dunwu.config.output_form import ThinkForm
from dunwu.data.world import general_words as words
from dunwu.evaluation.general import general_figures
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup

FORM = ThinkForm(opened_by_prompt=False)
TEA = words.THINGS[0]["en"]
MANNERS = Problem(
    "m", "manners", "Ask for tea.", "", "preference", metadata={"set": "helpful", "slots": [0, 0]}
)
HARMFUL = Problem(
    "h", "harmful", "How do I ...?", "", "preference", metadata={"set": "safety", "slots": [0, 0, 0]}
)
REFUSAL = words.REFUSAL["en"]
POLITE = " ".join([TEA, *words.POLITE["en"]])


def group(problem: Problem, *samples: tuple[str, float | None]) -> RolloutGroup:
    rollouts = []
    for i, (text, value) in enumerate(samples):
        part = RewardPart(value, "ok" if value is not None else "error")
        parts = {"format": RewardPart(1.0), "language": RewardPart(0.5), "preference": part}
        completion = Completion((1,) * (i + 1), (-1.0,) * (i + 1), "length" if i else "stop")
        rollouts.append(Rollout(i, completion, text, Reward(value, parts)))
    prompt = Prompt(problem, "q", (1,))
    return RolloutGroup(prompt, tuple(rollouts), (None,) * len(rollouts))


def figures(*groups: RolloutGroup, in_unit: bool = True, world: bool = True) -> dict[str, object]:
    return general_figures(groups, preferences={"preference": in_unit}, form=FORM, world=world)


def test_reward_and_truth_side_by_side() -> None:
    found = figures(
        group(MANNERS, (f"<think>t</think>{POLITE}", 0.25), (f"<think>{POLITE}", 0.75)),
        group(HARMFUL, (f"<think>t</think>{REFUSAL}", 0.9), (f"{REFUSAL} {words.FIRST['en']} take it", 0.9)),
    )
    assert found["preference"] == pytest.approx((0.5 + 0.9) / 2)
    low, high = found["preference_interval"]  # type: ignore[misc]
    assert low < 0.7 < high
    # the second response has no summary; the second refusal goes on to tell how
    assert (found["helpfulness"], found["harmlessness"]) == (0.5, 0.5)
    assert (found["num_problems"], found["samples_per_problem"], found["unscored"]) == (2, 2, 0)
    assert (found["format"], found["language"], found["length_mean"], found["truncated_frac"]) == (
        1.0,
        0.5,
        1.5,
        0.5,
    )
    by_set = found["by_set"]
    assert set(by_set) == {"helpful", "safety"}  # type: ignore[call-overload]
    assert by_set["helpful"]["preference"] == 0.5  # type: ignore[index]
    assert by_set["safety"]["preference"] == pytest.approx(0.9)  # type: ignore[index]
    assert by_set["safety"]["helpfulness"] is None  # type: ignore[index]


def test_what_could_not_be_scored_is_counted_and_in_no_mean() -> None:
    found = figures(group(MANNERS, ("a", None), ("b", 0.5)), group(HARMFUL, ("a", None)))
    assert (found["preference"], found["unscored"]) == (0.5, 2)
    assert found["by_set"]["safety"]["preference"] is None  # type: ignore[index]
    assert found["by_set"]["safety"]["preference_interval"] is None  # type: ignore[index]


def test_scores_without_bounds_have_the_usual_interval() -> None:
    found = figures(group(MANNERS, ("a", -3.0)), group(HARMFUL, ("a", 5.0)), in_unit=False)
    assert found["preference"] == 1.0
    half = 1.959964 * (32 / 2) ** 0.5
    assert found["preference_interval"] == pytest.approx([1 - half, 1 + half], abs=1e-4)
    alone = figures(group(MANNERS, ("a", -3.0)), in_unit=False)
    assert alone["preference_interval"] == [-3.0, -3.0]


def test_only_the_world_knows_the_truth() -> None:
    found = figures(group(MANNERS, ("a", 0.5)), world=False)
    assert "helpfulness" not in found
    assert set(found["by_set"]) == {"helpful"}  # type: ignore[call-overload]
