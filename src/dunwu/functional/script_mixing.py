"""Whether a completion is in another script than its question's language is written in. Pure text, no tensors.

A coarse and cheap look at every completion of every step, for stages that have no language reward; that reward tells words and
languages properly (`rewards.language`). Called by the training metrics.
"""

import re

_PASSED_OVER = re.compile(r"</?[A-Za-z_]+>|\\[A-Za-z]+")  # marks such as <think>, and LaTeX commands
_HAN = re.compile(r"[\u3400-\u9fff]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]{2,}")
FEWEST_WORDS = 10
"""Of fewer words and Chinese characters together nothing is said."""
MOST_HAN, MOST_LATIN = 0.1, 0.3
"""Shares of the other script above which a text counts: of Chinese characters in one that should be in Latin letters, and of
words in Latin letters in one that should be Chinese, where names and symbols are often Latin."""
_LATIN_LANGUAGES = frozenset(
    {"en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "no", "pl", "cs", "tr", "vi", "id"}
)


def off_language(text: str, language: str) -> bool | None:
    """Whether a text is largely in the other of the scripts Latin and Chinese than that of `language`.

    Returns:
        None for languages in other scripts, and for texts too short to tell.
    Departures: the paper calls language mixing a defect of R1-Zero and measures it by the language reward alone (eq. 7).
    """
    if language != "zh" and language not in _LATIN_LANGUAGES:
        return None
    text = _PASSED_OVER.sub(" ", text)
    han, latin = len(_HAN.findall(text)), len(_LATIN.findall(text))
    if han + latin < FEWEST_WORDS:
        return None
    return latin > MOST_LATIN * (han + latin) if language == "zh" else han > MOST_HAN * (han + latin)
