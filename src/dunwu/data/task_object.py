"""Task objects: how a row of data says by which rule its answers are judged, and against what.

    {"kind": "math", "reference": "1/2"}
    {"kind": "code", "language": "python", "tests": [{"stdin": "1 2", "stdout": "3"}]}
    {"kind": "choice", "options": ["red", "green"], "reference": "B"}
    {"kind": "preference", "set": "helpful"}

`kind` becomes the problem's grader, `reference` its reference, and all else its metadata. Whether the grader can
judge by them is the grader's business (`Grader.check_gradable`). Called by `data.task_file` and `dunwu score`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dunwu.errors import DataError


@dataclass(frozen=True)
class TaskObject:
    """A task object's three parts; `metadata` is JSON-able."""

    grader: str
    reference: str
    metadata: Mapping[str, Any]


def parse_task(value: Any, where: str) -> TaskObject:
    """Read a task object.

    Args:
        value: the object, or its JSON text. Keys that hold None count as missing: tables fill them in where
            rows have different keys.
        where: where it stands, for messages.
    Raises:
        DataError: it is no object, has no kind, or holds what JSON cannot.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DataError(f"{where}: task is text, and not JSON: {error}") from None
    if not isinstance(value, Mapping):
        raise DataError(
            f'{where}: task is {value!r:.80}; it must be an object like {{"kind": "math", "reference": "5"}}'
        )
    present = {key: inner for key, inner in value.items() if inner is not None}
    kind = present.pop("kind", None)
    if not isinstance(kind, str) or not kind:
        raise DataError(f'{where}: task has the kind {kind!r}; name a grader, for example "kind": "math"')
    reference = present.pop("reference", "")
    try:
        text = reference_text(reference)
    except ValueError as error:
        raise DataError(f"{where}: task.reference {error}") from None
    return TaskObject(
        kind, text, {key: plain(inner, f"{where}: task.{key}") for key, inner in present.items()}
    )


def reference_text(value: Any) -> str:
    """Return a reference as text.

    Raises:
        ValueError: it is neither text nor a finite number.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return str(value)
    raise ValueError(f"holds {value!r:.80}; it must be text or a number")


def plain(value: Any, where: str) -> Any:
    """Return a value if JSON can hold it.

    Raises:
        DataError: it cannot; the message begins with `where`.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"{where} cannot be written as JSON: {error}") from None
    return value
