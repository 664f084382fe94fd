"""The stage table from hand-made samples: each row's scores by problem, what is left out, and what is written of it."""

from typing import Any

import pytest

from dunwu.evaluation.comparison import measured_column, table_rows, with_parts
from dunwu.functional.comparison_text import cell_texts, check_text, markdown, notes
from dunwu.records import Completion, Problem, Prompt, Reward, RewardPart, Rollout, RolloutGroup

OK = {"format": 1.0, "readability": 1.0, "language": None}


def rollout(index: int, right: bool | None, answer: str, length: int, **parts: float | None) -> Rollout:
    named = {"accuracy": None if right is None else float(right), **OK, **parts}
    reward = Reward(
        None,
        {
            name: RewardPart(value, "ok" if value is not None else "not_applicable")
            for name, value in named.items()
        },
        answer,
    )
    finish = "length" if length >= 9 else "stop"
    return Rollout(index, Completion((1,) * length, (0.0,) * length, finish), "", reward)


def group(kind: str, *rollouts: Rollout) -> RolloutGroup:
    problem = Problem(f"{kind}:1", kind, "q", "1", "numeric")
    return RolloutGroup(Prompt(problem, "q", (1,)), rollouts, (None,) * len(rollouts))


def general(part: str, *values: float) -> RolloutGroup:
    return group("manners", *(rollout(i, None, "", 3, **{part: value}) for i, value in enumerate(values)))


GROUPS = [
    group("sum", rollout(0, True, "1", 4), rollout(1, True, "1", 6), rollout(2, False, "2", 8)),
    group(
        "sum", rollout(0, False, "2", 2), rollout(1, False, "2", 2), rollout(2, True, "1", 2, readability=0.0)
    ),
    group(
        "operators", rollout(0, None, "", 9), rollout(1, True, "1", 9), rollout(2, True, "1", 9, language=0.5)
    ),
]


def test_each_row_has_a_score_of_each_problem() -> None:
    scores = measured_column(
        "R1", "r1", GROUPS, [general("helpfulness", 1.0, 0.5), general("harmlessness", 0.0)]
    ).scores
    assert scores["accuracy"] == pytest.approx({"0": 2 / 3, "1": 1 / 3, "2": 1.0})
    assert scores["accuracy.sum"] == pytest.approx({"0": 2 / 3, "1": 1 / 3})
    assert scores["accuracy.operators"] == {"2": 1.0}
    assert scores["majority"] == {"0": 1.0, "1": 0.0}  # one sample of the third could not be graded
    assert scores["readability"] == pytest.approx({"0": 1.0, "1": 2 / 3, "2": 1.0})
    assert scores["language"] == {"2": 0.5}
    assert scores["length"] == {"0": 6.0, "1": 2.0, "2": 9.0}
    assert scores["cut"] == {"0": 0.0, "1": 0.0, "2": 1.0}
    assert scores["helpfulness"] == {"0": 0.75}
    assert scores["harmlessness"] == {"1": 0.0}


def rows_of(*columns: Any, num_samples: int = 3) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in table_rows(columns, num_samples)}


def test_the_table_has_an_interval_for_each_figure_and_none_where_nothing_was_measured() -> None:
    full = measured_column("R1", "r1", GROUPS, [general("helpfulness", 1.0)])
    bare = measured_column("base", "base", GROUPS[:2])
    rows = rows_of(full, bare)
    assert list(rows) == [
        "accuracy",
        "accuracy.operators",
        "accuracy.sum",
        "majority",
        "format",
        "readability",
        "language",
        "helpfulness",
        "length",
        "cut",
    ]
    accuracy, other = rows["accuracy"]["cells"]
    assert accuracy["value"] == pytest.approx(2 / 3)
    assert other["value"] == pytest.approx(0.5)
    assert 0 <= accuracy["low"] < accuracy["value"] < accuracy["high"] <= 1
    assert accuracy["num_problems"] == 3
    assert rows["accuracy.operators"]["cells"][1] is None
    assert rows["helpfulness"]["cells"][1] is None
    assert rows["majority"]["name"] == "majority vote (cons@3)"
    length = rows["length"]
    assert length["unit"] == "tokens"
    assert length["cells"][0]["low"] < 17 / 3 < length["cells"][0]["high"]


def test_one_sample_has_no_majority_and_one_kind_no_row_of_its_own() -> None:
    single = [group("sum", rollout(0, True, "1", 4)), group("sum", rollout(0, False, "2", 4))]
    assert set(rows_of(measured_column("a", None, single), num_samples=1)) == {
        "accuracy",
        "format",
        "readability",
        "length",
        "cut",
    }


def test_a_part_is_added_and_the_total_stays() -> None:
    (found,) = with_parts(GROUPS[:1], "new", lambda _, r: RewardPart(float(r.sample_index)))
    assert [r.reward.parts["new"].value for r in found.rollouts] == [0.0, 1.0, 2.0]
    assert [r.reward.total for r in found.rollouts] == [r.reward.total for r in GROUPS[0].rollouts]
    assert "new" not in GROUPS[0].rollouts[0].reward.parts


RECORD: dict[str, Any] = {
    "name": "comparison",
    "columns": [
        {
            "label": "a|b",
            "model": "base",
            "template": "r1_zero",
            "output_form": "think_answer",
            "answer_from": ["answer_tag"],
            "why": "as in stage r1_zero",
        }
    ],
    "rows": [
        {
            "key": "accuracy",
            "name": "right answers (pass@1)",
            "unit": "share",
            "cells": [{"value": 0.5, "low": 0.4, "high": 0.6, "num_problems": 9}],
        },
        {"key": "language", "name": "language consistency", "unit": "share", "cells": [None]},
    ],
    "findings": [
        {
            "key": "k",
            "claim": "one is far above another",
            "verdict": "undecided",
            "checks": [
                {
                    "first": "one",
                    "second": "another",
                    "rows": ["accuracy"],
                    "margin": 0.1,
                    "difference": 0.12,
                    "low": 0.05,
                    "high": 0.2,
                    "num_problems": 9,
                    "verdict": "undecided",
                }
            ],
        }
    ],
    "num_problems": 9,
    "samples_per_problem": 4,
    "num_general": 0,
    "samples_per_general": 1,
    "sampling": {"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 224},
    "judged_by": None,
}


def test_markdown_holds_figures_intervals_and_findings() -> None:
    lines = markdown(RECORD).splitlines()
    assert lines[0] == "# comparison: 9 held-out problems with 4 completions each"
    assert "|  | a\\|b |" in lines
    assert "| right answers (pass@1), % | 50.0 (40.0 to 60.0) |" in lines
    assert "| language consistency, % | - |" in lines
    assert (
        "| one is far above another | **undecided** | accuracy: one - another = +12.0 points [+5.0, +20.0], more than +10 "
        "asked for |" in lines
    )


def test_notes_say_how_each_model_was_asked() -> None:
    told = list(notes({**RECORD, "judged_by": "the world"}))
    assert told[0].startswith("Sampled at temperature 0.6, top-p 0.95, at most 224 tokens;")
    assert (
        told[1]
        == "a|b (base): template r1_zero, form think_answer, answers from answer_tag; as in stage r1_zero."
    )
    assert told[2] == "Helpfulness and harmlessness: the world."


def test_what_was_not_measured_is_written_as_such() -> None:
    assert cell_texts("share", None) == ("-", "")
    assert cell_texts("tokens", {"value": 12.34, "low": 10, "high": 14.6}) == ("12.3", "10.0 to 14.6")
    check = {"first": "a", "second": "b", "rows": ["language"], "margin": 0.0, "difference": None}
    assert check_text(check) == "language: a - b: not measured"
