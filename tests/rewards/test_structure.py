"""Marks and steps that are counted, and look-alikes that are not."""

import pytest

from dunwu.config.output_form import (
    OutputForm,
    PlainForm,
    SpecialTokenForm,
    ThinkAnswerForm,
    ThinkForm,
)
from dunwu.config.shaping import ReasoningStepsReward
from dunwu.records import Problem
from dunwu.rewards.item import GradingItem
from dunwu.rewards.structure import reasoning_steps_part, tag_count_part

TAGS = ThinkAnswerForm()
PROBLEM = Problem("p", "k", "?", "5", "math")


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (TAGS, "<think>a</think><answer>b</answer>", 1.0),
        (TAGS, "<think>\na\n</think>\n<answer>\nb\n</answer>", 1.0),
        (TAGS, "<think>a</think>b", 0.5),
        (TAGS, "</answer>a<think>", 0.5),  # where they stand is the format reward's matter
        (TAGS, "b", 0.0),
        (TAGS, "<think><think>a</think><answer>b</answer>", 0.75),
        (TAGS, "<think>" * 50, 0.0),
        (ThinkAnswerForm(opened_by_prompt=True), "a</think><answer>b</answer>", 1.0),
        (ThinkAnswerForm(opened_by_prompt=True), "a</think>", 1 / 3),
        (ThinkForm(opened_by_prompt=False), "<think>a</think>b", 1.0),
        (ThinkForm(), "a</think>b", 1.0),
        (ThinkForm(), "a", 0.0),
        (SpecialTokenForm(), "|special_token|a|special_token|b", 1.0),
        (SpecialTokenForm(), "|special_token|a", 0.5),
        (SpecialTokenForm(), "|special_token|" * 3, 0.0),
        (SpecialTokenForm(opened_by_prompt=True), "a|special_token|b", 1.0),
        (SpecialTokenForm(opening="[R]", separator="[S]"), "[R]a", 0.5),
    ],
)
def test_share_of_marks(form: OutputForm, text: str, expected: float) -> None:
    assert tag_count_part(GradingItem(PROBLEM, text), form).value == pytest.approx(expected)


def test_marks_that_are_wrong_are_named_and_a_form_without_marks_has_none() -> None:
    part = tag_count_part(GradingItem(PROBLEM, "<think>a</think></think>"), TAGS)
    assert part.detail == "</think> 2 times, <answer> 0 times, </answer> 0 times"
    assert tag_count_part(GradingItem(PROBLEM, "b"), PlainForm()).status == "not_applicable"


@pytest.mark.parametrize(
    ("reasoning", "num_steps"),
    [
        (None, 0),
        ("", 0),
        ("we add and get seven", 0),
        ("Step 1: add\nStep 2: check", 2),
        ("**Step 1**: add\n### Step 2\nstep 3 done", 3),
        ("1. add\n2. check\n3) done", 3),
        ("add\n1. one\n2. two", 2),
        ("  1. indented\n> 2. quoted", 2),
        ("(1) add\n(2) check", 2),
        ("**1.** add\n**2.** check", 2),
        ("- add\n- check\n* done\n• and so on", 4),
        ("First, add. Secondly, check. Next, think. Finally, done.", 4),
        ("第一步：相加\n第二步：检验", 2),
        ("步骤1：相加\n步骤 2：检验", 2),
        ("1、相加\n2、检验\n3.完成", 3),
        ("首先，相加。其次，检验。然后算。最后得五。", 4),
        ("第一，相加；第二，检验。", 2),
        # what repeats counts once
        ("First, First, First, First,", 1),
        ("First, Firstly, first,", 1),
        ("Step 1: a\n1. b\n第一步：c\n第1步：d", 1),
        ("然后然后然后", 1),
        # look-alikes
        ("3.14 is pi\n2.5 is not", 0),
        ("-5 is negative\n-6 too", 0),
        ("**bold** text\n---\n***", 0),
        ("x - y\n2 - 1", 0),
        ("at first, we see", 1),
        ("thirst, unfirst, we see", 0),
        ("in 2024. we see", 0),
        ("the next one, the first one", 0),
        ("a step 1 in the middle", 0),
    ],
)
def test_steps(reasoning: str | None, num_steps: int) -> None:
    part = reasoning_steps_part(
        GradingItem(PROBLEM, "", reasoning=reasoning), ReasoningStepsReward(enough_steps=10)
    )
    assert part.value == pytest.approx(num_steps / 10), part.detail


def test_enough_is_enough_and_the_answer_has_no_steps() -> None:
    item = GradingItem(PROBLEM, "text", reasoning="1. a\n2. b", summary="3. c\n4. d\n5. e")
    assert reasoning_steps_part(item, ReasoningStepsReward()).value == pytest.approx(2 / 3)
    assert reasoning_steps_part(item, ReasoningStepsReward(enough_steps=2)).value == 1.0
    assert reasoning_steps_part(item, ReasoningStepsReward(enough_steps=1)).value == 1.0
    assert reasoning_steps_part(item, ReasoningStepsReward()).detail == "2 steps"
    nothing_thought = GradingItem(PROBLEM, "1. a\n2. b", reasoning=None, summary="1. a\n2. b")
    assert reasoning_steps_part(nothing_thought, ReasoningStepsReward()).value == 0.0


@pytest.mark.parametrize("piece", [" ", "\n ", "#", "1", "(", "-", "> ", "第", "first", "1. "])
def test_a_hundred_thousand_characters_of_anything_come_to_an_end(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    part = reasoning_steps_part(GradingItem(PROBLEM, "", reasoning=text), ReasoningStepsReward())
    assert part.value is not None
