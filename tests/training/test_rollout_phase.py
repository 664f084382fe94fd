"""From graded rollouts to advantages: sums, parts normalised apart, truncated completions."""

from types import SimpleNamespace
from typing import Any

import pytest

from dunwu.config.reward import AccuracyReward, FormatReward
from dunwu.config.stage import GeneralRlStage, R1ZeroStage
from dunwu.config.task import WorldTask
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, SamplingParams
from dunwu.rewards.combination import weighted_sum
from dunwu.training.rollout_phase import RolloutPhase

PROMPT = Prompt(Problem("p", "sum", "q", "1", "numeric"), "q", (1,))
REWARDS = (AccuracyReward(weight=1.0), FormatReward(weight=1.0))
VALUES = [(1.0, 0.1), (1.0, 0.0), (0.0, 0.1), (0.0, 0.0)]
"""Accuracy and format of four rollouts, the spread of the second ten times smaller."""


def rollout(i: int, accuracy: float | None, formatting: float | None, finish: Any = "stop") -> Rollout:
    parts = {
        "accuracy": RewardPart(accuracy, "ok" if accuracy is not None else "error"),
        "format": RewardPart(formatting, "ok" if formatting is not None else "not_applicable"),
    }
    total = weighted_sum(parts, {"accuracy": 1.0, "format": 1.0})
    return Rollout(i, Completion((1, 2), (-1.0, -1.0), finish), "", Reward(total, parts))


def advantages(rollouts: list[Rollout], **stage: Any) -> tuple[float | None, ...]:
    config = R1ZeroStage(
        task=WorldTask(),
        rewards=REWARDS,
        prompts_per_step=1,
        steps_per_rollout=1,
        group_size=len(rollouts),
        **stage,
    )
    collector = SimpleNamespace(collect=lambda *_, **__: [tuple(rollouts)])
    phase = RolloutPhase(config, "s", 1, [PROMPT], collector, SamplingParams(4))  # type: ignore[arg-type]
    state = SimpleNamespace(step=0, num_rollouts=0, prompts_drawn=0, general_drawn=0, reference=None)
    (group,), dropped = phase.sample(state)  # type: ignore[arg-type]
    assert dropped == []
    return group.advantages


def test_the_sum_lets_the_wider_part_decide_and_normalising_gives_each_its_weight() -> None:
    rollouts = [rollout(i, *values) for i, values in enumerate(VALUES)]
    summed = advantages(rollouts)
    assert summed == pytest.approx([1.0945, 0.8955, -0.8955, -1.0945], abs=1e-4)
    apart = advantages(rollouts, combine="normalise_then_sum")
    assert apart == pytest.approx([2**0.5, 0, 0, -(2**0.5)], abs=1e-4)


def test_excluded_rollouts_stay_excluded_and_a_part_that_does_not_apply_adds_nothing() -> None:
    rollouts = [rollout(0, 1.0, None), rollout(1, 0.0, None), rollout(2, None, 1.0)]
    apart = advantages(rollouts, combine="normalise_then_sum")
    assert apart[2] is None
    assert apart[:2] == pytest.approx([1.0, -1.0], abs=1e-4)


def test_truncated_completions_without_reward_count_as_0_in_every_part() -> None:
    rollouts = [rollout(0, 1.0, 0.1, "length"), rollout(1, 1.0, 0.1), rollout(2, 0.0, 0.0)]
    apart = advantages(rollouts, combine="normalise_then_sum", truncated="zero_reward")
    assert apart == pytest.approx([-(2**-0.5), 2**0.5, -(2**-0.5)], abs=1e-4)
    masked = advantages(rollouts, combine="normalise_then_sum", truncated="mask")
    assert masked[0] is None
    assert masked[1] is not None


def general_stage(**stage: Any) -> GeneralRlStage:
    keys = {"num_steps": 4, "steps_per_rollout": 1, "prompts_per_step": 4, "group_size": 2, **stage}
    general = {
        "task": {"kind": "file", "train": "x", "grader": "preference", "preference_set": "helpful"},
        "steps": 2,
    }
    rewards = [{"kind": "preference", "helpful": "rm"}]
    return GeneralRlStage.model_validate(
        {"task": {"kind": "world"}, "general": general, "rewards": rewards, **keys}
    )


def draws(config: GeneralRlStage, flat: set[str]) -> list[list[str]]:
    """The problems of each of a stage's rollouts and, behind them, of those that were replaced; `flat` ones have no spread."""

    def collect(prompts: Any, **_: Any) -> list[tuple[Rollout, ...]]:
        return [
            tuple(rollout(i, float(i) if p.problem.id not in flat else 0.0, 0.0) for i in range(2))
            for p in prompts
        ]

    def prompts(letter: str, num: int) -> list[Prompt]:
        return [Prompt(Problem(f"{letter}{i}", "k", "q", "", "numeric"), "q", (1,)) for i in range(num)]

    collector = SimpleNamespace(collect=collect)
    phase = RolloutPhase(config, "s", 1, prompts("r", 3), collector, SamplingParams(4), prompts("g", 5))  # type: ignore[arg-type]
    state = SimpleNamespace(step=0, num_rollouts=0, prompts_drawn=0, general_drawn=0, reference=None)
    found = []
    for state.step in range(config.num_steps):
        groups, dropped = phase.sample(state)  # type: ignore[arg-type]
        found.append([group.prompt.problem.id for group in (*groups, *dropped)])
    return found


def test_general_prompts_are_drawn_in_an_order_of_their_own_once_they_begin() -> None:
    found = draws(general_stage(), set())
    assert [[name[0] for name in names] for names in found] == [
        ["r"] * 4,
        ["r"] * 4,
        ["r", "r", "g", "g"],
        ["r", "r", "g", "g"],
    ]
    reasoning = [name for names in found for name in names if name[0] == "r"]
    for epoch in range(4):
        assert len(set(reasoning[3 * epoch : 3 * epoch + 3])) == 3  # no prompt twice in a pass
    general = [name for names in found for name in names if name[0] == "g"]
    assert len(set(general)) == 4
    assert draws(general_stage(), set()) == found


def test_a_group_without_spread_is_replaced_by_one_of_its_sort() -> None:
    found = draws(general_stage(refill_rounds=1), {"r0", "g0", "g1", "g2"})
    for names in found[2:]:
        kept, dropped = names[:4], names[4:]
        assert [name[0] for name in kept] == ["r", "r", "g", "g"]
        assert set(dropped) <= {"r0", "g0", "g1", "g2"}
    assert any(name[0] == "g" for names in found[2:] for name in names[4:])
