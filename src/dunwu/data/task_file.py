"""Problems from files and data sets with named columns."""

from typing import Any

from dunwu.config.task import FileTask
from dunwu.data.languages import detect_language
from dunwu.data.separation import drop_duplicates, question_hash
from dunwu.data.tables import Row, read_rows
from dunwu.data.task_object import TaskObject, parse_task, plain, reference_text
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
    rows = read_rows(source, columns_of(task), split=split, subset=task.subset)
    return drop_duplicates(problem_of(task, row) for row in rows)


def columns_of(task: FileTask) -> list[str]:
    """Return the columns that a task's rows must have."""
    unread = task.grader == "preference" and not task.task_column
    judged_by = None if unread else task.task_column or task.answer_column
    named = [task.question_column, judged_by, task.language_column, task.kind_column, *task.columns]
    return list(dict.fromkeys(column for column in named if column))


def problem_of(task: FileTask, row: Row) -> Problem:
    """Return the problem that a row holds.

    Raises:
        DataError: a value is empty, or of the wrong kind; the message begins with the row's place.
    """
    question = _text(row, task.question_column)
    if not question.strip():
        raise DataError(f"{row.where}: column {task.question_column!r} is empty")
    language = detect_language(question)
    if task.language_column is not None:
        stated = _text(row, task.language_column).strip().lower()
        language = _LANGUAGES.get(stated, stated.replace("_", "-").partition("-")[0])
    judged = _judged(task, row)
    kept = {name: plain(row.values[name], f"{row.where}: column {name!r}") for name in task.columns}
    if taken := sorted({*judged.metadata, "where"} & {*kept}):
        raise DataError(
            f"{row.where}: column {taken[0]!r} has the name of a key of the task; rename the column"
        )
    return Problem(
        id=question_hash(question),
        kind=_text(row, task.kind_column)
        if task.kind_column
        else judged.grader
        if task.task_column
        else "file",
        question=question,
        reference=judged.reference,
        grader=judged.grader,
        language=language,
        metadata={**judged.metadata, **kept, "where": row.where},
    )


def _judged(task: FileTask, row: Row) -> TaskObject:
    if task.task_column is None and task.grader == "preference":
        return TaskObject(task.grader, "", {"set": task.preference_set})
    if task.task_column is None:
        return TaskObject(task.grader, _text(row, task.answer_column), {})
    return parse_task(row.values[task.task_column], row.where)


def _text(row: Row, column: str) -> str:
    value: Any = row.values[column]
    try:
        return reference_text(value)
    except ValueError as error:
        raise DataError(f"{row.where}: column {column!r} {error}") from None
