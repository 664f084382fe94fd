"""A text as the tokens by which two texts are compared: spelling, case, punctuation and white space do not count.

Called by decontamination.
"""

import unicodedata

import regex

_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_TOKEN = regex.compile(
    rf"[a-z]++(?![\p{{L}}\p{{M}}])|[\p{{L}}\p{{M}}--[{_UNSPACED}]]++"  # a word, by the quick way if it can be
    r"|\p{Nd}++(?:\.\p{Nd}++)*+"  # a number
    rf"|[{_UNSPACED}]\p{{M}}*+"  # a character of a script without spaces
    r"|[+=<>≤≥≠±]"
    r"|(?<=[\p{Nd})]\s*+)[-*/](?=\s*+[\p{Nd}(])",  # signs between numbers; elsewhere they are punctuation
    regex.V1,
)
_SIGNS = {"−": "-", "–": "-", "×": "*", "÷": "/", "·": "*"}
_SIGN = regex.compile("[−–×÷·]")
_INNER_APOSTROPHE = regex.compile(r"(?<=\p{L})['’](?=\p{L})")
_THOUSANDS = regex.compile(r"(?<=\d),(?=\d{3}(?!\d))")


def comparable_tokens(text: str) -> list[str]:
    """Cut a text into words, numbers, signs of arithmetic and, in scripts without spaces, characters.

    NFKC and case folding come first; "1,000" is 1000, "don't" is one word, and a hyphen, asterisk or slash counts only between
    numbers.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _SIGN.sub(lambda match: _SIGNS[match[0]], text)
    text = _THOUSANDS.sub("", _INNER_APOSTROPHE.sub("", text))
    return _TOKEN.findall(text)
