from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from dunwu.cli.rollout_view import Only, group_panel, matches
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup


def drawn(console, group, members=(0,), **options):
    console.print(group_panel(group, list(members), **{"max_characters": None, "dropped": False, **options}))
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("only", "kept"), [(None, [0, 1, 2]), (Only.RIGHT, [0]), (Only.WRONG, [1]), (Only.TRUNCATED, [2])]
)
def test_rollouts_are_chosen_by_their_sort(make_group, only, kept):
    group = make_group(1, True, False, None)
    assert [i for i, rollout in enumerate(group.rollouts) if matches(rollout, only)] == kept


def test_a_group_shows_problem_rewards_parts_and_advantages(console, make_group):
    text = drawn(console, make_group(1, True, False, None), members=(0, 1, 2))
    assert "p1 (sum, en)" in text
    assert "What is 1 + 1 [red]?" in text
    assert "reference: 2" in text
    assert "1 of 3 right, rewards 0 to 1, mean 0.5, 1 without reward" in text
    assert "#0 right  reward 1  advantage +0.500  accuracy 1  20 tokens  answer 7" in text
    assert "#1 wrong  reward 0  advantage -0.500  accuracy 0  20 tokens" in text
    assert (
        "#2 not graded  reward none  advantage none  accuracy not gradable (no number)  20 tokens, cut at the limit"
        in text
    )


def test_only_the_chosen_members_are_drawn(console, make_group):
    text = drawn(console, make_group(1, True, False), members=(1,))
    assert "#0 right" not in text
    assert "#1 wrong" in text


def test_markup_in_a_completion_is_only_text(console, make_group):
    assert "[/red][link=x]boo" in drawn(console, make_group(1, True, text="[/red][link=x]boo"))


def test_a_dropped_group_says_so(console, make_group):
    assert "replaced before training" in drawn(console, make_group(1, False, False), dropped=True)


def test_a_group_without_any_reward(console, make_group):
    assert "0 of 1 right, 1 without reward" in drawn(console, make_group(1, None))


def test_long_completions_are_cut_in_the_middle(console, make_group):
    text = drawn(console, make_group(1, True, text="a" * 200 + "b" * 200), max_characters=90)
    assert "characters left out; --full shows them" in text
    assert text.count("a" * 60) == 1
    assert "b" * 27 + " #0" in text
    assert "left out" not in drawn(Console(file=StringIO()), make_group(1, True, text="a"), max_characters=90)


def test_a_general_prompt_has_no_reference_and_is_neither_right_nor_wrong(console):
    problem = Problem("g", "advice", "How do I wash my car?", "", "preference")
    parts = {
        "accuracy": RewardPart(None, "not_applicable", "no rule grades this prompt"),
        "preference": RewardPart(0.75, detail="score 1.2"),
    }
    rollout = Rollout(0, Completion((1,), (-1.0,), "stop"), "With water.", Reward(0.75, parts))
    text = drawn(console, RolloutGroup(Prompt(problem, "Q:", (1,)), (rollout,), (0.5,)))
    assert "reference:" not in text
    assert "no rule grades it, rewards 0.75 to 0.75" in text
    assert "#0 general prompt  reward 0.75" in text
    assert "0.75 (score 1.2)" in text
    assert not matches(rollout, Only.RIGHT)
    assert not matches(rollout, Only.WRONG)


def test_rollouts_that_reflect_and_that_corrected_themselves(make_group):
    group = make_group(1, True, False, True)
    texts = ["<think> 7+8=16. Wait, 7+8=15. </think> 15", "<think> 7+8=16. Wait, 7+8=15. </think> 15", "15"]
    rollouts = [replace(r, text=text) for r, text in zip(group.rollouts, texts, strict=True)]
    assert [matches(r, Only.REFLECTING) for r in rollouts] == [True, True, False]
    assert [matches(r, Only.CORRECTED) for r in rollouts] == [True, False, False]  # the second one is wrong
