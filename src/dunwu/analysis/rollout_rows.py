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
from dunwu.analysis.self_correction import KINDS, computes_twice, find_correction, may_correct
from dunwu.functional.reflection import CHINESE, ENGLISH, find_reflections
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
    reflections = _reflections(table["completion"], texts)
    masks, counts, totals = _count_words(reflections, len(texts))
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
        "correction": _corrections(table, texts, reflections),
    }
    arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
    steps = (table["first_step"][0].as_py(), table["last_step"][0].as_py()) if texts else (0, 0)
    return FileRows(pa.table(arrays, schema=SCHEMA), steps[0], steps[1], tuple(totals.tolist()))


def _array(values: pa.ChunkedArray | np.ndarray | list[bool], kind: pa.DataType) -> pa.ChunkedArray:
    column = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([pa.array(values)])
    return column.cast(kind, safe=False)


_Reflections = dict[int, list[tuple[int, int, str]]]


def _reflections(column: pa.ChunkedArray, texts: Sequence[str]) -> _Reflections:
    """Find the reflection words of those texts that hold some; most of an untrained policy's hold none."""
    may = pc.match_substring_regex(column, "|".join(WORDS), ignore_case=True)
    found = ((i, list(find_reflections(texts[i]))) for i in np.flatnonzero(may.to_numpy()).tolist())
    return {i: words for i, words in found if words}


def _count_words(reflections: _Reflections, num_texts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    masks, counts = np.zeros(num_texts, np.int32), np.zeros(num_texts, np.int16)
    totals = np.zeros(len(WORDS), np.int64)
    places = {word: place for place, word in enumerate(WORDS)}
    for i, found in reflections.items():
        counts[i] = min(len(found), np.iinfo(np.int16).max)
        for _, _, word in found:
            masks[i] |= 1 << places[word]
            totals[places[word]] += 1
    return masks, counts, totals


def _mixed(texts: Sequence[str], languages: Sequence[str], questions: Sequence[str]) -> list[bool]:
    return [
        may_switch(text, language) and mixes(*foreign_runs(text, language, question)[1:])
        for text, language, question in zip(texts, languages, questions, strict=True)
    ]


def _corrections(table: pa.Table, texts: Sequence[str], reflections: _Reflections) -> np.ndarray:
    found = np.zeros(len(texts), np.int8)
    states, answers = may_correct(table["completion"]).tolist(), table["answer"].to_pylist()
    for i, words in reflections.items():
        if states[i] or computes_twice(texts[i]):
            correction = find_correction(texts[i], answers[i], thinking_end(texts[i]), words)
            if correction is not None:
                found[i] = 1 + KINDS.index(correction.kind)
    return found


def thinking_end(text: str) -> int | None:
    """Return where thinking ends, by the last of the tags that may end it; None where there is none."""
    end = max(text.rfind("</think>"), text.rfind("|special_token|"))
    return end if end > 0 else None
