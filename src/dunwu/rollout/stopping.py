"""Stop strings: which token completes one.

A string can be spelt by tokens in many ways, so the text is what is looked at: that of the last few tokens,
and only where the last token's own text could be the end of a string. Called by `rollout.embedded` for each
drawn token.
"""

from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedTokenizerBase

_REPLACEMENT = "\ufffd"
_SPARE_TOKENS = 8


class StopStrings:
    """Tells whether a completion's last token completes one of some strings."""

    def __init__(self, strings: tuple[str, ...], tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises ValueError: an empty string."""
        if "" in strings:
            raise ValueError("stop_strings holds an empty string, which would end every completion at once")
        self.strings = strings
        self._tokenizer = tokenizer
        self._window = max((len(string.encode()) for string in strings), default=0) + _SPARE_TOKENS
        self._can_end = self._tokens_that_can_end() if strings else np.zeros(0, dtype=bool)

    def candidates(self, token_ids_B: np.ndarray) -> list[int]:
        """Rows whose token could be the last of a stop string."""
        if not self.strings:
            return []
        known = token_ids_B < len(self._can_end)
        return np.flatnonzero(known & self._can_end[np.where(known, token_ids_B, 0)]).tolist()

    def ends(self, token_ids: Sequence[int] | np.ndarray) -> bool:
        """Whether the last of these tokens completes a stop string.

        The window has a token for each byte of the longest string and some to spare, so the string is never
        cut; a string that the window held before its last token came does not count.
        """
        window = [int(token) for token in token_ids[-self._window :]]
        text, before = self._text(window), self._text(window[:-1])
        return any(text.count(string) > before.count(string) for string in self.strings)

    def _text(self, token_ids: list[int]) -> str:
        text = self._tokenizer.decode(
            token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        assert isinstance(text, str)
        return text

    def _tokens_that_can_end(self) -> np.ndarray:
        """Tokens whose text holds the last character of a string, or is a piece of a character."""
        last = {string[-1] for string in self.strings} | {_REPLACEMENT}
        texts = [self._text([token]) for token in range(len(self._tokenizer))]
        return np.array([not last.isdisjoint(text) for text in texts])
