"""Reads the corpus of maths pairs. Used by the tests and by `benchmarks/grading_differences.py`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("maths.jsonl")


@dataclass(frozen=True)
class Pair:
    """One line of the corpus. `answer` is None where the line gives a whole completion."""

    line: int
    category: str
    reference: str
    answer: str | None
    completion: str
    answer_from: str
    finish_reason: str
    think_opened_by_prompt: bool
    verdict: str


def read_pairs() -> list[Pair]:
    return [
        _pair(number, json.loads(line))
        for number, line in enumerate(PATH.read_text(encoding="utf-8").splitlines(), 1)
    ]


def _pair(number: int, row: dict[str, Any]) -> Pair:
    answer = _text(row["answer"]) if "answer" in row else None
    return Pair(
        line=number,
        category=row["category"],
        reference=_text(row["reference"]),
        answer=answer,
        completion=f"<think>thought</think><answer>{answer}</answer>"
        if answer is not None
        else row["completion"],
        answer_from=row.get("answer_from", "answer_tag"),
        finish_reason=row.get("finish_reason", "stop"),
        think_opened_by_prompt=row.get("think_opened_by_prompt", False),
        verdict=row["verdict"],
    )


def _text(value: str | list[list[Any]]) -> str:
    """A long text is written as pieces, each with how many times it stands there."""
    return value if isinstance(value, str) else "".join(piece * times for piece, times in value)
