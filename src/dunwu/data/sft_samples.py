"""A whole set of samples as token ids, ready to be packed: rendered, tokenised, and what is too long dealt with by name.

Text is gone through once, in blocks, and not kept. Called by the fine-tuning stage.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dunwu.data.chat import ChatForm, render_samples
from dunwu.data.chat_tokens import SampleTokenizer, TokenSample
from dunwu.data.conversations import Conversation
from dunwu.errors import DataError

_BLOCK = 512  # conversations tokenised at a time, so that the tokenizer can use all cores


@dataclass(frozen=True)
class SampleCounts:
    """What became of the conversations. Tokens are those of the samples that stayed."""

    conversations: int
    samples: int
    left_out_too_long: int
    cut_too_long: int
    tokens: int
    trained_tokens: int


@dataclass(frozen=True)
class SampleSet:
    """Samples laid end to end: sample i is [starts[i], starts[i + 1]) of the flat arrays.

    Args:
        token_ids: (sum of lengths,) int32.
        trained: (sum of lengths,) bool.
        starts: (number of samples + 1,) int64.
        names: where each sample stands in its file.
        end_tokens: with which turns end; more than one only where a template ends turns in several ways.
    """

    token_ids: NDArray[np.int32]
    trained: NDArray[np.bool_]
    starts: NDArray[np.int64]
    names: tuple[str, ...]
    end_tokens: tuple[str, ...]
    counts: SampleCounts

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> TokenSample:
        if not 0 <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        span = slice(self.starts[index], self.starts[index + 1])
        return TokenSample(self.names[index], self.token_ids[span], self.trained[span])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(number of samples,) tokens of each."""
        return np.diff(self.starts)

    def fingerprint(self) -> str:
        """Return 32 hex digits that change when any token, its being trained, or the order of the samples changes."""
        digest = blake2b(digest_size=16)
        for array in (self.token_ids, self.trained, self.starts):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def build_samples(
    conversations: Iterable[Conversation],
    form: ChatForm,
    *,
    max_tokens: int,
    too_long: Literal["drop", "cut", "error"],
) -> SampleSet:
    """Render and tokenise conversations.

    A sample that is cut keeps its first `max_tokens` tokens, without those at its end that are not trained on; what it would
    have ended with is lost. One of which nothing trained would be left is left out.

    Raises:
        DataError: what rendering and tokenising raise; a sample longer than max_tokens with too_long "error"; no sample left.
    """
    tokenizer = SampleTokenizer(form.tokenizer)
    kept: list[TokenSample] = []
    ends: set[str] = set()
    num_conversations = num_samples = num_cut = 0
    for block in _blocks(conversations):
        num_conversations += len(block)
        rendered = [sample for c in block for sample in render_samples(form, c)]
        ends |= {sample.end for sample in rendered}
        samples = tokenizer.tokenise(rendered)
        num_samples += len(samples)
        for sample in samples:
            fitted = sample if len(sample.token_ids) <= max_tokens else _fit(sample, max_tokens, too_long)
            if fitted is not None:
                kept.append(fitted)
                num_cut += fitted is not sample
    if not kept:
        raise DataError(
            f"no sample is left: {num_conversations} conversations gave {num_samples} samples, all of them longer than "
            f"max_tokens = {max_tokens}; raise max_tokens, or check the data"
        )
    trained = np.concatenate([sample.trained for sample in kept])
    counts = SampleCounts(
        conversations=num_conversations,
        samples=len(kept),
        left_out_too_long=num_samples - len(kept),
        cut_too_long=num_cut,
        tokens=len(trained),
        trained_tokens=int(trained.sum()),
    )
    return SampleSet(
        token_ids=np.concatenate([sample.token_ids for sample in kept]),
        trained=trained,
        starts=np.cumsum([0, *(len(sample.token_ids) for sample in kept)], dtype=np.int64),
        names=tuple(sample.where for sample in kept),
        end_tokens=tuple(sorted(ends)),
        counts=counts,
    )


def _blocks(conversations: Iterable[Conversation]) -> Iterator[Sequence[Conversation]]:
    source = iter(conversations)
    while block := list(islice(source, _BLOCK)):
        yield block


def _fit(
    sample: TokenSample, max_tokens: int, too_long: Literal["drop", "cut", "error"]
) -> TokenSample | None:
    """The sample within max_tokens; None: it is left out."""
    if too_long == "error":
        raise DataError(
            f"{sample.where} has {len(sample.token_ids)} tokens, more than max_tokens = {max_tokens}; raise max_tokens, or "
            'set too_long = "drop" to leave such samples out, or "cut" to train on their beginnings'
        )
    trained = np.flatnonzero(sample.trained[:max_tokens])
    if too_long == "drop" or len(trained) == 0:
        return None
    end = int(trained[-1]) + 1
    return TokenSample(sample.where, sample.token_ids[:end], sample.trained[:end])
