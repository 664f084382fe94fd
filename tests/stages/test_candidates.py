"""Candidates: what is cut out of a completion, what is dropped and why, and how the cap saves work."""

from dataclasses import replace

from dunwu.config.cold_start import ColdStartStage
from dunwu.config.rejection_sampling import RejectionSamplingStage
from dunwu.config.task import WorldTask
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup
from dunwu.stages.candidates import (
    Candidate,
    candidates_of,
    capped,
    drop_repeated,
    drop_unreadable,
    drop_wrong,
    normalised,
)

PROBLEM = Problem("p", "sum", "What is 1+2?", "3", "numeric", "en")
COLD = ColdStartStage(task=WorldTask())
REJECTION = RejectionSamplingStage(task=WorldTask())


def sampled(text, value=1.0, *, reason="stop", config=COLD):
    status = "ok" if value is not None else "error"
    rollout = Rollout(
        4, Completion((1,), (0.0,), reason), text, Reward(value, {"accuracy": RewardPart(value, status)})
    )
    (found,) = candidates_of([RolloutGroup(Prompt(PROBLEM, "", (1,)), (rollout,), (None,))], config)
    return found


def candidate(sample=0, thinking="I add.", content="3", *, problem=PROBLEM, correct=True):
    return Candidate(problem, sample, thinking, content, content, correct)


def reasons(candidates):
    return [candidate.dropped for candidate in candidates]


def test_marks_are_cut_off_and_the_answer_is_found():
    found = sampled(" <think> I add. </think> <answer> 3 </answer>")
    assert (found.thinking, found.content, found.answer) == ("I add.", "3", "3")
    assert (found.sample, found.correct, found.dropped) == (4, True, None)
    found = sampled("<think>\nI add.\n</think>\n\nIt is \\boxed{3}.", config=REJECTION)
    assert (found.thinking, found.content, found.answer) == ("I add.", "It is \\boxed{3}.", "3")


def test_without_marks_a_cold_start_takes_all_for_thinking_and_other_data_for_an_answer():
    text = "1+2=3. The answer is 3."
    plain = {"output_form": {"kind": "plain"}, "accuracy": {"answer_from": "text"}}
    for config, thinking in [
        (ColdStartStage(task=WorldTask(), **plain), text),
        (RejectionSamplingStage(task=WorldTask(), **plain), ""),
    ]:
        found = sampled(text, config=config)
        assert (found.thinking, found.content) == (thinking, text)
        assert found.answer.endswith("3.") or found.answer == "3"


def test_unfinished_completions_go_no_further():
    assert sampled("<think> I add </think> <answer>3", reason="length").dropped == "cut"
    assert sampled("<think> I add").dropped == "thinking_not_closed"
    assert sampled("<think> I add. </think> 3").content == ""  # the form asks for <answer>


def test_wrong_and_ungraded_are_dropped_but_for_problems_that_a_judge_decides_on():
    right, wrong, unknown = candidate(), candidate(correct=False), candidate(correct=None)
    assert reasons(drop_wrong([right, wrong, unknown])) == [None, "incorrect", "ungraded"]
    assert reasons(drop_wrong([wrong, unknown], frozenset({"numeric"}))) == [None, None]
    assert reasons(drop_wrong([wrong], frozenset({"text"}))) == ["incorrect"]


def test_unreadable_is_dropped_and_the_first_reason_stays():
    code = "I add.\n```\n1+2\n```"
    assert reasons(drop_unreadable([candidate(thinking=code)], COLD)) == [None]
    assert reasons(drop_unreadable([candidate(thinking=code)], REJECTION)) == ["code_block"]
    long = "I add one to two, and look at it once more. " * 60
    found = drop_unreadable([candidate(thinking=long)], REJECTION)
    assert reasons(found) == ["long_paragraph"]
    already = candidate(thinking=code).without("incorrect")
    assert reasons(drop_unreadable([already], REJECTION)) == ["incorrect"]


def test_the_same_text_for_one_problem_is_kept_once():
    other = replace(PROBLEM, id="q")
    given = [
        candidate(0),
        candidate(1),
        candidate(2, "i ADD"),
        candidate(3, "I add!  "),
        candidate(4, "I subtract."),
        candidate(5, problem=other),
        candidate(6).without("incorrect"),
    ]
    expected = [None, "duplicate", "near_duplicate", "near_duplicate", None, None, "incorrect"]
    assert reasons(drop_repeated(given)) == expected


def test_signs_that_carry_meaning_survive_normalising():
    assert normalised("1 + 2 = 3.") == normalised("１+2=3")
    assert normalised("1+2") != normalised("1×2")
    assert normalised("a<b") != normalised("a>b")
    assert normalised("5-3") != normalised("53")
    assert normalised("2*3") != normalised("23")
    assert normalised("1.5") != normalised("15")


def test_the_cap_settles_no_more_than_it_needs_and_goes_on_where_one_fails():
    other = replace(PROBLEM, id="q")
    given = [candidate(i) for i in range(5)] + [
        candidate(5, problem=other),
        candidate(6).without("incorrect"),
    ]
    seen = []

    def settle(candidates):
        seen.append([c.sample for c in candidates])
        return [c.without("spoilt") if c.sample in (0, 5) else c for c in candidates]

    found = capped(given, 2, settle)
    assert seen == [[0, 1, 5], [2]]
    assert reasons(found) == ["spoilt", None, None, "over_cap", "over_cap", "spoilt", "incorrect"]
