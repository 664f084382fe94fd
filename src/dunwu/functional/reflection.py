"""Reflection words in a completion: the paper's ten and their Chinese counterparts. Pure text, no tensors.

Called by the training metrics, the evaluation and the analysis, so that "checks itself" means the same everywhere.
"""

import re
from collections import Counter
from collections.abc import Iterator

ENGLISH = ("wait", "mistake", "however", "but", "retry", "error", "verify", "wrong", "evaluate", "check")
CHINESE = ("等等", "错", "不过", "但是", "再试", "验算", "检查", "验证", "重新", "不对")

_PATTERN = re.compile(
    r"\b(" + "|".join(ENGLISH) + r")(?:s|es|ed|d|ing)?\b|(" + "|".join(CHINESE) + ")", re.IGNORECASE
)


def reflection_words(text: str) -> Counter[str]:
    """Count the reflection words of a text, inflected forms under their base word.

    Source: DeepSeek-R1 v2, C.2, figure 9 (facts.md section 2): wait, mistake, however, but, retry, error, verify, wrong,
        evaluate, check.
    Departures: the Chinese words are ours (docs/departures.md).
    """
    return Counter((english or chinese).lower() for english, chinese in _PATTERN.findall(text))


def checks_itself(text: str) -> bool:
    """Whether a completion holds at least one reflection word."""
    return _PATTERN.search(text) is not None


def find_reflections(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and base word of each reflection word of a text, in order."""
    for match in _PATTERN.finditer(text):
        yield match.start(), match.end(), (match[1] or match[2]).lower()
