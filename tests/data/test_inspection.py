"""Looking a data set over: what is bad is told row by row, and the rest is counted."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dunwu.config.task import FileTask
from dunwu.data.inspection import (
    BadRow,
    Repeated,
    describe,
    find_columns,
    present_columns,
    read_problems,
    repeated_questions,
    spread,
)
from dunwu.errors import DataError
from dunwu.records import Problem


def problem(question: str, reference: str = "1", where: str = "r") -> Problem:
    return Problem(question, "k", question, reference, "math", metadata={"where": where})


def test_columns_are_found_by_their_usual_names() -> None:
    plain = FileTask(train="x")
    found = find_columns(plain, ["prompt", "reference", "id"])
    assert (found.question_column, found.answer_column, found.task_column) == ("prompt", "reference", None)
    found = find_columns(plain, ["task", "prompt", "problem"])
    assert (found.question_column, found.task_column) == ("prompt", "task")
    assert find_columns(plain, ["question", "answer", "task"]) == plain
    assert find_columns(plain, []) == plain
    given = FileTask(train="x", question_column="q", task_column="judge")
    assert find_columns(given, ["q", "judge", "task", "answer", "question"]) == given


def test_present_columns(tmp_path: Path) -> None:
    lines = tmp_path / "a.jsonl"
    lines.write_text('{bad\n[1]\n{"q": 1, "a": 2}\n{"other": 1}\n')
    assert present_columns(str(lines)) == ["q", "a"]
    pq.write_table(pa.table({"q": ["x"], "b": [1]}), tmp_path / "b.parquet")
    assert present_columns(str(tmp_path / "b.parquet")) == ["q", "b"]
    (tmp_path / "c.parquet").write_text("no")
    assert present_columns(str(tmp_path / "c.parquet")) == []
    assert present_columns(str(tmp_path)) == present_columns("owner/name") == []


def test_reading_goes_on_after_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    rows = [
        b"\xef\xbb\xbf" + json.dumps({"question": "One?", "answer": 1}).encode(),
        b"{",
        b"\xff",
        b"[1]",
        b"",
        b'{"question": "Two?"}',
        b'{"question": " ", "answer": 1}',
        b'{"question": "Three?", "answer": [3]}',
        b'{"question": "One?", "answer": 1}',
    ]
    path.write_bytes(b"\n".join(rows))
    problems, bad = read_problems(FileTask(train=str(path)))
    assert [p.question for p in problems] == ["One?", "One?"]
    assert [row.where for row in bad] == [f"t.jsonl line {n}" for n in (2, 3, 4, 6, 7, 8)]
    assert [row.why.partition(":")[0] for row in bad] == [
        "is not JSON",
        "is not JSON",
        "holds a list; each line must be one JSON object",
        "has no 'answer'; it has 'question'",
        "column 'question' is empty",
        "column 'answer' holds [3]; it must be text or a number",
    ]


def test_tables_are_read_too_and_a_missing_file_is_told(tmp_path: Path) -> None:
    pq.write_table(pa.table({"question": ["One?", ""], "answer": ["1", "2"]}), tmp_path / "t.parquet")
    problems, bad = read_problems(FileTask(train=str(tmp_path / "t.parquet")))
    assert [p.question for p in problems] == ["One?"]
    assert bad == [BadRow("t.parquet row 2", "column 'question' is empty")]
    with pytest.raises(DataError, match="there is no file"):
        read_problems(FileTask(train="absent.jsonl"))


def test_repeated_questions_letter_by_letter_and_normalised() -> None:
    problems = [
        problem("What is 1+1?", "2", "a"),
        problem("what  is 1+1?", "2 ", "b"),
        problem("What is 1+1?", "3", "c"),
        problem("Other?", "1", "d"),
    ]
    assert repeated_questions(problems, exact=True) == [Repeated("What is 1+1?", ("a", "c"), ("2", "3"))]
    assert repeated_questions(problems, exact=False) == [
        Repeated("What is 1+1?", ("a", "b", "c"), ("2", "3"))
    ]
    assert repeated_questions(problems[2:], exact=False) == []


def test_figures_of_a_set() -> None:
    figures = describe([problem("一加一等于几？"), problem("What is this?"), problem("And that?")], len)
    assert figures["num_problems"] == 3
    assert figures["languages"] == {"en": 2, "zh": 1}
    assert figures["question_characters"] == {"min": 7, "median": 9, "mean": 9.7, "p95": 13, "max": 13}
    assert figures["question_tokens"] == figures["question_characters"]
    assert "question_tokens" not in describe([], None)


def test_spread() -> None:
    assert spread([]) is None
    assert spread([4]) == {"min": 4, "median": 4, "mean": 4, "p95": 4, "max": 4}
    hundred = spread(list(range(100, 0, -1)))
    assert hundred == {"min": 1, "median": 50.5, "mean": 50.5, "p95": 95, "max": 100}
