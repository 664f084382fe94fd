"""Responses judged by all instructions of their prompt."""

from typing import Any

import pytest

from dunwu.config.output_form import ThinkForm
from dunwu.config.reward import AccuracyReward
from dunwu.records import Problem
from dunwu.rewards.grading import Grader
from dunwu.rewards.instructions import MAX_RESPONSE_CHARS, instructions_fault, judge_instructions

IDS = ["punctuation:no_comma", "keywords:existence", "startend:quotation"]
ARGUMENTS: list[Any] = [{}, {"keywords": ["moon"], "frequency": None}, None]


def make(ids: Any = IDS, kwargs: Any = ARGUMENTS, **more: Any) -> Problem:
    metadata = {"instruction_id_list": ids, "kwargs": kwargs, **more}
    return Problem("p", "k", "Write.", "", "instructions", metadata=metadata)


def test_all_or_a_fraction() -> None:
    for score, value in (("all", 0.0), ("fraction", 2 / 3)):
        part = judge_instructions('"The sun"', make(score=score))
        assert part.value == pytest.approx(value)
        assert part.detail == "does not follow keywords:existence"
        assert judge_instructions('"The moon"', make(score=score)).value == 1.0
    assert judge_instructions("The sun, the sea", make(score="fraction")).value == 0.0


def test_loose_reads_without_first_and_last_line_and_asterisks() -> None:
    response = 'Sure, here it is:\n**"The moon"**\nI hope, this helps.'
    assert judge_instructions(response, make(mode="strict")).value == 0.0
    assert judge_instructions(response, make(mode="loose")).value == 1.0
    assert (
        judge_instructions('*"The sun"*', make(mode="loose")).detail == "does not follow keywords:existence"
    )


def test_empty_and_endless_responses_follow_nothing() -> None:
    problem = make(["punctuation:no_comma"], [{}])
    for response in (None, "", " \n", "<answer> </answer>"):
        assert judge_instructions(response, problem).value == 0.0
    assert "more than" in judge_instructions("a" * (MAX_RESPONSE_CHARS + 1), problem).detail


def test_the_response_is_what_the_answer_tag_holds_else_all_after_thinking() -> None:
    problem = make(["punctuation:no_comma"], [{}])
    with Grader([AccuracyReward()], num_workers=1) as grader:
        assert grader.grade(problem, "<think>a, b</think><answer>no comma</answer>").total == 1.0
        assert grader.grade(problem, "<think>a</think><answer>one, two</answer>").total == 0.0
        assert grader.grade(problem, "<think>a, b").total == 0.0
    with Grader([AccuracyReward()], output_form=ThinkForm(opened_by_prompt=False), num_workers=1) as grader:
        assert grader.grade(problem, "<think>a, b</think>no comma").total == 1.0
        assert grader.grade(problem, "<think>a</think>one, two").total == 0.0
        bad = grader.grade(make(["no:such"], [{}]), "<think>a</think>b")
        assert (bad.total, bad.parts["accuracy"].status) == (None, "not_gradable")


def test_counts_that_a_table_turned_into_floats_are_counts() -> None:
    problem = make(["detectable_format:number_bullet_lists"], [{"num_bullets": 2.0}])
    assert instructions_fault(problem) is None
    assert judge_instructions("* a\n* b", problem).value == 1.0


@pytest.mark.parametrize(
    ("problem", "fault"),
    [
        (make(), None),
        (make(["punctuation:no_comma"], []), None),
        (make([], []), "instruction_id_list is []"),
        (make("punctuation:no_comma", [{}]), "must be a list of instruction ids"),
        (make(IDS, [{}]), "one object for each of the 3"),
        (make(IDS, [1, 2, 3]), "no object"),
        (make(IDS, [{}, {}, {}]), "keywords = None"),
        (make(["a:b"], [{}]), "no instruction is called 'a:b'"),
        (make(["detectable_format:number_bullet_lists"], [{"num_bullets": 2.5}]), "must be a count"),
        (make(mode="lenient"), "mode is 'lenient'; it must be strict or loose"),
        (make(score="sum"), "score is 'sum'; it must be all or fraction"),
    ],
)
def test_faults(problem: Problem, fault: str | None) -> None:
    found = instructions_fault(problem)
    assert found is None if fault is None else fault in str(found)
