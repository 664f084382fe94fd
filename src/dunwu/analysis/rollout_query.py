"""Asks a stage's rollouts: filter, sort, page, search, one group, one problem through time. Never loads all of their texts.

Filters and sorting work on the index (`index_store`); only what a page shows is then read from the rollout files. A search for
text reads them one after the other, for as long as it is given, and says where to go on. Called by the dashboard.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dunwu.analysis.index_store import Snapshot
from dunwu.analysis.rollout_rows import WORDS
from dunwu.analysis.self_correction import KINDS
from dunwu.errors import RunError
from dunwu.runs.rollout_files import RolloutFile, read_columns

Sort = Literal["step", "reward", "advantage", "tokens", "reflections"]
SORTS: tuple[Sort, ...] = ("step", "reward", "advantage", "tokens", "reflections")
VERDICTS = {"right": 1, "wrong": 0, "ungraded": -1}
_CACHED_ORDERS = 8
_LEFT_OUT = ("token_ids", "logprobs", "prompt_token_ids")


@dataclass(frozen=True)
class RolloutFilter:
    """Which rollouts; what is None or empty asks nothing.

    Args:
        first_step, last_step: trained on by one of these steps.
        verdict: one of VERDICTS.
        reward, tokens: (least, most), either may be None.
        word: a reflection word that it holds; "any" for one of them.
        mixed: holds words in another language's script, see `marks.MIXED_SHARE`.
        correction: a kind of self-correction that ended right; "any" for one of them.
        dropped: of a group that was replaced before training.
        prompt_id: the problem.
        text: in the completion, the question or the problem's id; upper and lower case are the same.
    """

    first_step: int | None = None
    last_step: int | None = None
    verdict: str = ""
    reward: tuple[float | None, float | None] = (None, None)
    tokens: tuple[int | None, int | None] = (None, None)
    language: str = ""
    kind: str = ""
    truncated: bool | None = None
    word: str = ""
    mixed: bool | None = None
    correction: str = ""
    dropped: bool | None = None
    prompt_id: str = ""
    text: str = ""


@dataclass(frozen=True)
class Page:
    """A page of rollouts.

    Args:
        rows: places in the snapshot.
        total: how many there are; of a search, how many were found so far.
        next_offset: where a search goes on; None: it is at its end.
        searched: the share of the candidates that a search has looked at.
    """

    rows: tuple[int, ...]
    total: int
    next_offset: int | None = None
    searched: float = 1.0


def matching(snapshot: Snapshot, wanted: RolloutFilter) -> np.ndarray:
    """Return the rows that the filter lets through, int32, in the files' order; its text is not looked at.

    Raises:
        RunError: the filter names something that cannot be.
    """
    mask: np.ndarray | None = None
    for condition in _conditions(snapshot, wanted):
        mask = condition if mask is None else mask & condition
    return (
        np.arange(snapshot.num_rows, dtype=np.int32)
        if mask is None
        else np.flatnonzero(mask).astype(np.int32)
    )


def ordered(snapshot: Snapshot, wanted: RolloutFilter, sort: Sort, *, descending: bool) -> np.ndarray:
    """Return the rows that the filter lets through, sorted; equal ones by step. The last few answers are remembered."""
    key = ("order", replace(wanted, text=""), sort, descending)
    if key not in snapshot.cache:
        for old in [k for k in snapshot.cache if k[0] == "order"][: -_CACHED_ORDERS + 1]:
            snapshot.cache.pop(old, None)
        snapshot.cache[key] = _sorted(snapshot, matching(snapshot, wanted), sort, descending)
    found: np.ndarray = snapshot.cache[key]
    return found


def page(
    snapshot: Snapshot,
    wanted: RolloutFilter,
    *,
    sort: Sort = "step",
    descending: bool = True,
    offset: int = 0,
    limit: int = 30,
) -> Page:
    """Return a page of the rollouts that a filter without text lets through."""
    rows = ordered(snapshot, wanted, sort, descending=descending)
    return Page(tuple(rows[offset : offset + limit].tolist()), len(rows))


def search(
    snapshot: Snapshot,
    wanted: RolloutFilter,
    *,
    newest_first: bool = True,
    offset: int = 0,
    limit: int = 30,
    seconds: float = 0.5,
) -> Page:
    """Look for `wanted.text` among the rollouts that the rest of the filter lets through, file by file.

    Args:
        offset: 0, or the `next_offset` of the page before.
        seconds: at least one file is read, and no further one after so long.
    """
    rows = ordered(snapshot, wanted, "step", descending=newest_first)
    found: list[int] = []
    deadline = time.monotonic() + seconds
    while offset < len(rows) and len(found) < limit:
        place = snapshot.place(int(rows[offset]))
        here = _same_file(snapshot, rows, offset, place)
        hits = here[_holds(snapshot.file(place), here - snapshot.starts[place], wanted.text)]
        left = limit - len(found)
        found += hits[:left].tolist()
        offset += len(here) if len(hits) <= left else int(np.flatnonzero(here == hits[left])[0])
        if time.monotonic() > deadline:
            break
    searched = offset / len(rows) if len(rows) else 1.0
    return Page(tuple(found), len(found), offset if offset < len(rows) else None, searched)


def read_rows(snapshot: Snapshot, rows: Sequence[int], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read columns of some rollouts from their files, in the order of `rows`; each with its `file` and its `row` in it.

    Raises:
        RunError: a file is not there any more, or damaged.
    """
    wanted: dict[RolloutFile, list[tuple[int, int]]] = {}
    for place, row in enumerate(rows):
        file, inside = snapshot.path(row)
        wanted.setdefault(file, []).append((place, inside))
    result: list[dict[str, Any]] = [{} for _ in rows]
    for file, places in wanted.items():
        table = read_columns(file.path, columns)
        taken = table.take(_places([inside for _, inside in places])).to_pylist()
        for (place, inside), record in zip(places, taken, strict=True):
            result[place] = {**record, "file": file, "row": inside}
    return result


def read_group(path: Path, group: int) -> tuple[list[dict[str, Any]], int]:
    """Read the rollouts of one group with all that led to their advantages, token ids and log-probs left out.

    Returns:
        the rollouts, and how many groups the file has.
    Raises:
        RunError: the file has no such group.
    """
    table = read_columns(path, without=_LEFT_OUT)
    members = table.filter(pc.equal(table["group"], group)).to_pylist()
    num_groups = 1 + (pc.max(table["group"]).as_py() if table.num_rows else -1)
    if not members:
        raise RunError(f"{path} has no group {group}; it has {num_groups}, counted from 0")
    return members, num_groups


def visits(snapshot: Snapshot, prompt_id: str) -> list[tuple[int, ...]]:
    """Return the rows of each group that answered a problem, in the order of time."""
    rows = matching(snapshot, RolloutFilter(prompt_id=prompt_id))
    groups: dict[tuple[int, int], list[int]] = {}
    for row in rows.tolist():
        key = (snapshot.place(row), int(snapshot.column("group")[row]))
        groups.setdefault(key, []).append(row)
    return [tuple(members) for members in groups.values()]


def first_of_each_group(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """Return the places in `rows` at which a group is met that none before belongs to, in order."""
    key = snapshot.file_of_row[rows].astype(np.int64) << 32 | snapshot.column("group")[rows]
    heads = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.zeros(0, np.int64)
    _, first = np.unique(
        key[heads], return_index=True
    )  # sorted by time, each group is met once: heads are few
    return heads[np.sort(first)]


def file_of(snapshot: Snapshot, number: int, label: str = "") -> tuple[RolloutFile, int]:
    """Return a rollout's file, or that of an evaluation, and its place in the snapshot.

    Raises:
        RunError: there is none.
    """
    for place, fact in enumerate(snapshot.files):
        if fact.number == number and fact.label == label:
            return snapshot.file(place), place
    what = f"evaluation {label!r}" if label else f"rollout {number}"
    raise RunError(f"there is no {what} among the {len(snapshot.files)} files that are indexed so far")


def _conditions(snapshot: Snapshot, wanted: RolloutFilter) -> Iterator[np.ndarray]:
    column = snapshot.column
    if wanted.first_step is not None:
        yield np.array([f.last_step >= wanted.first_step for f in snapshot.files], bool)[snapshot.file_of_row]
    if wanted.last_step is not None:
        yield np.array([f.first_step <= wanted.last_step for f in snapshot.files], bool)[snapshot.file_of_row]
    if wanted.verdict:
        yield column("correct") == _known(wanted.verdict, VERDICTS, "verdict")
    for name, (least, most) in (("reward", wanted.reward), ("tokens", wanted.tokens)):
        if least is not None:
            yield column(name) >= least
        if most is not None:
            yield column(name) <= most
    for name in ("truncated", "mixed", "dropped"):
        if (value := getattr(wanted, name)) is not None:
            yield column(name) == value
    for name in ("language", "kind", "prompt_id"):
        if value := getattr(wanted, name):
            yield _is_text(snapshot, name, value)
    if wanted.word:
        bits: dict[str, int] = {"any": -1, **{word: 1 << place for place, word in enumerate(WORDS)}}
        yield (column("words") & _known(wanted.word, bits, "reflection word")) != 0
    if wanted.correction:
        kinds: dict[str, int] = {"any": 0}
        kinds.update({kind: place for place, kind in enumerate(KINDS, start=1)})
        kind = _known(wanted.correction, kinds, "kind of self-correction")
        found = column("correction")
        yield (found == kind if kind else found > 0) & (column("correct") == 1)


def _known(value: str, allowed: dict[str, int], what: str) -> int:
    if value not in allowed:
        raise RunError(f"there is no {what} {value!r}; there are {', '.join(allowed)}")
    return allowed[value]


def _is_text(snapshot: Snapshot, name: str, value: str) -> np.ndarray:
    codes, values = snapshot.column(name), snapshot.values(name)
    return codes == (values.index(value) if value in values else -1)


def _sorted(snapshot: Snapshot, rows: np.ndarray, sort: Sort, descending: bool) -> np.ndarray:
    if sort == "step":
        # newest first, and within one file the rollouts in their order
        if not descending:
            return rows
        edges = np.searchsorted(rows, snapshot.starts.astype(rows.dtype))
        return np.concatenate([rows[:0], *(rows[a:b] for a, b in pairwise(edges.tolist()))][::-1])
    values = snapshot.column(sort)[rows].astype(np.float32)
    values = np.where(np.isnan(values), np.float32(np.inf), -values if descending else values)
    return rows[np.argsort(values, kind="stable")]


def _places(values: Sequence[int] | np.ndarray) -> pa.Int64Array:
    """Make indices for Arrow; its own way from a list loads pandas, which takes longer than a page of rollouts."""
    numbers = np.asarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(numbers)])


def _same_file(snapshot: Snapshot, rows: np.ndarray, offset: int, place: int) -> np.ndarray:
    most = int(snapshot.starts[place + 1] - snapshot.starts[place])
    ahead = rows[offset : offset + most]
    return ahead[(ahead >= snapshot.starts[place]) & (ahead < snapshot.starts[place + 1])]


def _holds(file: RolloutFile, inside: np.ndarray, text: str) -> np.ndarray:
    table = read_columns(file.path, ["completion", "question", "prompt_id"]).take(_places(inside))
    masks = [
        pc.match_substring(table[name], text, ignore_case=True).to_numpy() for name in table.column_names
    ]
    return np.logical_or.reduce(masks)
