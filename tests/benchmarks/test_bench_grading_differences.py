"""The comparison of graders: what every side is shown, how verdicts are counted, and one side's process."""

import pytest
from benchmarks.grading_differences import (
    Side,
    category_table,
    comparable,
    counts_table,
    example_table,
    shown,
)
from maths_corpus import Pair, read_pairs


def pair(
    answer: str | None, verdict: str, reference: str = "5", category: str = "c", completion: str = ""
) -> Pair:
    return Pair(1, category, reference, answer, completion, "boxed", "stop", False, verdict)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("5", r"\boxed{5}"),
        ("$5$", r"\boxed{5}"),
        ("**5**", r"\boxed{5}"),
        (r"\[5\]", r"\boxed{5}"),
        ("$4$ or $5$", "$4$ or $5$"),
        (r"\boxed{5}", r"\boxed{5}"),
        ("The answer is 5.", "The answer is 5."),
    ],
)
def test_answers_are_shown_in_a_box_unless_they_bring_their_own_words(answer: str, text: str) -> None:
    assert shown(pair(answer, "right"))["completion"] == f"<think>Let me think.</think>\n{text}"


def test_references_are_shown_between_dollar_signs() -> None:
    references = [
        (r"\frac{1}{2}", r"$\frac{1}{2}$"),
        (r"\$18", r"\$18"),
        ("3+4 #### 7", "3+4 #### 7"),
        ("", ""),
    ]
    for bare, form in references:
        assert shown(pair("5", "right", bare))["reference"] == form


def test_whole_completions_are_shown_as_they_are_where_the_answer_is_in_a_box() -> None:
    whole = pair(None, "right", completion=r"so \boxed{5}")
    assert shown(whole) == {"reference": "$5$", "completion": r"so \boxed{5}", "answer_from": ["boxed"]}
    assert comparable(whole)
    assert sum(map(comparable, read_pairs())) >= 1500


def test_verdicts_are_counted_by_kind_and_category() -> None:
    pairs = [
        pair("4", "wrong"),
        pair("5", "right"),
        pair("5", "not_gradable", "x|y", "d"),
        pair("5", "right", category="d"),
    ]
    verdicts = {"peer": ["right", "wrong", "wrong", "no verdict"], "ours": [p.verdict for p in pairs]}
    counts = [line.split(" | ")[1:] for line in counts_table(pairs, verdicts).splitlines()[2:]]
    assert [row[0] for row in counts] == ["1", "1", "1", "0", "1", "**4**"]
    assert {row[1].strip(" |*") for row in counts} == {"0"}
    assert category_table(pairs, verdicts).splitlines()[2:] == ["| c | 2 | 2 | 0 |", "| d | 2 | 2 | 0 |"]
    examples = example_table(pairs, verdicts).splitlines()[2:]
    assert examples[0] == "| `5` | `4` | wrong | **right** | wrong |"
    assert len(examples) == 4
    assert r"`x\|y`" in examples[2] + examples[3]


def test_a_side_answers_from_a_process_of_its_own() -> None:
    side = Side("dunwu", 10.0)
    try:
        assert [side.judge(pair(answer, "right")) for answer in ("5", "6")] == ["right", "wrong"]
    finally:
        side.close()


def test_a_side_that_takes_too_long_gives_no_verdict_and_goes_on() -> None:
    side = Side("math-verify", 0.5)
    try:
        assert side.judge(pair("9^{9^{9}}", "wrong", "8")) == "no verdict"
        assert side.judge(pair("5", "right")) == "right"
    finally:
        side.close()


def test_a_side_that_does_not_start_is_named() -> None:
    with pytest.raises(SystemExit, match="nobody does not start"):
        Side("nobody", 1.0).judge(pair("5", "right"))
