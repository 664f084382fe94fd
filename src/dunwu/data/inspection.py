"""Looks a data set over before any training: rows that cannot be read, repeated questions, languages, lengths.

Goes on after a bad row, where loading stops at it. Whether references can be graded is the grader's to say. Called by
`dunwu data check`.
"""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dunwu.config.task import FileTask
from dunwu.data.languages import detect_language
from dunwu.data.separation import normalise_question
from dunwu.data.tables import Row, read_rows
from dunwu.data.task_file import columns_of, problem_of
from dunwu.errors import DataError
from dunwu.records import Problem

QUESTION_COLUMNS = ("question", "prompt", "problem", "query", "instruction")
ANSWER_COLUMNS = ("answer", "reference", "solution", "target")
TASK_COLUMNS = ("task",)
_JSONL = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class BadRow:
    """A row that is no problem, and why."""

    where: str
    why: str


@dataclass(frozen=True)
class Repeated:
    """Rows with the same question, in their order."""

    question: str
    where: tuple[str, ...]
    references: tuple[str, ...]


def find_columns(task: FileTask, present: Sequence[str]) -> FileTask:
    """Return a task with its question, answer and task columns set to what a file has, where they are not in it.

    Args:
        present: the file's columns.
    """
    found = {}
    if task.question_column not in present:
        found["question_column"] = _first(QUESTION_COLUMNS, present)
    if task.task_column is None and task.answer_column not in present:
        found["answer_column"] = _first(ANSWER_COLUMNS, present)
        found["task_column"] = _first(TASK_COLUMNS, present)
    return task.model_copy(update={key: name for key, name in found.items() if name})


def _first(names: Sequence[str], present: Sequence[str]) -> str | None:
    return next((name for name in names if name in present), None)


def present_columns(source: str) -> list[str]:
    """Return the columns of a file, those of its first readable row for JSON lines; none for anything but a file."""
    path = Path(source).expanduser()
    if path.suffix == ".parquet" and path.is_file():
        try:
            return list(pq.read_schema(path).names)
        except pa.ArrowInvalid:
            return []  # reading it will say so
    if path.suffix in _JSONL and path.is_file():
        with path.open("rb") as lines:
            for line in lines:
                row = _loaded(line)
                if isinstance(row, dict):
                    return list(row)
    return []


def read_problems(task: FileTask) -> tuple[list[Problem], list[BadRow]]:
    """Return the problems of a task's training file, repeated ones included, and its bad rows.

    Raises:
        DataError: what `read_rows` raises for anything but a single row of JSON lines.
        DependencyError: a hub name, and no `datasets` package.
    """
    problems: list[Problem] = []
    bad: list[BadRow] = []
    for row in _rows(task):
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        try:
            problems.append(problem_of(task, row))
        except DataError as error:
            bad.append(BadRow(row.where, str(error).removeprefix(f"{row.where}: ")))
    return problems, bad


def repeated_questions(problems: Sequence[Problem], *, exact: bool) -> list[Repeated]:
    """Return the questions that occur more than once, letter by letter or as `normalise_question` writes them."""
    groups: defaultdict[str, list[Problem]] = defaultdict(list)
    for problem in problems:
        groups[problem.question if exact else normalise_question(problem.question)].append(problem)
    return [
        Repeated(
            group[0].question,
            tuple(str(problem.metadata.get("where", problem.id)) for problem in group),
            tuple(dict.fromkeys(problem.reference.strip() for problem in group)),
        )
        for group in groups.values()
        if len(group) > 1
    ]


def describe(problems: Sequence[Problem], count_tokens: Callable[[str], int] | None) -> dict[str, Any]:
    """Return the number of problems, their languages by count, and the lengths of questions and references.

    Args:
        count_tokens: counts a text's tokens; None leaves them out.
    """
    texts = {
        "question": [problem.question for problem in problems],
        "reference": [problem.reference for problem in problems],
    }
    figures: dict[str, Any] = {
        "num_problems": len(problems),
        "languages": dict(Counter(detect_language(text) for text in texts["question"]).most_common()),
    }
    for name, of_problems in texts.items():
        figures[f"{name}_characters"] = spread([len(text) for text in of_problems])
        if count_tokens is not None:
            figures[f"{name}_tokens"] = spread([count_tokens(text) for text in of_problems])
    return figures


def spread(values: Sequence[int]) -> dict[str, float] | None:
    """Return min, median, mean, p95 (the smallest value that at least 95% do not exceed) and max; None for none."""
    if not values:
        return None
    ordered = sorted(values)
    return {
        "min": ordered[0],
        "median": statistics.median(ordered),
        "mean": round(statistics.fmean(ordered), 1),
        "p95": ordered[-(-95 * len(ordered) // 100) - 1],
        "max": ordered[-1],
    }


def _rows(task: FileTask) -> Iterator[Row | BadRow]:
    path = Path(task.train).expanduser()
    columns = columns_of(task)
    if not (path.suffix in _JSONL and path.is_file()):
        yield from read_rows(task.train, columns, split=task.split, subset=task.subset)
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _row(line.removeprefix(b"\xef\xbb\xbf"), f"{path.name} line {number}", columns)


def _row(line: bytes, where: str, columns: Sequence[str]) -> Row | BadRow:
    values = _loaded(line)
    if isinstance(values, Exception):
        return BadRow(where, f"is not JSON: {values}")
    if not isinstance(values, dict):
        return BadRow(where, f"holds a {type(values).__name__}; each line must be one JSON object")
    for column in columns:
        if column not in values:
            return BadRow(where, f"has no {column!r}; it has {', '.join(map(repr, values)) or 'nothing'}")
    return Row(where, {column: values[column] for column in columns})


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error
