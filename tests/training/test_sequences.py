"""From groups to mini-batches: exclusion, random but repeatable cuts, groups kept whole where asked."""

import pytest

from dunwu.records import Completion, Problem, Prompt, Reward, Rollout, RolloutGroup
from dunwu.training.sequences import split_into_minibatches, train_sequences


def group(number: int, advantages: tuple[float | None, ...]) -> RolloutGroup:
    prompt = Prompt(Problem(f"p{number}", "sum", "q", "1", "numeric"), "q", (1, number))
    rollouts = tuple(
        Rollout(i, Completion((5, 6 + i), (-0.5, -1.0), "stop"), "t", Reward(1.0, {}))
        for i in range(len(advantages))
    )
    return RolloutGroup(prompt, rollouts, advantages)


def test_excluded_rollouts_are_left_out_and_zero_advantages_are_not() -> None:
    sequences = train_sequences([group(0, (1.0, None, -1.0)), group(1, (0.0, 0.0))])
    assert [(s.group, s.rollout, s.advantage) for s in sequences] == [
        (0, 0, 1.0),
        (0, 2, -1.0),
        (1, 0, 0.0),
        (1, 1, 0.0),
    ]
    assert sequences[1].completion_ids == (5, 8)
    assert sequences[2].prompt_ids == (1, 1)


@pytest.mark.parametrize("by", ["completion", "prompt"])
def test_a_split_loses_nothing_and_is_even(by: str) -> None:
    sequences = train_sequences([group(g, (1.0, -1.0, 0.5, -0.5)) for g in range(8)])
    parts = split_into_minibatches(sequences, 4, by=by, seed=3)
    assert [len(part) for part in parts] == [8, 8, 8, 8]
    assert sorted((s.group, s.rollout) for part in parts for s in part) == [
        (g, i) for g in range(8) for i in range(4)
    ]


def test_by_prompt_keeps_groups_whole_and_by_completion_does_not() -> None:
    sequences = train_sequences([group(g, (1.0, -1.0, 0.5, -0.5)) for g in range(8)])
    for part in split_into_minibatches(sequences, 4, by="prompt", seed=3):
        assert all(sum(s.group == g for s in part) == 4 for g in {s.group for s in part})
    mixed = split_into_minibatches(sequences, 4, by="completion", seed=3)
    assert any(sum(s.group == g for s in part) < 4 for part in mixed for g in {s.group for s in part})


def test_the_seed_decides_the_split() -> None:
    sequences = train_sequences([group(g, (1.0, -1.0)) for g in range(8)])
    first = split_into_minibatches(sequences, 2, by="completion", seed=3)
    assert first == split_into_minibatches(sequences, 2, by="completion", seed=3)
    assert first != split_into_minibatches(sequences, 2, by="completion", seed=4)


def test_nothing_to_train_gives_empty_minibatches() -> None:
    assert split_into_minibatches([], 2, by="prompt", seed=1) == [[], []]
