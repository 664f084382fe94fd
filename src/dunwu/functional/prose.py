"""Takes out of a text what belongs to no language: formulas, code, links, identifiers, operators, units, titles, glosses.

Judges no language. Linear in the text, whatever it holds: it runs in the training process, on text that a policy wrote.
Called by `words`.
"""

import re
import unicodedata

import regex

HOLE = "\ufffc"
"""Stands where something was taken out."""

_ENVIRONMENTS = "equation|align|aligned|gather|gathered|multline|eqnarray|split|cases|array|matrix|pmatrix|bmatrix|vmatrix"
_OPENER = regex.compile(
    r"\\\\|\\\$|(?P<fence>```)|(?P<code>`)|(?P<display>\$\$)|(?P<inline>\$)|(?P<round>\\\()|(?P<square>\\\[)"
    rf"|\\begin\{{(?P<environment>(?:{_ENVIRONMENTS})\*?)\}}"
)
_CLOSERS = {"fence": "```", "code": "`", "display": "$$", "inline": "$", "round": r"\)", "square": r"\]"}

_TEXT_IN_FORMULA = regex.compile(r"\\(?:text[a-z]*|mbox)\s*+\{([^{}]*+)\}")
_PROSE_IN_FORMULA = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]++|(?<![\p{L}\\])\p{L}{2,}+(?:[ \n]\p{L}{2,}+){2,}+"
)

_OPERATORS = (
    "sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|log|ln|lg|exp|lim|max|min|sup|inf|gcd|lcm|mod|det|dim|ker|deg"
    "|arg|sqrt"
)
_UNITS = "km|cm|mm|nm|kg|mg|mol|ml|mL|min|hr|hrs|sec|ms|ft|lb|lbs|oz|mi|mph|rpm|km/h|m/s|Hz|kHz|MHz|eV|kJ|Pa|kPa|dB"
_MARKED = regex.compile(
    r"(?P<gloss>(?<=\p{Han}\s?)\(\p{Latin}[\p{Latin} '’-]{0,60}\)|(?<=\p{Latin}\s?)\(\p{Han}{1,8}\))"
    r"|(?:https?://|www\.)[^\s\p{Han}\p{Hiragana}\p{Katakana}，。；！？、）》」\ufffc]++"
    r"|(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,253}"
    r"|</?[A-Za-z][A-Za-z0-9_-]{0,30}>"
    r"|\\[A-Za-z]++"
    r"|《[^《》\n]{1,40}》"
)
_UNMARKED = re.compile(  # each alternative reads a word once, from its beginning
    r"(?<![A-Za-z0-9_])(?:"
    r"[A-Za-z]*+[0-9_][A-Za-z0-9_]*+(?:\.[0-9]++)*+"  # x1, snake_case, 3.14
    rf"(?:[ ](?:{_UNITS})(?![A-Za-z]))?"  # 5 km
    r"|[A-Za-z]*?[a-z][A-Z][A-Za-z0-9_]*+"  # camelCase
    r"|[A-Za-z]++(?:\.[a-z0-9_]++)++"  # module.name
    r"|[A-Za-z]++(?=\()(?:\([A-Za-z0-9_.,+*/^=-]{0,40}\))?"  # call(x)
    rf"|(?:{_OPERATORS})(?![A-Za-z0-9_])"
    r")"
)
MAX_GLOSS_WORDS = 4


def prose(text: str) -> str:
    """Return a text in Unicode's compatible form (NFKC), with HOLE where something that belongs to no language stood.

    Taken out are: formulas between dollar signs, in \\(...\\), \\[...\\] and LaTeX's maths environments; complete code
    blocks and code between back quotes on one line; LaTeX commands, tags, links, addresses; identifiers (a digit, an
    underscore, a capital after a small letter, a full stop between letters, an opening bracket right after); names of
    functions such as sin and gcd; units after a number; titles in 《》; and a gloss in brackets of at most
    MAX_GLOSS_WORDS words in Latin letters after a Chinese character, or of 8 Chinese characters after a Latin letter.

    Words are not hidden by being put into a formula or between back quotes: \\text{...}, Chinese, Japanese and Korean, and
    three or more words in a row stay.
    """
    text = _without_spans(compatible(text))
    return _UNMARKED.sub(HOLE, _MARKED.sub(_unless_long, text))


def compatible(text: str) -> str:
    """Return a text in Unicode's compatible form, in which full-width letters and punctuation are ordinary ones."""
    return unicodedata.normalize("NFKC", text)


def _without_spans(text: str) -> str:
    pieces: list[str] = []
    hopeless: set[str] = set()  # closers that occur no more, so that no search runs to the end twice
    position = 0
    while opener := _OPENER.search(text, position):
        pieces.append(text[position : opener.start()])
        kind = opener.lastgroup
        position = opener.end()
        closer = f"\\end{{{opener['environment']}}}" if kind == "environment" else _CLOSERS.get(kind or "")
        end = -1 if closer is None or closer in hopeless else text.find(closer, position)
        if end < 0:
            hopeless.add(closer or "")
        inner = text[position:end]
        if end < 0 or not _is_span(kind, inner, text[end + 1 : end + 2]):
            pieces.append(opener.group())
            continue
        pieces.append(HOLE if kind == "fence" else _hidden_prose(inner))
        position = end + len(closer or "")
    return "".join([*pieces, text[position:]])


def _is_span(kind: str | None, inner: str, following: str) -> bool:
    """Whether a back quote opens code, on one line, and a dollar sign a formula: `$x$` is told from two prices as pandoc does."""
    if kind == "code":
        return "\n" not in inner
    if kind == "inline":
        return bool(inner) and inner == inner.strip() and "\n\n" not in inner and not following.isdigit()
    return True


def _hidden_prose(inner: str) -> str:
    found: list[str] = []
    rest = _TEXT_IN_FORMULA.sub(lambda text: found.append(text[1]) or HOLE, inner)  # type: ignore[func-returns-value]
    found += _PROSE_IN_FORMULA.findall(rest)
    return HOLE + "".join(f"{piece}{HOLE}" for piece in found)


def _unless_long(match: regex.Match[str]) -> str:
    gloss = match["gloss"]
    return match.group() if gloss is not None and len(gloss.split()) > MAX_GLOSS_WORDS else HOLE
