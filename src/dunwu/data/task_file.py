"""Problems from files and data sets with named columns."""

import math
from typing import Any

from dunwu.config.task import FileTask
from dunwu.data.languages import detect_language
from dunwu.data.separation import drop_duplicates, question_hash
from dunwu.data.tables import Row, read_rows
from dunwu.errors import DataError
from dunwu.records import Problem

_LANGUAGES = {"english": "en", "chinese": "zh", "中文": "zh", "英文": "en", "cn": "zh"}


def load_file_problems(task: FileTask) -> tuple[list[Problem], list[Problem], int]:
    """Return train problems, held-out problems, and how many repeated questions were dropped from either.

    Without held-out source the problems whose question hash is lowest are held out. The choice depends on the
    questions alone, so runs with different seeds, and files with rows added or moved, are judged on the same
    problems.

    Raises:
        DataError: what `read_rows` raises; a value that is neither text nor number; too few problems to hold
            out.
    """
    train, num_duplicates = _read(task, task.train, task.split)
    if task.held_out is not None or task.held_out_split is not None:
        held_out, more = _read(task, task.held_out or task.train, task.held_out_split or task.split)
        return train, held_out, num_duplicates + more
    if task.num_held_out >= len(train):
        raise DataError(
            f"{task.train} has {len(train)} different questions, too few to hold out {task.num_held_out}; "
            "set num_held_out lower, or name a held_out file"
        )
    chosen = {problem.id for problem in sorted(train, key=lambda p: p.id)[: task.num_held_out]}
    return [p for p in train if p.id not in chosen], [p for p in train if p.id in chosen], num_duplicates


def _read(task: FileTask, source: str, split: str) -> tuple[list[Problem], int]:
    columns = [task.question_column, task.answer_column, task.language_column, task.kind_column]
    rows = read_rows(source, [column for column in columns if column], split=split, subset=task.subset)
    return drop_duplicates(_problem(task, row) for row in rows)


def _problem(task: FileTask, row: Row) -> Problem:
    question = _text(row, task.question_column)
    if not question.strip():
        raise DataError(f"{row.where}: column {task.question_column!r} is empty")
    language = detect_language(question)
    if task.language_column is not None:
        stated = _text(row, task.language_column).strip().lower()
        language = _LANGUAGES.get(stated, stated.replace("_", "-").partition("-")[0])
    return Problem(
        id=question_hash(question),
        kind=_text(row, task.kind_column) if task.kind_column else "file",
        question=question,
        reference=_text(row, task.answer_column),
        grader=task.grader,
        language=language,
        metadata={"where": row.where},
    )


def _text(row: Row, column: str) -> str:
    value: Any = row.values[column]
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int)) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise DataError(f"{row.where}: column {column!r} holds {value!r}; it must be text or a number")
