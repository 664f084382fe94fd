"""Rows for reward models are read, checked, and parted by question."""

import json

import pytest

from dunwu.config.reward_model import PreferenceRows
from dunwu.data.preferences import load_preferences
from dunwu.errors import DataError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def pairs(num, per_question=1):
    return [
        {"question": f"q{i // per_question}", "chosen": f"good {i}", "rejected": f"bad {i}"}
        for i in range(num)
    ]


def labels(num):
    return [{"question": f"q{i}", "response": f"r{i}", "safe": i % 2 == 0} for i in range(num)]


def test_pairs_of_one_question_stay_together(tmp_path):
    data = PreferenceRows(train=write(tmp_path / "p.jsonl", pairs(30, per_question=3)), num_held_out=4)
    sets = load_preferences(data, "pairwise")
    assert len(sets.train) + len(sets.held_out) == 30
    assert len(sets.held_out) == 6  # two questions of three rows, for four rows cut the second
    assert not {row.question for row in sets.train} & {row.question for row in sets.held_out}
    row = sets.train[0]
    assert (row.where, row.question, row.responses, row.safe) == (
        "p.jsonl line 1",
        "q0",
        ("good 0", "bad 0"),
        None,
    )


def test_the_held_out_questions_do_not_depend_on_the_order_of_rows(tmp_path):
    found = []
    for name, rows in (("a.jsonl", pairs(20)), ("b.jsonl", pairs(20)[::-1])):
        data = PreferenceRows(train=write(tmp_path / name, rows), num_held_out=5)
        found.append({row.question for row in load_preferences(data, "pairwise").held_out})
    assert found[0] == found[1]
    assert len(found[0]) == 5


def test_labels_are_read_under_names_of_ones_own(tmp_path):
    rows = [{"prompt": row["question"], "text": row["response"], "ok": row["safe"]} for row in labels(6)]
    data = PreferenceRows(
        train=write(tmp_path / "l.jsonl", rows),
        num_held_out=1,
        question_column="prompt",
        response_column="text",
        safe_column="ok",
    )
    sets = load_preferences(data, "pointwise")
    assert {row.safe for row in sets.train} == {True, False}
    assert all(len(row.responses) == 1 for row in sets.train)


def test_a_held_out_file_is_taken_as_it_is(tmp_path):
    train, other = pairs(4), [{"question": "x", "chosen": "a", "rejected": "b"}]
    data = PreferenceRows(
        train=write(tmp_path / "t.jsonl", train), held_out=write(tmp_path / "h.jsonl", other)
    )
    sets = load_preferences(data, "pairwise")
    assert (len(sets.train), len(sets.held_out)) == (4, 1)
    write(tmp_path / "h.jsonl", [{**other[0], "question": " Q2"}])
    with pytest.raises(DataError, match="the questions of 1 of 1 held-out rows are in the training data too"):
        load_preferences(data, "pairwise")


@pytest.mark.parametrize(
    ("loss", "rows", "said"),
    [
        (
            "pairwise",
            [{"question": "q", "chosen": "a", "rejected": "a"}],
            "line 1: chosen and rejected are the same",
        ),
        (
            "pairwise",
            [{"question": "q", "chosen": "a", "rejected": " "}],
            "'rejected' holds ' '; it must be text",
        ),
        (
            "pairwise",
            [{"question": 5, "chosen": "a", "rejected": "b"}],
            "'question' holds 5; it must be text",
        ),
        ("pairwise", labels(1), "has no column 'chosen'"),
        ("pairwise", pairs(3), "3 rows with 3 different questions are too few to hold out 512"),
        (
            "pointwise",
            [{"question": "q", "response": "r" * 80, "safe": "yes"}],
            "'safe' holds 'yes'; it must be true",
        ),
        ("pointwise", [{"question": "q", "response": ["r" * 80], "safe": True}], r"r\.\.\.; it must be text"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_told(tmp_path, loss, rows, said):
    with pytest.raises(DataError, match=said):
        load_preferences(PreferenceRows(train=write(tmp_path / "x.jsonl", rows)), loss)


@pytest.mark.parametrize(("safe", "only"), [(True, "safe"), (False, "unsafe")])
def test_labels_must_differ(tmp_path, safe, only):
    rows = [{**row, "safe": safe} for row in labels(6)]
    with pytest.raises(DataError, match=f"all 5 training rows are {only}"):
        load_preferences(PreferenceRows(train=write(tmp_path / "x.jsonl", rows), num_held_out=1), "pointwise")
