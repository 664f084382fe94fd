"""Rows for reward models: pairs of responses, and responses labelled as safe or unsafe; read, checked, parted by question.

Knows nothing of tokens or of how a response marks its thinking. Called by the reward-model stage.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from dunwu.config.reward_model import PreferenceRows
from dunwu.data.separation import question_hash
from dunwu.data.tables import Row, read_rows
from dunwu.errors import DataError


@dataclass(frozen=True)
class PreferenceRow:
    """A question with its responses, and where the row stands.

    Args:
        responses: the chosen and the rejected one, or the one that is labelled.
        safe: the label; None for a pair.
    """

    where: str
    question: str
    responses: tuple[str, ...]
    safe: bool | None = None


@dataclass(frozen=True)
class PreferenceSets:
    """What a recipe's rows give; no question is in both sets."""

    train: tuple[PreferenceRow, ...]
    held_out: tuple[PreferenceRow, ...]


def load_preferences(data: PreferenceRows, loss: Literal["pairwise", "pointwise"]) -> PreferenceSets:
    """Read all rows and part them into train and held-out, all rows of one question together.

    Without held-out source the questions whose hash is lowest are held out, until there are `num_held_out` rows: the choice
    depends on the questions alone, so that runs with different seeds are judged on the same rows.

    Raises:
        DataError: what `read_rows` raises; a row without text or label; a pair whose responses are the same; too few to hold out;
            a question in both sources; labels that are all the same.
    """
    rows = tuple(_read(data, data.train, data.split, loss))
    if data.held_out is not None or data.held_out_split is not None:
        held_out = tuple(_read(data, data.held_out or data.train, data.held_out_split or data.split, loss))
        sets = PreferenceSets(rows, held_out)
        _require_separate(sets)
    else:
        sets = _parted(rows, data)
    if loss == "pointwise":
        _require_both_labels(sets.train)
    return sets


def _parted(rows: Sequence[PreferenceRow], data: PreferenceRows) -> PreferenceSets:
    hashes = [question_hash(row.question) for row in rows]
    counts = Counter(hashes)
    chosen: set[str] = set()
    num_chosen = 0
    for question in sorted(counts):
        if num_chosen >= data.num_held_out:
            break
        chosen.add(question)
        num_chosen += counts[question]
    if len(chosen) == len(counts):
        raise DataError(
            f"{', '.join(data.train)}: {len(rows)} rows with {len(counts)} different questions are too few to hold out "
            f"{data.num_held_out}; set data.num_held_out lower, or name a data.held_out file"
        )
    marked = list(zip(rows, hashes, strict=True))
    return PreferenceSets(
        tuple(row for row, question in marked if question not in chosen),
        tuple(row for row, question in marked if question in chosen),
    )


def _require_separate(sets: PreferenceSets) -> None:
    questions = {question_hash(row.question) for row in sets.train}
    shared = [row.where for row in sets.held_out if question_hash(row.question) in questions]
    if shared:
        raise DataError(
            f"the questions of {len(shared)} of {len(sets.held_out)} held-out rows are in the training data too, the first is "
            f"that of {shared[0]}; take them out of one of the two"
        )


def _require_both_labels(rows: Sequence[PreferenceRow]) -> None:
    labels = Counter(row.safe for row in rows)
    if len(labels) < 2:
        only = "safe" if labels[True] else "unsafe"
        raise DataError(
            f"all {len(rows)} training rows are {only}, so there is nothing to tell apart; add rows of the other kind"
        )


def _read(
    data: PreferenceRows, sources: Sequence[str], split: str, loss: Literal["pairwise", "pointwise"]
) -> Iterator[PreferenceRow]:
    texts = [data.chosen_column, data.rejected_column] if loss == "pairwise" else [data.response_column]
    columns = [data.question_column, *texts, *([] if loss == "pairwise" else [data.safe_column])]
    for source in sources:
        for row in read_rows(source, columns, split=split, subset=data.subset):
            responses = tuple(_text(row, column) for column in texts)
            if len(set(responses)) < len(responses):
                raise DataError(f"{row.where}: chosen and rejected are the same text; take the row out")
            safe = None if loss == "pairwise" else _label(row, data.safe_column)
            yield PreferenceRow(row.where, _text(row, data.question_column), responses, safe)


def _text(row: Row, column: str) -> str:
    value = row.values[column]
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{row.where}: column {column!r} holds {_shown(value)}; it must be text, not empty")
    return value


def _label(row: Row, column: str) -> bool:
    value = row.values[column]
    if not isinstance(value, bool):
        raise DataError(f"{row.where}: column {column!r} holds {_shown(value)}; it must be true or false")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
