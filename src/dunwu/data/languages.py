"""Tells Chinese questions from English ones."""

import re

_NOT_PROSE = re.compile(r"\$[^$]*\$|\\[A-Za-z]+")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
_LATIN_WORD = re.compile(r"[A-Za-z]{2,}")
CHINESE_SHARE = 0.3


def detect_language(text: str) -> str:
    """Return "zh" if at least CHINESE_SHARE of a text's words are Chinese characters, else "en".

    A Chinese character counts as one word, and so does a run of two or more Latin letters; formulas between
    dollar signs, LaTeX commands, single letters, digits and signs count as neither.
    """
    text = _NOT_PROSE.sub(" ", text)
    han, latin = len(_HAN.findall(text)), len(_LATIN_WORD.findall(text))
    return "zh" if han and han >= CHINESE_SHARE * (han + latin) else "en"
