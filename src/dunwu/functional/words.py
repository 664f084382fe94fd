"""Cuts a text into the words that its language can be told by, each with its script. Pure text, no tensors.

Called by the language-consistency reward, by the detection of a question's language and by the analysis of language mixing, so
that "a word" means the same everywhere.
"""

import unicodedata
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import regex

from dunwu.functional.prose import prose

JAPANESE = "JAPANESE"
KANA_SHARE = 0.2
"""Chinese characters in a sentence of which at least this share is kana are Japanese."""
MAX_NAME_WORDS = 4
MAX_ACRONYM_LETTERS = 6
_JOINTS = (" ", ". ", "-", "–")
"""What may stand between the words of one name."""

_UNSPACED = r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_LETTER = rf"[\p{{L}}--[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}ー{_UNSPACED}]]"
_WORD = rf"{_LETTER}(?:{_LETTER}|\p{{M}})*+"
_TOKEN = regex.compile(
    r"(?P<han>\p{Han}++)|(?P<kana>[\p{Hiragana}\p{Katakana}ー]++)"
    rf"|(?P<unspaced>[{_UNSPACED}](?:[{_UNSPACED}]|\p{{M}})*+)|(?P<word>{_WORD}(?:['’-]{_WORD})*+)",
    regex.V1,
)
_SENTENCE_END = regex.compile(r"[!?。;:\n]|\.(?![^\s\ufffc])")
_OPENS_SENTENCE = regex.compile(r"(?:[.!?。;:\n]|[0-9]\))[\s\"'“‘(\[*_#>-]*+$")


class Word(NamedTuple):
    """A word, or a run of characters of a script without spaces.

    `num_words` is 1 for a word, the number of letters of a run. `script` is the first word of its letters' names in Unicode
    ("LATIN", "CJK", "CYRILLIC"), or JAPANESE. `is_name` says that the rule for names takes it for one.
    """

    text: str
    script: str
    num_words: int
    sentence: int
    is_name: bool


def words(text: str) -> list[Word]:
    """Return the words of a text in order; what `prose` takes out is not among them.

    A word is a run of letters, hyphens and apostrophes inside it included; in scripts without spaces (Chinese, Japanese, Thai,
    Lao, Khmer, Burmese, Tibetan) each letter is one. A single letter is none, and neither is an acronym: up to
    MAX_ACRONYM_LETTERS capitals, unless three such words stand in a row. A name is a capitalised word inside a sentence, or up
    to MAX_NAME_WORDS in a row anywhere; the first word of a sentence alone is none.
    """
    text = prose(text)
    found: list[Word] = []
    run: list[_Capital] = []  # capitalised words beside each other that are not judged yet
    sentence, end = 0, 0
    for match in _TOKEN.finditer(text):
        token, kind, start = match.group(), match.lastgroup, match.start()
        gap = text[end:start]
        if gap != " " and end and _SENTENCE_END.search(gap):
            sentence += 1
        if run and not (token[0].isupper() and gap in _JOINTS):
            found += _judged(run)
            run = []
        if token[0].isupper():
            opens = not end or _OPENS_SENTENCE.search(text[max(0, start - 12) : start]) is not None
            run.append(_Capital(token, sentence, opens))
        elif kind != "word":
            found.append(Word(token, _script(token[0]), sum(map(str.isalpha, token)), sentence, False))
        elif len(token) > 1:
            found.append(Word(token, _script(token[0]), 1, sentence, False))
        end = match.end()
    return _with_japanese(found + _judged(run))


class _Capital(NamedTuple):
    text: str
    sentence: int
    opens_sentence: bool


def _judged(run: list[_Capital]) -> list[Word]:
    """Tell names from words among capitalised words beside each other; leave out single letters and acronyms."""
    num_shouted = sum(len(token.text) > 1 and token.text.isupper() for token in run)
    is_name = num_shouted < 3 and (
        1 < len(run) <= MAX_NAME_WORDS or (len(run) == 1 and not run[0].opens_sentence)
    )
    found = []
    for text, sentence, _ in run:
        is_acronym = num_shouted < 3 and len(text) <= MAX_ACRONYM_LETTERS and text.isupper()
        if len(text) > 1 and not is_acronym:
            is_i = text.startswith(("I'", "I’"))
            found.append(Word(text, _script(text[0]), 1, sentence, is_name and not is_i))
    return found


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    name = unicodedata.name(letter, "UNKNOWN").partition(" ")[0]
    return JAPANESE if name.startswith(("HIRAGANA", "KATAKANA")) else name


def _with_japanese(found: list[Word]) -> list[Word]:
    """Give the Chinese characters of Japanese sentences the script JAPANESE."""
    kana: Counter[int] = Counter()
    for word in found:
        if word.script == JAPANESE:
            kana[word.sentence] += word.num_words
    if not kana:
        return found
    han: Counter[int] = Counter()
    for word in found:
        if word.script == "CJK":
            han[word.sentence] += word.num_words
    japanese = {s for s in kana if kana[s] >= KANA_SHARE * (kana[s] + han[s])}
    return [
        word._replace(script=JAPANESE) if word.script == "CJK" and word.sentence in japanese else word
        for word in found
    ]
