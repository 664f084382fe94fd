"""Finds training texts that an evaluation item leaks into: by a shared run of words, or by the whole question.

    leak  <=>  an n-gram of the text is one of the item's question or reference solution,
               or one of the text's questions is the item's question

Runs of words that many items of one set share, whatever the numbers in them, are common text: an instruction, a template, the
mould of a generator. An n-gram counts only if at least half of it is something else.
Knows texts only; where they come from is
`data.evaluation_sets`. Source: DeepSeek-R1 v2, D.1 (10-grams against questions or reference solutions). Departures: the
normalisation, the rule for common text, and whole questions for what is shorter or generated; see docs/departures.md.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dunwu.data.comparable_text import comparable_tokens


@dataclass(frozen=True)
class EvaluationItem:
    """One problem of an evaluation set.

    Args:
        set_name: what reports call its set.
        id: what they call the item.
        solution: of the reference; "" if there is none.
        whole_only: compare its question as a whole alone, for problems that a generator makes from one mould.
    """

    set_name: str
    id: str
    question: str
    solution: str = ""
    whole_only: bool = False


class Leak(NamedTuple):
    """An evaluation item that a training text gives away, and the words they share."""

    item: EvaluationItem
    shared: str


@dataclass(frozen=True)
class _Part:
    """The question (part 0) or the solution (part 1) of one item: its n-grams stand at [start, stop) of the flat arrays."""

    item: int
    part: int
    start: int
    stop: int


class LeakIndex:
    """All evaluation items, ready to be compared with many training texts.

    Args:
        ngram_size: tokens that two texts must share, see `comparable_tokens`.
        common_items: an n-gram that more items of one set hold is common text; of a set with fewer than 10 * common_items
            items, more than a tenth of them (and at least one).
    """

    def __init__(self, items: Iterable[EvaluationItem], ngram_size: int, common_items: int) -> None:
        self.items = tuple(items)
        self._size = ngram_size
        self._weights = np.array(
            [int.from_bytes(sha256(b"%d" % i).digest()[:8], "big") | 1 for i in range(ngram_size)], np.uint64
        )
        self._ids: dict[str, int] = {}
        self._questions: dict[tuple[str, ...], int] = {}
        hashes, moulds, parts = self._collect()
        common = self._common(moulds, parts, common_items)
        kept = np.flatnonzero(self._telling(common, parts))
        order = kept[np.argsort(hashes[kept], kind="stable")]
        self._hashes = hashes[order]
        self._positions = order  # where in the flat arrays each n-gram of the index stands
        self._parts = parts
        self._starts = np.array([part.start for part in parts], np.int64)

    def _tokens(self, part: _Part) -> list[str]:
        found = self.items[part.item]
        return comparable_tokens(found.solution if part.part else found.question)

    def _collect(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64], list[_Part]]:
        """Note every question, and lay the n-grams of all texts end to end.

        Returns:
            Their hashes; their hashes with all numbers taken as one; and where each text's n-grams stand.
        """
        hashes, moulds = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
        parts: list[_Part] = []
        count = 0
        for index, item in enumerate(self.items):
            question = comparable_tokens(item.question)
            if question:
                self._questions.setdefault(tuple(question), index)
            if item.whole_only:
                continue
            for number, tokens in enumerate((question, comparable_tokens(item.solution))):
                ids = [self._ids.setdefault(token, len(self._ids) + 1) for token in tokens]
                windows = self._windows(ids)
                if len(windows):
                    hashes.append(windows)
                    moulds.append(
                        self._windows([0 if t[0].isdigit() else i for t, i in zip(tokens, ids, strict=True)])
                    )
                    parts.append(_Part(index, number, count, count + len(windows)))
                    count += len(windows)
        return np.concatenate(hashes), np.concatenate(moulds), parts

    def _windows(self, ids: Sequence[int]) -> NDArray[np.uint64]:
        """(max(0, len(ids) - n + 1),) a hash of each n-gram; 64 bits, so that what they find is compared again."""
        if len(ids) < self._size:
            return np.zeros(0, np.uint64)
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(ids, np.uint64), self._size)
        return (windows * self._weights).sum(axis=1, dtype=np.uint64)

    def _common(
        self, hashes: NDArray[np.uint64], parts: Sequence[_Part], common_items: int
    ) -> NDArray[np.bool_]:
        """(number of n-grams,) whether each hash stands in many items of its set."""
        common = np.zeros(len(hashes), bool)
        item_of = np.repeat([part.item for part in parts], [part.stop - part.start for part in parts]).astype(
            np.uint64
        )
        sizes = Counter(item.set_name for item in self.items)
        for name, size in sizes.items():
            inside = np.array([item.set_name == name for item in self.items], bool)[item_of]
            per_item = np.unique(np.stack([hashes[inside], item_of[inside]], axis=1), axis=0)
            found, counts = np.unique(per_item[:, 0], return_counts=True)
            limit = min(common_items, max(1, size // 10))
            common[inside] = np.isin(hashes[inside], found[counts > limit])
        return common

    def _telling(self, common: NDArray[np.bool_], parts: Sequence[_Part]) -> NDArray[np.bool_]:
        """(number of n-grams,) whether at least half of each one's tokens are outside of common text."""
        telling = np.zeros(len(common), bool)
        for part in parts:
            windows = common[part.start : part.stop]
            covered = (
                np.convolve(windows, np.ones(self._size, int)) > 0
            )  # one flag for each token of the text
            own = np.convolve(~covered, np.ones(self._size, int), mode="valid")
            telling[part.start : part.stop] = 2 * own >= self._size
        return telling

    def find(self, questions: Sequence[str], texts: Sequence[str] = ()) -> Leak | None:
        """Return the first evaluation item that a training sample gives away, None if it gives none away.

        Args:
            questions: what the sample asks; each, and each of its lines, is compared as a whole as well.
            texts: what else it holds: reference solutions, thinking, answers.
        """
        if not self.items:
            return None
        for question in questions:
            for part in (question, *question.splitlines()):
                index = self._questions.get(tuple(comparable_tokens(part)))
                if index is not None:
                    return Leak(self.items[index], self.items[index].question)
        for text in (*questions, *texts):
            leak = self._find_ngram(comparable_tokens(text))
            if leak is not None:
                return leak
        return None

    def _find_ngram(self, tokens: Sequence[str]) -> Leak | None:
        ids = [self._ids.get(token, 0) for token in tokens]
        windows = self._windows(ids)
        if not len(windows) or not len(self._hashes):
            return None
        at = np.searchsorted(self._hashes, windows)
        hits = np.flatnonzero(self._hashes[np.minimum(at, len(self._hashes) - 1)] == windows)
        for start in hits.tolist():
            position = int(self._positions[at[start]])
            part = self._parts[int(np.searchsorted(self._starts, position, side="right")) - 1]
            first = position - part.start
            gram = list(tokens[start : start + self._size])
            if self._tokens(part)[first : first + self._size] == gram:
                return Leak(self.items[part.item], " ".join(gram))
        return None
