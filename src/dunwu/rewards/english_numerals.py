"""English number words in digits: twenty-three is 23, two thirds is \\frac{2}{3}, minus five is -5.

Only a text that is nothing but a number in words, with at most one more word behind it for what is counted, is
rewritten. Called by `notation.clean`.
"""

import re

_ONES = {
    word: value
    for value, word in enumerate(
        (
            *(
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
            ),
            *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(
        ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), start=2
    )
}
_THOUSANDS = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_PARTS = {
    **{"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7},
    **{"eighth": 8, "ninth": 9, "tenth": 10},
}
_WORDS = re.compile(r"[A-Za-z]+(?:[ -][A-Za-z]+){0,11}")


def number_from_words(text: str) -> str | None:
    """Return a number in English words as digits, as \\frac{}{} for parts; None if the text is not one."""
    if not _WORDS.fullmatch(text):
        return None
    words = text.casefold().replace("-", " ").split()
    sign = ""
    if words[0] in ("minus", "negative"):
        sign, words = "-", words[1:]
    for count in (len(words), len(words) - 1):
        value = _integer(words[:count])
        if value is None:
            continue
        noun = words[count] if count < len(words) else ""
        if noun in _ONES or noun in _TENS or noun in _THOUSANDS or noun in ("and", "hundred"):
            return None
        part = _PARTS.get(noun) or _PARTS.get(noun.removesuffix("s")) or (2 if noun == "halves" else None)
        if part is not None:
            return rf"{sign}\frac{{{value}}}{{{part}}}"
        return f"{sign}{value} {noun}".rstrip()
    return None


def _integer(words: list[str]) -> int | None:
    """Read a cardinal: groups below a thousand, each with a falling thousand's name; "and" between parts."""
    if not words or words[0] == "and" or words[-1] == "and":
        return None
    total, group, smallest, ceiling = 0, 0, 10**4, 10**12
    for word in words:
        if word in _THOUSANDS:
            if not group or _THOUSANDS[word] >= ceiling:
                return None
            total, ceiling = total + group * _THOUSANDS[word], _THOUSANDS[word]
            group, smallest = 0, 10**4
        elif word == "hundred":
            if not 0 < group < 10:
                return None
            group, smallest = 100 * group, 100
        elif word in _TENS or word in _ONES:
            value = _TENS[word] if word in _TENS else _ONES[word]
            if value >= smallest or (value == 0 and len(words) > 1):
                return None
            group, smallest = group + value, 10 if word in _TENS else 0
        elif word != "and":
            return None
    return total + group
