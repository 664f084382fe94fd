"""Which pairs are judged, what becomes of them, and how lengths are balanced, by hand."""

import pytest

from dunwu.config.output_form import PlainForm, ThinkForm
from dunwu.records import Completion, Problem, Reward, Rollout
from dunwu.stages.preference_judges import Judged, Verdict
from dunwu.stages.preference_pairs import (
    Responses,
    drawn_pairs,
    dropped_rows,
    label_row,
    labelled,
    pair_row,
    preference,
    queries_of,
    responses_of,
    unbalancing,
)

HELPFUL = Problem("p1", "facts", "Which?", "", "preference", metadata={"set": "helpful"})
SAFETY = Problem("p2", "harmful", "How?", "", "preference", metadata={"set": "safety"})


def rollout(text, sample=0, finish="stop"):
    return Rollout(sample, Completion((1,), (0.0,), finish), text, Reward(None, {}))


def test_helpfulness_is_judged_on_the_summary_and_needs_one():
    rollouts = [
        ("a", rollout("<think>x</think> yes ", 0)),
        ("a", rollout("<think>x", 1)),
        ("b", rollout("<think>x</think>", 0)),
        ("b", rollout("<think>x</think>cut", 1, "length")),
    ]
    found = responses_of(HELPFUL, rollouts, ThinkForm(opened_by_prompt=False))
    assert found.usable == (Judged("a", 0, "yes"),)
    assert found.dropped == (
        ("a", 1, "without_summary"),
        ("b", 0, "without_summary"),
        ("b", 1, "response_cut"),
    )
    assert [row["dropped"] for row in dropped_rows(found, 0)] == [
        "without_summary",
        "without_summary",
        "response_cut",
        "no_pair",
    ]
    assert [row["row"] for row in dropped_rows(found, 1)] == ["response"] * 3


def test_harmlessness_is_judged_on_the_whole_response_also_of_one_that_was_cut():
    rollouts = [
        ("a", rollout("<think>x</think>no", 0)),
        ("a", rollout("<think>x", 1, "length")),
        ("a", rollout(" ", 2)),
    ]
    found = responses_of(SAFETY, rollouts, ThinkForm(opened_by_prompt=False))
    assert [judged.text for judged in found.usable] == ["<think>x</think>no", "<think>x"]
    assert found.dropped == (("a", 2, "empty_response"),)
    assert [row["dropped"] for row in dropped_rows(found, 0)] == ["empty_response"]


def made(num):
    return Responses(HELPFUL, tuple(Judged("m", i, f"text {i}") for i in range(num)), ())


def test_pairs_are_drawn_from_all_that_differ():
    everything = drawn_pairs(made(5), 100, 1, "s")
    assert len(everything) == 10
    assert len({frozenset((a.sample, b.sample)) for a, b in everything}) == 10
    assert drawn_pairs(made(5), 3, 1, "s") == everything[:3]
    assert drawn_pairs(made(5), 3, 2, "s") != everything[:3]
    same = Responses(HELPFUL, (Judged("m", 0, "Yes."), Judged("m", 1, "yes"), Judged("m", 2, "no")), ())
    assert len(drawn_pairs(same, 9, 1, "s")) == 2
    assert drawn_pairs(made(1), 9, 1, "s") == []


def test_the_order_is_drawn_for_each_query():
    orders = []
    for pair in drawn_pairs(made(9), 100, 1, "s"):
        queries, swapped = queries_of(HELPFUL, pair, 4, 1, "s")
        assert [query.number for query in queries] == [0, 1, 2, 3]
        for query, swap in zip(queries, swapped, strict=True):
            assert (query.first, query.second) == (pair[::-1] if swap else pair)
        orders += swapped
    assert 0.35 < sum(orders) / len(orders) < 0.65
    assert queries_of(HELPFUL, pair, 4, 1, "s")[1] == swapped


PAIR = (Judged("a", 0, "good"), Judged("b", 2, "bad"))


@pytest.mark.parametrize(
    ("values", "margin", "dropped"),
    [
        ((2, 2, 1, 0), 1.25, None),
        ((-2, -2, -1, 0), -1.25, None),
        ((1, 1, 1, 1), 1.0, "margin_too_small"),  # must be above
        ((2, -2, 2, -2), 0.0, "margin_too_small"),
    ],
)
def test_verdicts_are_averaged_from_the_first_responses_view(values, margin, dropped):
    swapped = [False, True, True, False]
    shown = [Verdict(-value if swap else value) for value, swap in zip(values, swapped, strict=True)]
    row = pair_row(HELPFUL, PAIR, shown, swapped, 1.0)
    assert (row["margin"], row["dropped"]) == (margin, dropped)


def test_a_pair_with_a_verdict_that_cannot_be_read_is_dropped():
    row = pair_row(HELPFUL, PAIR, [Verdict(2), Verdict(fault="cut")], [False, False], 1.0)
    assert (row["margin"], row["dropped"], row["verdicts"]) == (None, "verdict_unreadable", ["A>>B", "cut"])


def test_rows_say_which_is_better_and_where_it_came_from():
    for values, chosen, rejected in (((2,), "good", "bad"), ((-2,), "bad", "good")):
        row = preference(pair_row(HELPFUL, PAIR, [Verdict(v) for v in values], [False], 1.0), "stage")
        assert (row["question"], row["chosen"], row["rejected"], row["margin"]) == (
            "Which?",
            chosen,
            rejected,
            2.0,
        )
        assert {row["chosen_from"]["model"], row["rejected_from"]["model"]} == {"a", "b"}
        assert row["chosen_from"] == (
            {"model": "a", "sample": 0} if chosen == "good" else {"model": "b", "sample": 2}
        )
        assert (row["problem_id"], row["problem_kind"], row["language"], row["source"]) == (
            "p1",
            "facts",
            "en",
            "stage",
        )


def test_labels_become_rows_or_are_dropped():
    judged = Judged("a", 1, "<think>no</think>no")
    row = label_row(SAFETY, judged, Verdict(0))
    assert labelled(row, "stage") | {"question": "", "source": ""} == {
        "question": "",
        "response": "<think>no</think>no",
        "safe": False,
        "source": "",
        "problem_id": "p2",
        "problem_kind": "harmful",
        "language": "en",
        "model": "a",
        "sample": 1,
    }
    assert row["verdicts"] == ["unsafe"]
    assert label_row(SAFETY, judged, Verdict(1))["safe"] is True
    lost = label_row(SAFETY, judged, Verdict(fault="unparseable"))
    assert (lost["safe"], lost["dropped"], lost["verdicts"]) == (None, "label_unreadable", ["unparseable"])


def test_the_worked_example_of_balancing():
    assert unbalancing([(9, 2), (3, 2), (2, 3)], 0.1) == {0}
    assert unbalancing([(2, 9), (3, 2), (2, 3)], 0.1) == {0}


def test_balanced_pairs_stay():
    assert unbalancing([], 0.1) == set()
    assert unbalancing([(10, 10), (5, 6)], 0.1) == set()
    assert unbalancing([(11, 10)], 0.1) == set()  # 1 is at most a tenth of 11
    assert unbalancing([(1, 2)] * 3, 1.0) == set()


def test_where_no_removal_helps_all_stay():
    assert unbalancing([(3, 1)], 0.1) == {0}  # nothing is left that could be unbalanced
    assert unbalancing([(1, 30), (2, 1)], 0.1) == {0, 1} or unbalancing([(1, 30), (2, 1)], 0.1) == {0}


def test_many_pairs_come_within_the_gap_with_few_removals():
    lengths = [(100 + 7 * (i % 13), 60 + 11 * (i % 9)) for i in range(500)]
    out = unbalancing(lengths, 0.05)
    chosen, rejected = (sum(p[side] for i, p in enumerate(lengths) if i not in out) for side in (0, 1))
    assert abs(chosen - rejected) <= 0.05 * max(chosen, rejected)
    gap = sum(a - b for a, b in lengths)
    assert 0 < len(out) < 300
    biggest = sorted((a - b for a, b in lengths), reverse=True)
    assert sum(biggest[: len(out)]) >= 0.9 * (gap - (chosen - rejected))  # the longest differences went


def test_plain_forms_judge_the_whole_text():
    (judged,) = responses_of(HELPFUL, [("a", rollout("all of it"))], PlainForm()).usable
    assert judged.text == "all of it"
