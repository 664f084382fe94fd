"""Scores rows of completions outside of training: JSON lines in, one result for each out, in order.

    in:  {"id", "prompt", "completion", "task": {"kind", "reference", ...}}
         and where known "finish_reason" ("stop" or "length"), "num_tokens", "language"
    out: {"id", "reward", "parts": {name: {"value", "status", "detail"}}}

A row that cannot be read gives a result too, every part of it with status "error". Called by `dunwu score`.
"""

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, NoReturn, get_args

from dunwu.data.languages import detect_language
from dunwu.data.task_object import TaskObject, parse_task
from dunwu.errors import DataError
from dunwu.records import FinishReason, Problem, Reward, RewardPart
from dunwu.rewards.grading import Grader

_WINDOW = 1024
"""Rows that are read ahead of the oldest one without result; memory stays flat however long the input is."""
_NO_TASK = TaskObject("none", "", {})


@dataclass(frozen=True)
class ScoreRow:
    """One row, read. `num_tokens` is None where the row does not say."""

    id: Any
    problem: Problem
    completion: str
    prompt: str = ""
    finish_reason: FinishReason = "stop"
    num_tokens: int | None = None


@dataclass(frozen=True)
class Scored:
    """A row's result; `fault` says what was wrong with a row that could not be read."""

    id: Any
    reward: Reward
    fault: str | None = None

    def as_row(self) -> dict[str, Any]:
        """Return the result as a row of the output."""
        parts = {
            name: {"value": part.value, "status": part.status, "detail": part.detail}
            for name, part in self.reward.parts.items()
        }
        return {"id": self.id, "reward": self.reward.total, "parts": parts}


class RowError(DataError):
    """A row that cannot be scored; `id` is its own, None where even that is not known."""

    def __init__(self, message: str, id: Any = None) -> None:
        super().__init__(message)
        self.id = id


def parse_row(line: bytes, where: str, *, needs_task: bool) -> ScoreRow:
    """Read one line.

    Args:
        where: what messages call it.
        needs_task: whether a row without task is an error.
    Raises:
        RowError: it is not a JSON object, or lacks or has a wrong key.
    """
    try:
        row = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, Mapping):
        raise RowError(f"{where} holds a {type(row).__name__}; each row is one JSON object")
    row_id = row.get("id")
    try:
        return _read_row(row, where, needs_task)
    except DataError as error:
        raise RowError(str(error), row_id) from None


def score_lines(
    grader: Grader,
    lines: Iterable[bytes],
    part_names: Sequence[str],
    *,
    needs_task: bool,
    count_tokens: Callable[[str], int] | None = None,
) -> Iterator[Scored]:
    """Score rows side by side and yield the results in the order of the rows, each as soon as it is there.

    Args:
        lines: JSON; empty ones are passed over. Read in a thread, at most 1,024 rows ahead.
        part_names: the parts that a row which cannot be read has errors for.
        needs_task: whether a row without task is an error.
        count_tokens: counts those of a completion whose row does not say.
    Raises:
        Exception: whatever reading `lines` raises.
    """
    results: queue.Queue[Future[Reward] | Scored | BaseException | None] = queue.Queue(_WINDOW)
    ids: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopped = threading.Event()

    def put(result: "Future[Reward] | Scored | BaseException | None") -> None:
        while not stopped.is_set():
            try:
                return results.put(result, timeout=0.5)
            except queue.Full:
                continue

    def feed() -> None:
        try:
            for number, line in enumerate(lines, start=1):
                if stopped.is_set():
                    return
                if not line.strip():
                    continue
                try:
                    row = parse_row(line, f"row {number}", needs_task=needs_task)
                except RowError as error:
                    part = RewardPart(None, "error", str(error))
                    put(Scored(error.id, Reward(None, dict.fromkeys(part_names, part)), str(error)))
                    continue
                ids.put(row.id)
                put(_submit(grader, row, count_tokens))
            put(None)
        except BaseException as error:  # handed to whoever reads the results
            put(error)

    threading.Thread(target=feed, name="scoring-reader", daemon=True).start()
    try:
        while (result := results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result if isinstance(result, Scored) else Scored(ids.get(), result.result())
    finally:
        stopped.set()


def _submit(grader: Grader, row: ScoreRow, count_tokens: Callable[[str], int] | None) -> "Future[Reward]":
    num_tokens = row.num_tokens
    if num_tokens is None and count_tokens is not None:
        num_tokens = count_tokens(row.completion)
    return grader.submit(
        row.problem, row.completion, row.finish_reason, num_tokens=num_tokens, prompt_text=row.prompt
    )


def _read_row(row: Mapping[str, Any], where: str, needs_task: bool) -> ScoreRow:
    completion = _text(row, "completion", where)
    prompt, question = _prompt(row.get("prompt"), where)
    if row.get("task") is None:
        if needs_task:
            raise DataError(f'{where} has no "task", for example {{"kind": "math", "reference": "5"}}')
        task = _NO_TASK
    else:
        task = parse_task(row["task"], where)
    finish_reason: FinishReason = row.get("finish_reason") or "stop"
    if finish_reason not in get_args(FinishReason):
        raise DataError(f'{where}: finish_reason is {finish_reason!r}; it is "stop" or "length"')
    num_tokens = row.get("num_tokens")
    if num_tokens is not None and (type(num_tokens) is not int or num_tokens < 0):
        raise DataError(f"{where}: num_tokens is {num_tokens!r}; it must be a whole number, at least 0")
    language = row.get("language") or detect_language(question)
    if not isinstance(language, str):
        raise DataError(f'{where}: language is {language!r}; it is a code like "en"')
    problem = Problem(
        id=str(row.get("id")),
        kind=task.grader,
        question=question,
        reference=task.reference,
        grader=task.grader,
        language=language,
        metadata=task.metadata,
    )
    return ScoreRow(row.get("id"), problem, completion, prompt, finish_reason, num_tokens)


def _prompt(prompt: Any, where: str) -> tuple[str, str]:
    """Return a prompt as text, and the question in it: the last message of the user, where there are messages."""
    if prompt is None or isinstance(prompt, str):
        return prompt or "", prompt or ""
    if isinstance(prompt, list) and all(
        isinstance(m, Mapping) and isinstance(m.get("content"), str) for m in prompt
    ):
        of_user = [message["content"] for message in prompt if message.get("role") == "user"]
        return "\n".join(message["content"] for message in prompt), of_user[-1] if of_user else ""
    raise DataError(f"{where}: prompt is {prompt!r:.80}; it must be text, or a list of chat messages")


def _text(row: Mapping[str, Any], key: str, where: str) -> str:
    value = row.get(key)
    if not isinstance(value, str):
        raise DataError(
            f'{where} has no "{key}"' if value is None else f"{where}: {key} is {value!r:.80}, not text"
        )
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
