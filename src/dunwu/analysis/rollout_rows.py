"""The figures of every rollout that lists, filters and curves are made of: one narrow row per rollout, drawn from its file.

The texts stay where they are. What is counted here (reflection words, foreign words, self-corrections) is what `marks` shows.
Called by the index.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dunwu.analysis.marks import foreign_runs, may_switch, mixes
from dunwu.analysis.self_correction import KINDS, find_correction
from dunwu.functional.reflection import CHINESE, ENGLISH, reflection_words
from dunwu.runs.rollout_files import read_columns
from dunwu.runs.rollout_table import unreadable

WORDS = (*ENGLISH, *CHINESE)
"""The reflection words in the order of the bits of `words`."""

_READ = (
    "first_step", "last_step", "group", "dropped", "prompt_id", "kind", "language", "sample_index", "finish_reason", "num_tokens",
    "reward", "correct", "advantage", "completion", "question", "answer",
)  # fmt: skip

SCHEMA = pa.schema(
    [
        ("group", pa.int32()),
        ("sample", pa.int32()),
        ("prompt_id", pa.string()),
        ("kind", pa.string()),
        ("language", pa.string()),
        ("reward", pa.float32()),
        ("advantage", pa.float32()),
        ("correct", pa.int8()),
        ("tokens", pa.int32()),
        ("truncated", pa.bool_()),
        ("dropped", pa.bool_()),
        ("words", pa.int32()),
        ("reflections", pa.int16()),
        ("mixed", pa.bool_()),
        ("correction", pa.int8()),
    ]
)
"""`correct`: 1, 0, or -1 where nothing was graded; `reward` and `advantage` are NaN where there is
none. `words`: bit i for WORDS[i]. `correction`: 0, or 1 + the place in `self_correction.KINDS`."""


class FileRows(NamedTuple):
    """One row of SCHEMA per rollout, the steps that trained on them (0 for an empty file), and how often each of WORDS occurs."""

    table: pa.Table
    first_step: int
    last_step: int
    words: tuple[int, ...]


def rows_of(path: Path) -> FileRows:
    """Read a file's rollouts.

    Raises:
        RunError: the file is not there, damaged, or lacks a column.
    """
    table = read_columns(path, _READ)
    if missing := set(_READ) - set(table.column_names):
        raise unreadable(path, KeyError(f"no column {min(missing)}"))
    texts = table["completion"].to_pylist()
    totals = np.zeros(len(WORDS), np.int64)
    masks, counts = _count_words(texts, _may_reflect(table["completion"]), totals)
    columns = {
        **{name: table[name] for name in ("group", "dropped", "prompt_id", "kind", "language")},
        "sample": table["sample_index"],
        **{name: pc.fill_null(table[name], float("nan")) for name in ("reward", "advantage")},
        "correct": pc.fill_null(pc.cast(table["correct"], pa.int8()), -1),
        "tokens": table["num_tokens"],
        "truncated": pc.equal(table["finish_reason"], "length"),
        "words": masks,
        "reflections": counts,
        "mixed": _mixed(texts, table["language"].to_pylist(), table["question"].to_pylist()),
        "correction": _corrections(texts, counts, table["answer"].to_pylist()),
    }
    arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
    steps = (table["first_step"][0].as_py(), table["last_step"][0].as_py()) if texts else (0, 0)
    return FileRows(pa.table(arrays, schema=SCHEMA), steps[0], steps[1], tuple(totals.tolist()))


def _array(values: pa.ChunkedArray | np.ndarray | list[bool], kind: pa.DataType) -> pa.ChunkedArray:
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values)])
    return column.cast(kind, safe=False)


def _may_reflect(texts: pa.ChunkedArray) -> list[int]:
    """Return the places of texts that hold a reflection word's letters at all; most of an untrained policy's do not."""
    found = pc.match_substring_regex(texts, "|".join(WORDS), ignore_case=True)
    return np.flatnonzero(found.to_numpy()).tolist()


def _count_words(
    texts: Sequence[str], candidates: Sequence[int], totals: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    masks = np.zeros(len(texts), np.int32)
    counts = np.zeros(len(texts), np.int16)
    places = {word: place for place, word in enumerate(WORDS)}
    for i in candidates:
        for word, count in reflection_words(texts[i]).items():
            masks[i] |= 1 << places[word]
            counts[i] = min(int(counts[i]) + count, np.iinfo(np.int16).max)
            totals[places[word]] += count
    return masks, counts


def _mixed(texts: Sequence[str], languages: Sequence[str], questions: Sequence[str]) -> list[bool]:
    return [
        may_switch(text, language) and mixes(*foreign_runs(text, language, question)[1:])
        for text, language, question in zip(texts, languages, questions, strict=True)
    ]


def _corrections(texts: Sequence[str], counts: np.ndarray, answers: Sequence[str | None]) -> np.ndarray:
    found = np.zeros(len(texts), np.int8)
    for i in np.flatnonzero(counts).tolist():
        correction = find_correction(texts[i], answers[i], thinking_end(texts[i]))
        if correction is not None:
            found[i] = 1 + KINDS.index(correction.kind)
    return found


def thinking_end(text: str) -> int | None:
    """Return where thinking ends, by the last of the tags that may end it; None where there is none."""
    end = max(text.rfind("</think>"), text.rfind("|special_token|"))
    return end if end > 0 else None
