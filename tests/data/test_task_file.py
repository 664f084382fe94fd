"""Problems from files."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dunwu.config.task import FileTask
from dunwu.data.task_file import load_file_problems
from dunwu.errors import DataError


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return str(path)


def sums(numbers: range) -> list[dict[str, Any]]:
    return [{"question": f"What is {n} + 1?", "answer": n + 1} for n in numbers]


def test_columns_become_problems(tmp_path: Path) -> None:
    rows = [
        {"q": "What is 1/2?", "a": 0.5, "lang": "English", "topic": "halves"},
        {"q": "一加一？", "a": "2", "lang": "zh_CN", "topic": "sums"},
    ]
    task = FileTask(
        train=write(tmp_path / "t.jsonl", rows),
        num_held_out=0,
        question_column="q",
        answer_column="a",
        language_column="lang",
        kind_column="topic",
        grader="numeric",
    )
    train, held_out, num_duplicates = load_file_problems(task)
    assert [(p.question, p.reference, p.language, p.kind, p.grader) for p in train] == [
        ("What is 1/2?", "0.5", "en", "halves", "numeric"),
        ("一加一？", "2", "zh", "sums", "numeric"),
    ]
    assert train[1].metadata == {"where": "t.jsonl line 2"}
    assert len({p.id for p in train}) == 2
    assert (held_out, num_duplicates) == ([], 0)


def test_language_is_detected_without_a_column(tmp_path: Path) -> None:
    rows = [{"question": "一加一？", "answer": 2}, {"question": "What is 1 + 1?", "answer": 2}]
    train, _, _ = load_file_problems(FileTask(train=write(tmp_path / "t.jsonl", rows), num_held_out=0))
    assert [p.language for p in train] == ["zh", "en"]
    assert train[0].kind == "file"


def test_held_out_problems_depend_on_the_questions_alone(tmp_path: Path) -> None:
    task = FileTask(train=write(tmp_path / "t.jsonl", sums(range(40))), num_held_out=10)
    train, held_out, _ = load_file_problems(task)
    assert (len(train), len(held_out)) == (30, 10)
    moved = FileTask(train=write(tmp_path / "u.jsonl", sums(range(39, -1, -1))), num_held_out=10)
    _, again, _ = load_file_problems(moved)
    assert {p.id for p in again} == {p.id for p in held_out}
    assert {p.question for p in train}.isdisjoint(p.question for p in held_out)


def test_repeated_questions_are_dropped_and_counted_before_any_is_held_out(tmp_path: Path) -> None:
    rows = [*sums(range(10)), *sums(range(5)), {"question": " WHAT is 1 + 1? ", "answer": 9}]
    train, held_out, num_duplicates = load_file_problems(
        FileTask(train=write(tmp_path / "t.jsonl", rows), num_held_out=4)
    )
    assert (len(train), len(held_out), num_duplicates) == (6, 4, 6)
    assert sorted(int(p.reference) for p in train + held_out) == list(range(1, 11))


def test_held_out_from_its_own_file_and_split(tmp_path: Path) -> None:
    train_file, test_file = (
        write(tmp_path / "a.jsonl", sums(range(5))),
        write(tmp_path / "b.jsonl", sums(range(5, 8))),
    )
    train, held_out, _ = load_file_problems(FileTask(train=train_file, held_out=test_file))
    assert (len(train), len(held_out)) == (5, 3)
    (tmp_path / "set").mkdir()
    write(tmp_path / "set" / "train.jsonl", sums(range(5)))
    write(tmp_path / "set" / "test.jsonl", sums(range(5, 7)))
    train, held_out, _ = load_file_problems(FileTask(train=str(tmp_path / "set"), held_out_split="test"))
    assert (len(train), len(held_out)) == (5, 2)


def test_too_few_problems_to_hold_out(tmp_path: Path) -> None:
    task = FileTask(train=write(tmp_path / "t.jsonl", sums(range(5))), num_held_out=5)
    with pytest.raises(DataError, match=r"5 different questions, too few to hold out 5"):
        load_file_problems(task)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "  ", "answer": 1}, "line 2: column 'question' is empty"),
        ({"question": "x", "answer": None}, "line 2: column 'answer' holds None"),
        ({"question": "x", "answer": ["a"]}, r"line 2: column 'answer' holds \['a'\]"),
        ({"question": "x", "answer": float("nan")}, "line 2: column 'answer' holds nan"),
        ({"question": 5, "answer": {}}, "line 2: column 'answer' holds {}"),
    ],
)
def test_values_that_are_no_text(tmp_path: Path, row: dict[str, Any], message: str) -> None:
    task = FileTask(train=write(tmp_path / "t.jsonl", [*sums(range(1)), row]), num_held_out=0)
    with pytest.raises(DataError, match=message):
        load_file_problems(task)


def test_a_task_column_says_for_each_row_how_it_is_judged(tmp_path: Path) -> None:
    rows = [
        {"question": "1/2?", "task": {"kind": "math", "reference": 0.5}},
        {"question": "Which?", "task": {"kind": "choice", "options": ["a", "b"], "reference": "B"}},
        {
            "question": "Program!",
            "task": json.dumps({"kind": "code", "tests": [{"stdin": "", "stdout": "1"}]}),
        },
    ]
    task = FileTask(train=write(tmp_path / "t.jsonl", rows), num_held_out=0, task_column="task")
    train, _, _ = load_file_problems(task)
    assert [(p.grader, p.reference) for p in train] == [("math", "0.5"), ("choice", "B"), ("code", "")]
    assert train[1].metadata == {"options": ["a", "b"], "where": "t.jsonl line 2"}
    assert train[2].metadata["tests"] == [{"stdin": "", "stdout": "1"}]


def test_a_task_column_survives_parquet_which_fills_missing_keys_with_nothing(tmp_path: Path) -> None:
    tasks = [{"kind": "math", "reference": "5"}, {"kind": "choice", "options": ["a"], "reference": "A"}]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"question": ["One?", "Two?"], "task": tasks}), path)
    train, _, _ = load_file_problems(FileTask(train=str(path), num_held_out=0, task_column="task"))
    assert [dict(p.metadata) for p in train] == [
        {"where": "t.parquet row 1"},
        {"options": ["a"], "where": "t.parquet row 2"},
    ]


def test_further_columns_are_kept_for_reward_functions(tmp_path: Path) -> None:
    rows = [{"question": "One?", "answer": 1, "level": 3, "tags": ["a"], "unused": 0}]
    task = FileTask(train=write(tmp_path / "t.jsonl", rows), num_held_out=0, columns=("level", "tags"))
    train, _, _ = load_file_problems(task)
    assert train[0].metadata == {"level": 3, "tags": ["a"], "where": "t.jsonl line 1"}


@pytest.mark.parametrize("name", ["options", "where"])
def test_a_column_may_not_hide_a_key_of_the_task(tmp_path: Path, name: str) -> None:
    rows = [{"question": "One?", "task": {"kind": "choice", "options": []}, name: 1}]
    task = FileTask(
        train=write(tmp_path / "t.jsonl", rows), num_held_out=0, task_column="task", columns=(name,)
    )
    with pytest.raises(DataError, match=f"line 1: column '{name}' has the name of a key"):
        load_file_problems(task)


def test_a_column_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"question": ["One?"], "answer": ["1"], "raw": [b"\x00"]}), path)
    with pytest.raises(DataError, match=r"t.parquet row 1: column 'raw' cannot be written as JSON"):
        load_file_problems(FileTask(train=str(path), num_held_out=0, columns=("raw",)))


def test_general_prompts_need_no_answer_and_know_their_set(tmp_path: Path) -> None:
    rows = [{"question": "Write a poem."}, {"question": "写一首诗。"}]
    path = write(tmp_path / "t.jsonl", rows)
    task = FileTask(
        train=path, num_held_out=0, grader="preference", preference_set="helpful", kind_column=None
    )
    train, _, _ = load_file_problems(task)
    assert [(p.grader, p.reference, p.language) for p in train] == [
        ("preference", "", "en"),
        ("preference", "", "zh"),
    ]
    assert [p.metadata for p in train] == [{"set": "helpful", "where": f"t.jsonl line {n}"} for n in (1, 2)]


def test_a_row_may_name_its_set_itself(tmp_path: Path) -> None:
    rows = [
        {"question": "Write a poem.", "task": {"kind": "preference", "set": "helpful"}},
        {"question": "How do I pick a lock?", "task": {"kind": "preference", "set": "safety"}},
        {"question": "1 + 1?", "task": {"kind": "math", "reference": "2"}},
    ]
    train, _, _ = load_file_problems(
        FileTask(train=write(tmp_path / "t.jsonl", rows), num_held_out=0, task_column="task")
    )
    assert [(p.grader, p.metadata.get("set")) for p in train] == [
        ("preference", "helpful"),
        ("preference", "safety"),
        ("math", None),
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"grader": "preference"}, "go together"),
        ({"preference_set": "safety"}, "go together"),
        (
            {"grader": "preference", "preference_set": "safety", "task_column": "task"},
            "leave grader and preference_set out",
        ),
    ],
)
def test_grader_and_set_of_general_prompts_go_together(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FileTask.model_validate({"train": "x.jsonl", **keys})
