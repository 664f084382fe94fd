"""The paper's pictures of a policy that learns to think, from a stage's rollouts alone: reflection words by word and step,
length, accuracy by difficulty, mixing of languages, self-correction that ended right.

Every rollout that was sampled counts, those of groups that were replaced before training too: they are what the policy wrote.
What is computed goes by the index, so that millions of rollouts take moments. Called by the dashboard.

Source: DeepSeek-R1 v2, figure 3 (length), C.1 (accuracy by level), C.2 and figure 9 (reflection words).
Departures: the papers do not say how occurrences were scaled; here they are per 1,000 completions. Their levels are those of
    MATH; here difficulty is told by how a problem went when it was first met (docs/departures.md).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from dunwu.analysis.index_store import Snapshot
from dunwu.analysis.rollout_rows import WORDS
from dunwu.analysis.self_correction import KINDS

MAX_BINS = 200
LEVELS = (
    "none right at first",
    "under half right at first",
    "half or more right at first",
    "all right at first",
)
_COLUMNS = (
    "group", "prompt_id", "kind", "language", "correct", "tokens", "truncated", "reflections", "mixed", "correction",
)  # fmt: skip
_EDGE_FRAC = 0.1
_ONSET_SIGMAS, _ONSET_GROWTH = 3.0, 2.0


@dataclass(frozen=True)
class Onset:
    """When a word began to be used more: the first span of steps from which on it stays above what chance and the start explain.

    Args:
        start, end: occurrences per 1,000 completions in the first and the last tenth of the stage.
        step: where the rise began; None: there was none.
    """

    word: str
    total: int
    start: float
    end: float
    step: int | None

    @property
    def growth(self) -> float | None:
        """End over start; None where it did not occur at the start."""
        return self.end / self.start if self.start else None


class Evolution:
    """The curves of one stage, over spans of rollouts ("bins") of equal length, at most MAX_BINS of them."""

    def __init__(self, snapshot: Snapshot, max_bins: int = MAX_BINS) -> None:
        self._snapshot = snapshot
        files = [place for place, fact in enumerate(snapshot.files) if fact.num_rows]
        self.num_bins = min(max_bins, len(files))
        bin_of_file = np.full(len(snapshot.files), -1, np.int32)
        bin_of_file[files] = np.arange(len(files)) * self.num_bins // max(1, len(files))
        self._bin_of_file = bin_of_file
        # Rows are in the order of their files, so each bin is a range of rows, and none is empty.
        firsts = np.searchsorted(bin_of_file[files], np.arange(self.num_bins))
        starts = snapshot.starts[np.asarray(files, np.int64)[firsts]]
        self._edges = np.append(starts, snapshot.num_rows).astype(np.int64)
        self.count = np.diff(self._edges)

    def steps(self) -> list[tuple[int, int]]:
        """Return the first and the last step of each bin."""
        first = np.full(self.num_bins, np.iinfo(np.int32).max)
        last = np.zeros(self.num_bins, np.int64)
        for place, fact in enumerate(self._snapshot.files):
            if fact.num_rows:
                where = self._bin_of_file[place]
                first[where] = min(first[where], fact.first_step)
                last[where] = max(last[where], fact.last_step)
        return list(zip(first.tolist(), last.tolist(), strict=True))

    def mean(self, values: np.ndarray, where: np.ndarray | None = None) -> list[float | None]:
        """Return the mean of a column in each bin, over the rows `where` holds; None where there are none."""
        count = self.count if where is None else self._sum(where)
        total = self._sum(
            values if where is None else values & where if values.dtype == bool else values * where
        )
        return [float(t / c) if c else None for t, c in zip(total, count, strict=True)]

    def quantiles(self, values: np.ndarray, shares: tuple[float, ...]) -> list[list[float]]:
        """Return quantiles of a column in each bin, one list per share."""
        found = [np.quantile(values[a:b], shares) for a, b in pairwise(self._edges.tolist())]
        return [[float(row[i]) for row in found] for i in range(len(shares))]

    def word_counts(self) -> np.ndarray:
        """(bins, words) how often each of `rollout_rows.WORDS` occurs."""
        counts = np.zeros((self.num_bins, len(WORDS)), np.int64)
        for place, fact in enumerate(self._snapshot.files):
            if fact.num_rows:
                counts[self._bin_of_file[place]] += np.asarray(fact.words)
        return counts

    def _sum(self, values: np.ndarray) -> np.ndarray:
        spans = list(pairwise(self._edges.tolist()))
        if values.dtype == bool:
            return np.array([np.count_nonzero(values[a:b]) for a, b in spans], np.int64)
        kind = np.int64 if values.dtype.kind == "i" else np.float64
        return np.array([values[a:b].sum(dtype=kind) for a, b in spans], kind)


def evolve(snapshot: Snapshot) -> dict[str, Any]:
    """Return all curves of a stage as plain data; remembered by the snapshot.

    Shares are in [0, 1], lengths in tokens, words in occurrences per 1,000 completions; None where there was nothing to measure.
    """
    if "evolution" not in snapshot.cache:
        snapshot.cache["evolution"] = _evolve(Evolution(snapshot), snapshot)
    found: dict[str, Any] = snapshot.cache["evolution"]
    return found


def _evolve(curves: Evolution, snapshot: Snapshot) -> dict[str, Any]:
    snapshot.load(*_COLUMNS)
    column = snapshot.column
    tokens, correct = column("tokens"), column("correct")
    right, wrong = correct == 1, correct == 0
    graded = correct >= 0
    reflects = column("reflections") > 0
    counts = curves.word_counts()
    per_1000 = 1000 * counts / np.maximum(curves.count, 1)[:, None]
    low, median, high = curves.quantiles(tokens, (0.1, 0.5, 0.9))
    return {
        "steps": curves.steps(),
        "completions": curves.count.tolist(),
        "words": {word: per_1000[:, place].tolist() for place, word in enumerate(WORDS)},
        "onsets": [_plain_onset(onset) for onset in onsets(curves.steps(), counts, curves.count)],
        "reflects": curves.mean(reflects),
        "length": {
            "mean": curves.mean(tokens), "right": curves.mean(tokens, right), "wrong": curves.mean(tokens, wrong),
            "low": low, "median": median, "high": high,
        },
        "truncated": curves.mean(column("truncated")),
        "accuracy": curves.mean(right, graded),
        "accuracy_by_kind": dict(_by_text(curves, snapshot, "kind", right, graded)),
        "accuracy_by_level": by_level(curves, snapshot, right, graded),
        "mixed": curves.mean(column("mixed")),
        "mixed_by_language": dict(_by_text(curves, snapshot, "language", column("mixed"), np.ones(len(tokens), bool))),
        "corrected": {
            kind: curves.mean((column("correction") == place) & right)
            for place, kind in enumerate(KINDS, start=1)
        },
        "right_if_reflects": curves.mean(right, graded & reflects),
        "right_if_not": curves.mean(right, graded & ~reflects),
        "reflection_pays": reflection_pays(snapshot, right, graded, reflects),
    }  # fmt: skip


def onsets(steps: list[tuple[int, int]], counts: np.ndarray, completions: np.ndarray) -> list[Onset]:
    """Find when each word rose, the most used first; words that never occur are left out.

    A bin counts as risen if its occurrences per completion are at least twice those of the first tenth of the bins and more
    than 3 standard deviations (Poisson) above them; the rise begins at the first bin from which on, in the next tenth of all
    bins, most are risen.
    """
    edge = max(1, math.ceil(_EDGE_FRAC * len(steps)))
    found = []
    for place in np.argsort(-counts.sum(axis=0), kind="stable"):
        total = int(counts[:, place].sum())
        if not total:
            continue
        start = counts[:edge, place].sum() / max(1, completions[:edge].sum())
        end = counts[-edge:, place].sum() / max(1, completions[-edge:].sum())
        expected = start * completions
        risen = counts[:, place] > np.maximum(
            _ONSET_GROWTH * expected, expected + _ONSET_SIGMAS * np.sqrt(expected + 1)
        )
        step = next(
            (steps[i][0] for i in range(edge, len(steps)) if risen[i] and risen[i : i + edge].mean() > 0.5),
            None,
        )
        found.append(Onset(WORDS[place], total, 1000 * float(start), 1000 * float(end), step))
    return found


def by_level(
    curves: Evolution, snapshot: Snapshot, right: np.ndarray, graded: np.ndarray
) -> dict[str, list[float | None]]:
    """Return the accuracy over the steps of problems of each level.

    A problem's level is the share of right answers in the group that met it first. That group itself does not count in the curve:
    it was selected by its own chance.
    """
    if not snapshot.num_rows:
        return {}
    problems = snapshot.column("prompt_id")
    groups = group_keys(snapshot)
    num_problems = len(snapshot.values("prompt_id"))
    first_group = np.zeros(num_problems, groups.dtype)
    first_group[problems[::-1]] = groups[::-1]  # of equal problems the last one stays, which is the earliest
    is_first = groups == first_group[problems]
    here = np.flatnonzero(is_first & graded)
    met = np.bincount(problems[here], minlength=num_problems)
    share = np.bincount(problems[here[right[here]]], minlength=num_problems) / np.maximum(met, 1)
    kinds = np.select([met == 0, share == 0, share < 0.5, share < 1], [-1, 0, 1, 2], 3).astype(np.int8)
    level = np.where(graded & ~is_first, kinds[problems], np.int8(-1))
    return {
        name: curves.mean(right, level == place)
        for place, name in enumerate(LEVELS)
        if (level == place).any()
    }


def group_keys(snapshot: Snapshot) -> np.ndarray:
    """(rows,) a number >= 0 for the group of each row, which other groups do not have."""
    group = snapshot.column("group")
    sizes = int(group.max(initial=0)) + 1
    kind = np.int32 if 8 * sizes * len(snapshot.files) < 2**31 else np.int64
    first = np.arange(0, sizes * len(snapshot.files), sizes, dtype=kind)
    return np.repeat(first, np.diff(snapshot.starts)) + group


def reflection_pays(
    snapshot: Snapshot, right: np.ndarray, graded: np.ndarray, reflects: np.ndarray
) -> dict[str, Any]:
    """Compare, within groups, completions with and without reflection words: the same problem, the same policy.

    Returns:
        the mean over groups that have both of (share right with - share right without), its 95% interval, and how many groups.
    """
    keys = group_keys(snapshot)
    cells = 4 * keys + 2 * reflects.view(np.int8) + right.view(np.int8)
    table = np.bincount(cells[graded], minlength=4 * (int(keys.max(initial=0)) + 1)).reshape(-1, 2, 2)
    counts = [table[:, side].sum(axis=1) for side in (1, 0)]  # with a reflection word, and without
    shares = [table[:, side, 1] / np.maximum(count, 1) for side, count in zip((1, 0), counts, strict=True)]
    both = (counts[0] > 0) & (counts[1] > 0)
    differences = (shares[0] - shares[1])[both]
    if len(differences) < 2:
        return {"groups": len(differences), "mean": None, "low": None, "high": None}
    mean, half = (
        float(differences.mean()),
        1.96 * float(differences.std(ddof=1)) / math.sqrt(len(differences)),
    )
    return {"groups": len(differences), "mean": mean, "low": mean - half, "high": mean + half}


def _by_text(
    curves: Evolution, snapshot: Snapshot, name: str, values: np.ndarray, where: np.ndarray
) -> Iterator[tuple[str, list[float | None]]]:
    codes = snapshot.column(name)
    for code, value in sorted(enumerate(snapshot.values(name)), key=lambda item: item[1]):
        here = where & (codes == code)
        if here.any():
            yield value, curves.mean(values, here)


def _plain_onset(onset: Onset) -> Mapping[str, Any]:
    return {**vars(onset), "growth": onset.growth}
