"""Reading of task objects."""

import math

import pytest

from dunwu.data.task_object import TaskObject, parse_task
from dunwu.errors import DataError


def test_kind_reference_and_the_rest() -> None:
    task = {"kind": "choice", "options": ["red", "green"], "reference": "B", "hint": None}
    assert parse_task(task, "row 1") == TaskObject("choice", "B", {"options": ["red", "green"]})
    assert parse_task('{"kind": "math", "reference": 0.5}', "row 1") == TaskObject("math", "0.5", {})
    assert parse_task({"kind": "countdown", "numbers": [1, 2], "target": 3}, "row 1").reference == ""


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("{", r"row 1: task is text, and not JSON: Expecting"),
        (5, r"row 1: task is 5; it must be an object"),
        (None, r"row 1: task is None"),
        ("[1]", r"row 1: task is \[1\]"),
        ({}, r"row 1: task has the kind None; name a grader"),
        ({"kind": ["math"]}, r"row 1: task has the kind \['math'\]"),
        (
            {"kind": "math", "reference": [1]},
            r"row 1: task.reference holds \[1\]; it must be text or a number",
        ),
        ({"kind": "math", "reference": math.inf}, r"row 1: task.reference holds inf"),
        ({"kind": "code", "tests": [b"x"]}, r"row 1: task.tests cannot be written as JSON: .*bytes"),
        ({"kind": "code", "limit": math.nan}, r"row 1: task.limit cannot be written as JSON"),
    ],
)
def test_what_is_no_task_object_is_refused(task: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_task(task, "row 1")
