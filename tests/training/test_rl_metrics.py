"""Metrics of a mini-batch, and the explanation of zeros."""

from typing import Any

import pytest

from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.training.rl_metrics import completion_metrics, explain_zero, rollout_counts
from dunwu.training.sequences import train_sequences


def rollout(i: int, *, length: int, right: bool | None, finish: Any = "stop", text: str = "") -> Rollout:
    value = None if right is None else float(right)
    status: Any = "ok" if right is not None else "error"
    parts = {"accuracy": RewardPart(value, status), "format": RewardPart(1.0)}
    total = None if value is None else value + 1.0
    return Rollout(i, Completion((1,) * length, (-1.0,) * length, finish), text, Reward(total, parts))


PROMPT = Prompt(Problem("p", "sum", "q", "1", "numeric"), "q", (1,))


def test_figures_of_a_minibatch() -> None:
    spread = RolloutGroup(
        PROMPT,
        (
            rollout(0, length=4, right=True, text="wait, 3"),
            rollout(1, length=8, right=False, finish="length"),
        ),
        (1.0, -1.0),
    )
    flat = RolloutGroup(
        PROMPT, (rollout(0, length=2, right=True), rollout(1, length=2, right=True)), (0.0, 0.0)
    )
    groups = [spread, flat]
    metrics = completion_metrics(groups, train_sequences(groups))
    assert metrics["reward"] == pytest.approx((2 + 1 + 2 + 2) / 4)
    assert metrics["accuracy"] == metrics["reward_accuracy"] == 0.75
    assert metrics["format"] == 1.0
    assert metrics["length_mean"] == 4.0
    assert metrics["length_mean_right"] == pytest.approx(8 / 3)
    assert metrics["length_mean_wrong"] == 8.0
    assert metrics["length_max"] == 8
    assert metrics["truncated_frac"] == 0.25
    assert metrics["self_check_frac"] == 0.25
    assert metrics["zero_spread_frac"] == 0.5


def test_spread_is_that_of_the_group_not_of_its_part_in_the_minibatch() -> None:
    group = RolloutGroup(
        PROMPT, (rollout(0, length=1, right=True), rollout(1, length=1, right=False)), (1.0, -1.0)
    )
    metrics = completion_metrics([group], train_sequences([group])[:1])
    assert metrics["zero_spread_frac"] == 0.0


def test_ungraded_rollouts_are_counted_not_averaged() -> None:
    group = RolloutGroup(
        PROMPT, (rollout(0, length=1, right=None), rollout(1, length=1, right=True)), (None, None)
    )
    assert rollout_counts([group], [group])["ungraded"] == 1
    assert rollout_counts([group], [group])["grader_errors"] == 1
    assert rollout_counts([group], [group])["refilled_groups"] == 1
    assert rollout_counts([group], [])["reward_accuracy_error"] == 1
    assert completion_metrics([group], [])["reward"] is None


def test_each_part_has_its_mean_where_it_applies_and_the_count_of_each_status() -> None:
    def graded(i: int, part: RewardPart, advantage_total: float | None) -> Rollout:
        reward = Reward(advantage_total, {"style": part, "accuracy": RewardPart(1.0)})
        return Rollout(i, Completion((1,), (-1.0,), "stop"), "", reward)

    parts = [
        RewardPart(0.5),
        RewardPart(0.25),
        RewardPart(None, "not_applicable"),
        RewardPart(None, "not_gradable"),
        RewardPart(None, "error", "x"),
    ]
    totals = [1.5, 1.25, 1.0, None, None]
    rollouts = tuple(graded(i, *pair) for i, pair in enumerate(zip(parts, totals, strict=True)))
    group = RolloutGroup(PROMPT, rollouts, (1.0, 0.0, -1.0, None, None))
    metrics = completion_metrics([group], train_sequences([group]))
    assert (metrics["reward_style"], metrics["reward_accuracy"]) == (0.375, 1.0)
    counts = rollout_counts([group], [])
    of_style = {status: counts[f"reward_style_{status}"] for status in ("ok", "not_applicable")}
    assert of_style == {"ok": 2, "not_applicable": 1}
    assert (counts["reward_style_not_gradable"], counts["reward_style_error"]) == (1, 1)
    assert (counts["reward_accuracy_ok"], counts["reward_accuracy_error"]) == (5, 0)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"truncated_frac": 1.0, "zero_spread_frac": 1.0}, "max_new_tokens"),
        ({"truncated_frac": 0.2, "zero_spread_frac": 1.0, "accuracy": 0.0}, "all are wrong"),
        ({"truncated_frac": 0.0, "zero_spread_frac": 1.0, "accuracy": 1.0}, "all are right"),
        (
            {"truncated_frac": 0.0, "zero_spread_frac": 0.5, "policy_loss": 1e-9, "grad_norm": 0.7},
            "by construction",
        ),
    ],
)
def test_every_zero_has_its_own_explanation(metrics: dict[str, float], expected: str) -> None:
    note = explain_zero(metrics)
    assert note is not None
    assert expected in note.text


def test_no_zero_no_explanation() -> None:
    healthy = {"truncated_frac": 0.1, "zero_spread_frac": 0.5, "policy_loss": 0.01, "grad_norm": 0.7}
    assert explain_zero(healthy) is None
