"""Every grader that a problem may name is reached, its references are checked, its votes counted."""

from dataclasses import replace
from typing import Any

import pytest

from dunwu.config.reward import AccuracyReward
from dunwu.config.task import FileTask
from dunwu.records import Problem
from dunwu.rewards.accuracy import vote_key
from dunwu.rewards.grading import Grader

COLOURS = ["red", "green", "blue", "a cat"]
CASES: list[tuple[str, str, dict[str, Any], str, str]] = [  # grader, reference, metadata, right, wrong
    ("text", "The Seine", {"references": ["la Seine"]}, "LA SEINE.", "the rhine"),
    ("exact", "Seine", {"references": ["la Seine"]}, "la Seine", "La Seine"),
    ("choice", "B", {"options": COLOURS}, "(b) Green", "A"),
    ("choice", "green", {"options": COLOURS}, "选B", "选A或B"),
    ("choice", "J", {}, "J", "I"),
    ("countdown", "", {"numbers": [3, 3, 8, 8], "target": 24}, "8/(3-8/3)", "8*3"),
    (
        *("instructions", ""),
        {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        *("no comma here", "one, two"),
    ),
]


@pytest.mark.parametrize(("name", "reference", "metadata", "right", "wrong"), CASES)
def test_each_grader_is_reached_and_its_references_are_gradable(
    grader: Grader, name: str, reference: str, metadata: dict[str, Any], right: str, wrong: str
) -> None:
    problem = Problem("p", "k", "q", reference, name, metadata=metadata)
    assert grader.check_gradable([problem]) == []
    for answer, value in ((right, 1.0), (wrong, 0.0)):
        part = grader.grade(problem, f"<think>t</think><answer>{answer}</answer>").parts["accuracy"]
        assert (part.value, part.status) == (value, "ok"), answer


@pytest.mark.parametrize(
    ("name", "reference", "metadata"),
    [
        ("text", " ", {}),
        ("exact", "Seine", {"references": "la Seine"}),
        ("choice", "E", {"options": COLOURS}),
        ("choice", "B", {"options": "red or green"}),
        ("countdown", "", {"numbers": [1, 2]}),
        ("instructions", "", {"instruction_id_list": ["no:such"], "kwargs": [{}]}),
        ("guess", "5", {}),
    ],
)
def test_bad_references_are_found_before_training_and_never_rewarded(
    grader: Grader, name: str, reference: str, metadata: dict[str, Any]
) -> None:
    problem = Problem("p", "k", "q", reference, name, metadata=metadata)
    found = grader.check_gradable([problem])
    assert [item.problem for item in found] == [problem]
    part = grader.grade(problem, f"<think>t</think><answer>{reference}</answer>").parts["accuracy"]
    assert (part.value, part.status) == (None, "not_gradable")
    assert part.detail == found[0].why


def test_no_answer_at_all_is_wrong(grader: Grader) -> None:
    for name, reference, metadata, *_ in CASES:
        problem = Problem("p", "k", "q", reference, name, metadata=metadata)
        assert grader.grade(problem, "<think>B</think>").correct is False


def test_choices_are_found_in_boxes_and_in_free_text() -> None:
    problem = Problem("p", "k", "q", "B", "choice", metadata={"options": COLOURS})
    with Grader([AccuracyReward(answer_from=("boxed", "text"))], num_workers=1) as grader:
        assert grader.grade(problem, r"<think>A</think>Not red: \boxed{\text{B}}").correct is True
        assert grader.grade(problem, "<think>A</think>It grows.\nThe answer is B.").correct is True
        assert grader.grade(problem, "<think>B</think>It grows.\nThe answer is A or B.").correct is False
        assert grader.grade(problem, "<think>B</think>The answer is B", "length").correct is False


def test_votes_for_one_option_count_together_however_it_is_named() -> None:
    problem = Problem("p", "k", "q", "B", "choice", metadata={"options": COLOURS})
    assert {vote_key(problem, answer) for answer in ("B", "(b)", "green", "B. Green", "选B")} == {"B"}
    assert vote_key(problem, "A or B") == "A or B"
    text = Problem("p", "k", "q", "Seine", "text")
    assert {vote_key(text, answer) for answer in ("The Seine", "seine.")} == {"seine"}


def test_recipes_may_name_the_graders_that_need_no_task_object() -> None:
    for name in ("math", "numeric", "exact", "text", "choice"):
        assert FileTask(train="x.jsonl", grader=name).grader == name


GENERAL = Problem("p", "advice", "How do I sleep better?", "", "preference", metadata={"set": "helpful"})


def test_no_rule_grades_a_general_prompt_and_the_other_parts_still_count(grader: Grader) -> None:
    assert grader.check_gradable([GENERAL]) == []
    for text in ("<think>t</think><answer>Go to bed early.</answer>", "Go to bed early.", ""):
        reward = grader.grade(GENERAL, text)
        part = reward.parts["accuracy"]
        assert (part.value, part.status) == (None, "not_applicable")
        assert reward.correct is None
        assert reward.total == reward.parts["format"].value


@pytest.mark.parametrize("metadata", [{}, {"set": "harmless"}])
def test_a_general_prompt_without_a_known_set_is_refused(grader: Grader, metadata: dict[str, Any]) -> None:
    problem = replace(GENERAL, metadata=metadata)
    (found,) = grader.check_gradable([problem])
    assert found.why == f"its set is {metadata.get('set')!r}; it must be one of helpful, safety"
    assert (
        grader.grade(problem, "<think>t</think><answer>x</answer>").parts["accuracy"].status == "not_gradable"
    )
