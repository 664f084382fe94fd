"""The hand that writes the embedded world's corpus: its words in two languages, its shares of styles and errors, its dice.

Called by `corpus`, `program_corpus` and `general_answers`.
"""

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class CorpusShares:
    """Probabilities from which the corpus is drawn. The shares of documents and of styles each sum to 1."""

    template_documents: float = 0.28
    tables: float = 0.37  # the rest are plain questions and answers
    bare: float = 0.58
    short: float = 0.25  # the rest is careful
    bare_right: float = 0.40
    slip: float = 0.03  # per step or check, in short and in careful work
    unnoticed: float = 0.03  # of the slips that a check meets
    broken_tags: float = 0.22
    mixed_language: float = 0.06
    general: float = 0.15  # of the questions: general prompts


SHARES = CorpusShares()
TEXTBOOK = CorpusShares(
    template_documents=0.1, tables=0.15, bare=0.0, short=0.0, slip=0.0, broken_tags=0.0, mixed_language=0.0
)
Style = Literal["bare", "short", "careful"]

WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "bare": ("I know this.", "Easy.", "I guess.", "By heart."),
        "steps": ("Step by step: ", "Let me think. ", ""),
        "check": ("Check: ", "Let me check: ", "Verify: "),
        "right": ("correct.", "right."),
        "repair": "wait, that was a mistake, ",
        "try": "try {}",
        "first": "Try {}",
        "too_big": "too big",
        "below": "below 0",
        "no": "no. ",
        "wait": ("Wait, ", "But wait, ", "However, "),
        "yes": "yes.",
        "looks": ("{} looks right.", "I take {}.", "Maybe {}."),
        "sep": ", ",
        "end": ".",
        "gap": " ",
    },
    "zh": {
        "bare": ("我知道。", "简单。", "我猜。", "背过。"),
        "steps": ("一步一步算：", "想一想。", ""),
        "check": ("检查：", "验算：", "再检查一遍："),
        "right": ("正确。", "没错。"),
        "repair": "等等，刚才错了，",
        "try": "试{}",
        "first": "试{}",
        "too_big": "太大",
        "below": "小于0",
        "no": "不对。",
        "wait": ("等等，再", "不过等等，", "但是，再"),
        "yes": "对。",
        "looks": ("{}应该对。", "就选{}。", "也许是{}。"),
        "sep": "，",
        "end": "。",
        "gap": "",
    },
}


@dataclass(frozen=True)
class Hand:
    """Who writes: in which language, with which shares of errors, and the dice."""

    language: str
    shares: CorpusShares
    rng: random.Random

    @property
    def words(self) -> dict[str, Any]:
        """The words of the language."""
        return WORDS[self.language]

    def pick(self, name: str) -> str:
        """One of the ways to say `name`."""
        return self.rng.choice(self.words[name])

    def list(self, items: Iterable[object]) -> str:
        return str(self.words["sep"]).join(map(str, items))

    def slips(self, factor: int = 1) -> bool:
        return self.rng.random() < factor * self.shares.slip


Solution = tuple[str, str]  # thinking, answer


def slipped(value: int, rng: random.Random) -> int:
    """A wrong result as people write it: off by one, by two, by ten, or with its digits turned."""
    choices = [value - 1, value + 1, value - 2, value + 2, value - 10, value + 10]
    if 10 <= value < 100:
        choices.append(int(str(value)[::-1]))
    return rng.choice([choice for choice in choices if choice != value and (choice >= 0 or value < 0)])


def step_text(left: int, op: str, right: int, result: int) -> str:
    """`left op right = result`"""
    return f"{left}{op}{right}={result}"


def comparison_text(value: int, wanted: int, words: Mapping[str, Any]) -> str:
    """How a value is held against the wanted one: by their difference, or at a glance where it is out of range."""
    if value < 0:
        return str(words["below"])
    return str(words["too_big"]) if value > 99 else step_text(value, "-", wanted, value - wanted)
