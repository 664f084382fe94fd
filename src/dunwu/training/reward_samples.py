"""Preference rows as token samples, and how they lie in packed rows: a question once for all its responses, a pair never parted.

Called by the reward-model stage, its update and its evaluation.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerBase

from dunwu.config.output_form import OutputForm
from dunwu.config.reward_model import RewardModelStage
from dunwu.data.packing import PackSequence, pack
from dunwu.data.preferences import PreferenceRow
from dunwu.data.separation import question_hash
from dunwu.errors import DataError
from dunwu.functional.packing import PackItem, plan_rows
from dunwu.models.reward_model import RewardModel, ScoreRow, question_ids, response_ids
from dunwu.rewards.answers import final_summary

Reason = Literal["without_summary", "same_summary", "too_long"]


@dataclass(frozen=True)
class RewardSample:
    """A row as tokens: the question, then each response with its end. `group` is the same for all rows of one question."""

    where: str
    group: str
    question_ids: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    safe: bool | None = None

    @property
    def longest(self) -> int:
        """Tokens of the longest conversation."""
        return len(self.question_ids) + max(map(len, self.responses))

    @property
    def num_tokens(self) -> int:
        """Tokens that are computed for it, the question once."""
        return len(self.question_ids) + sum(map(len, self.responses))


@dataclass(frozen=True)
class RewardSamples:
    """Samples in the order of their rows, and how many rows were left out, by the reason."""

    samples: tuple[RewardSample, ...]
    left_out: dict[str, int]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sample's longest conversation."""
        return np.array([sample.longest for sample in self.samples], dtype=np.int64)

    def fingerprint(self) -> str:
        """Return 32 hex digits that change when any token, label, or the order changes."""
        digest = blake2b(digest_size=16)
        for sample in self.samples:
            digest.update(repr((sample.question_ids, sample.responses, sample.safe)).encode())
        return digest.hexdigest()


def build_samples(
    rows: Sequence[PreferenceRow], tokenizer: PreTrainedTokenizerBase, config: RewardModelStage
) -> RewardSamples:
    """Turn rows into samples; of pairs the thinking is cut off first.

    Raises:
        DataError: nothing is left, or a conversation is longer than max_tokens and `too_long` is "error".
    """
    samples = []
    left_out: Counter[str] = Counter()
    for row in rows:
        sample = _sample(row, tokenizer, config.output_form)
        if isinstance(sample, RewardSample) and sample.longest > config.max_tokens:
            if config.too_long == "error":
                raise DataError(
                    f"{row.where} has a conversation of {sample.longest} tokens, and max_tokens is {config.max_tokens}; raise "
                    'it, or leave such rows out with too_long = "drop"'
                )
            sample = "too_long"
        if isinstance(sample, RewardSample):
            samples.append(sample)
        else:
            left_out[sample] += 1
    if not samples:
        raise DataError(
            f"none of {len(rows)} rows can be used ({_told(left_out)}), the first is {rows[0].where}; raise max_tokens, or look "
            "at output_form"
        )
    return RewardSamples(tuple(samples), dict(sorted(left_out.items())))


def _told(left_out: Counter[str]) -> str:
    return ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in left_out.most_common())


def _sample(
    row: PreferenceRow, tokenizer: PreTrainedTokenizerBase, form: OutputForm
) -> RewardSample | Reason:
    texts = row.responses
    if row.safe is None:
        summaries = [final_summary(text, form) for text in texts]
        texts = tuple(summary for summary in summaries if summary)
        if len(texts) < len(summaries):
            return "without_summary"
        if len(set(texts)) < len(texts):
            return "same_summary"
    return RewardSample(
        row.where,
        question_hash(row.question),
        question_ids(tokenizer, row.question),
        tuple(response_ids(tokenizer, text) for text in texts),
        row.safe,
    )


@dataclass(frozen=True)
class PackedSamples:
    """Samples laid into one row: number `members[i]` of those given has its responses' scores at the places `scores[i]`."""

    row: ScoreRow
    members: tuple[int, ...]
    scores: tuple[tuple[int, ...], ...]


def pack_reward_samples(
    samples: Sequence[RewardSample], max_tokens: int, reward_model: RewardModel
) -> list[PackedSamples]:
    """Pack samples into rows of at most max_tokens, best fit first. All of a sample lies in one row; a question, and a response
    that several pairs of it have, are computed once in a row.

    Args:
        max_tokens: not less than the largest sample's `num_tokens`.
    Returns:
        Rows in the order of their first sample.
    """
    items = [PackItem(s.question_ids, len(s.question_ids), sum(map(len, s.responses))) for s in samples]
    return [
        _lay_out(members, [samples[index] for index in members], max_tokens, reward_model)
        for members in plan_rows(items, max_tokens)
    ]


def _lay_out(
    members: tuple[int, ...], samples: Sequence[RewardSample], max_tokens: int, reward_model: RewardModel
) -> PackedSamples:
    places: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = {}
    scores = tuple(
        tuple(
            places.setdefault((sample.question_ids, response), len(places)) for response in sample.responses
        )
        for sample in samples
    )
    # a row holds what predicts something, and the last token of a sequence predicts nothing: one more keeps it
    sequences = [PackSequence(question, (*response, 0)) for question, response in places]
    (packed,) = pack(sequences, max_tokens, reward_model.device)
    last = []
    start = 0
    for question, response in places:
        place = reward_model.last_place((*question, *response)) - len(question)
        assert place >= -1, "the question ends in padding"
        # target number i of a sequence is read at the row of response token i - 1, and number 0 at the question's last row
        last.append(start + place + 1)
        start += len(response) + 1
    source_N = packed.batch.source_N
    row = ScoreRow(
        packed.batch.token_ids_T,
        packed.batch.position_ids_T,
        packed.batch.segments,
        source_N.index_select(0, reward_model.tensor(last)),
    )
    return PackedSamples(row, members, scores)
