"""Tells thinking from answer in a completion, whole or as it streams, and writes each in its own style.

Text of a model is never read as markup.
"""

from collections.abc import Callable, Iterator, Sequence

from rich.text import Text

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
STYLES = {"text": "", "thinking": "dim italic", "answer": "bold green", "tag": "dim cyan"}


class ThinkingSplitter:
    """Cuts a stream of text into pieces of thinking, answer, tags and other text; tags may come in parts."""

    def __init__(self, *, thinking: bool = False) -> None:
        """`thinking`: the text begins inside a think block that the prompt opened."""
        self._kind = "thinking" if thinking else "text"
        self._held = ""

    def push(self, text: str) -> Iterator[tuple[str, str]]:
        """Take in more text; yield (kind, piece) for all of it that is certain. Kinds are the keys of
        STYLES."""
        text = self._held + text
        while True:
            found = [(text.find(tag), tag) for tag in TAGS if tag in text]
            if not found:
                break
            start, tag = min(found)
            if start:
                yield self._kind, text[:start]
            yield "tag", tag
            self._kind = {"<think>": "thinking", "<answer>": "answer"}.get(tag, "text")
            text = text[start + len(tag) :]
        keep = _begun_tag(text)
        self._held = text[len(text) - keep :]
        if len(text) > keep:
            yield self._kind, text[: len(text) - keep]

    def finish(self) -> Iterator[tuple[str, str]]:
        """Yield what was held back because it might have become a tag."""
        if self._held:
            yield self._kind, self._held
        self._held = ""


def _begun_tag(text: str) -> int:
    """Count the characters at the end of `text` that may be the beginning of a tag."""
    for length in range(min(len(text), max(map(len, TAGS)) - 1), 0, -1):
        if any(tag.startswith(text[-length:]) for tag in TAGS):
            return length
    return 0


def styled(text: str, *, thinking: bool = False) -> Text:
    """Return a whole completion with thinking, answer and tags in their styles."""
    splitter = ThinkingSplitter(thinking=thinking)
    result = Text()
    for kind, piece in [*splitter.push(text), *splitter.finish()]:
        result.append(piece, style=STYLES[kind])
    return result


class TokenStream:
    """Turns tokens into text as they come, without ever showing half a character."""

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._num_shown = 0  # tokens of the window whose text has been returned

    def push(self, token_id: int) -> str:
        """Take in a token; return the text that it completes, possibly none."""
        self._window.append(token_id)
        fresh = self._fresh()
        if not fresh or fresh.endswith("\ufffd"):
            return ""
        # The tokens shown last stay in the window: decoders write a token differently at the start of a text.
        self._window = self._window[self._num_shown :]
        self._num_shown = len(self._window)
        return fresh

    def finish(self) -> str:
        """Return what is left, half characters as the decoder writes them."""
        return self._fresh()

    def _fresh(self) -> str:
        shown = self._decode(self._window[: self._num_shown])
        return self._decode(self._window)[len(shown) :]
