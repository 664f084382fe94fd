"""From rendered samples to token ids, and which of them are trained on.

Shown and trained text meet at a token boundary, as they do when the model is asked: the shown text is tokenised before anything
is written. So pieces are tokenised one by one. A tokenizer that writes something of its own before every text (a leading space
in old SentencePiece models) cannot do that: there the whole text is tokenised, and character offsets tell the pieces apart.

Called by `data.sft_samples`.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dunwu.data.chat import RenderedSample
from dunwu.errors import DataError

_PROBES = (("a", "b"), ("a", " b"), ("a\n", "b"), ("好", "的"))


@dataclass(frozen=True)
class TokenSample:
    """A sample as token ids: (T,) int32, and (T,) bool, which of them are trained on. The first one is not, the last one is."""

    where: str
    token_ids: NDArray[np.int32]
    trained: NDArray[np.bool_]


class SampleTokenizer:
    """Tokenises samples with a transformers tokenizer, whose own special tokens before and after a text are left out."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.in_pieces = all(self._joins(*probe) for probe in _PROBES)

    def tokenise(self, samples: Sequence[RenderedSample]) -> list[TokenSample]:
        """Return the samples as tokens, in order.

        Raises:
            DataError: no token or every token of a sample would be trained, one lies across the border of two pieces, or the
                token that ends a turn stands inside one; the message names the sample.
        """
        found = self._in_pieces(samples) if self.in_pieces else self._by_offsets(samples)
        for sample, tokens in zip(samples, found, strict=True):
            self._check(sample, tokens)
        return found

    def _joins(self, left: str, right: str) -> bool:
        """Whether two texts tokenised one by one are the text."""
        ids = [*self._ids([left])[0], *self._ids([right])[0]]
        return str(self.tokenizer.decode(ids, skip_special_tokens=False)) == left + right

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return list(self.tokenizer(texts, add_special_tokens=False)["input_ids"])

    def _in_pieces(self, samples: Sequence[RenderedSample]) -> list[TokenSample]:
        pieces = iter(self._ids([piece for sample in samples for piece in sample.pieces]))
        result = []
        for sample in samples:
            parts = [next(pieces) for _ in sample.pieces]
            trained = np.repeat(np.arange(len(parts)) % 2 == 1, [len(part) for part in parts])
            token_ids = np.array([token for part in parts for token in part], dtype=np.int32)
            result.append(TokenSample(sample.where, token_ids, trained))
        return result

    def _by_offsets(self, samples: Sequence[RenderedSample]) -> list[TokenSample]:
        encoded = self.tokenizer(
            [sample.text for sample in samples], add_special_tokens=False, return_offsets_mapping=True
        )
        result = []
        for sample, ids, offsets in zip(
            samples, encoded["input_ids"], encoded["offset_mapping"], strict=True
        ):
            ends = list(accumulate(len(piece) for piece in sample.pieces))
            places = [bisect_right(ends, start) for start, _ in offsets]
            for place, (start, end) in zip(places, offsets, strict=True):
                if start < end and end > ends[place]:
                    raise DataError(
                        f"{sample.where}: one token holds {sample.text[start:end]!r}, part of which is trained on and part "
                        "not; let the template write a special token or a line break before the assistant's text"
                    )
            trained = np.array(places) % 2 == 1
            result.append(TokenSample(sample.where, np.array(ids, dtype=np.int32), trained))
        return result

    def _check(self, sample: RenderedSample, tokens: TokenSample) -> None:
        if not tokens.trained.any() or tokens.trained.all():
            how_many = "every token" if tokens.trained.any() else "no token"
            raise DataError(
                f"{sample.where}: {how_many} of the sample would be trained on ({len(tokens.trained)} tokens of "
                f"{sample.text[:80]!r}); check the conversation and its template"
            )
        end = self.tokenizer.convert_tokens_to_ids(sample.end)
        is_last = np.diff(tokens.trained.astype(np.int8), append=np.int8(0)) == -1
        is_end = (tokens.token_ids == end) & tokens.trained
        if (is_end != is_last).any():
            what = "before its end" if (is_end & ~is_last).any() else "not as one token at its end"
            raise DataError(
                f"{sample.where}: an assistant's text holds {sample.end!r}, the token that ends a turn, {what}; take it out of "
                "the text, and check the template"
            )
