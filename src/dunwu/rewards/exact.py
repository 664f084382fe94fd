"""The exact and the text grader: the same text letter by letter, or the same words.

Several references may be accepted: `Problem.reference` and those in metadata "references". Called by
`accuracy`.
"""

import re
import unicodedata

from dunwu.records import Problem
from dunwu.rewards.notation import normalise_text

_KEPT_WITHIN_NUMBERS = re.compile(r"(?<=\d)[.,/:](?=\d)|-(?=\d)|[%#]")
_ARTICLES = re.compile(r"(?<!\S)(?:a|an|the)(?!\S)")
_BETWEEN_HAN = re.compile("(?<=[\u3400-\u9fff]) +(?=[\u3400-\u9fff])")
_ANSWER_MARK = re.compile(
    r"(?:^|(?<=\n)|(?<=[.,] ))[*# ]*(?:(?:so|thus|therefore|hence)?,? ?(?:the )?(?:final )?answer(?: is)?(?: ?[:=])?"
    r"|(?:所以|因此)?,?(?:最终)?答案(?:[是为]|[是为]?[:：]))[* ]*(?=\S)",
    re.IGNORECASE,
)


def accepted_references(problem: Problem) -> tuple[str, ...]:
    """Return the texts that are right, empty ones left out.

    Raises:
        ValueError: metadata "references" is no list of texts and numbers.
    """
    more = problem.metadata.get("references", [])
    if not isinstance(more, list | tuple) or not all(isinstance(text, str | int | float) for text in more):
        raise ValueError(f"references is {more!r:.80}; it must be a list of texts")
    return tuple(text for text in (problem.reference, *map(str, more)) if normalise_text(text))


def text_fault(problem: Problem) -> str | None:
    """Return why no answer to a problem can be judged: it has no reference that is not empty."""
    try:
        return None if accepted_references(problem) else "it is empty"
    except ValueError as error:
        return str(error)


def exact_match(answer: str, reference: str) -> bool:
    """Return whether the two texts are equal after `normalise_text`; upper and lower case differ, so does
    punctuation."""
    return normalise_text(answer) == normalise_text(reference)


def text_match(answer: str, reference: str) -> bool:
    """Return whether an answer is a reference in other spelling (`text_key`).

    What stands before "the answer is" does not count, nor does a `\\boxed{}` around the whole.
    """
    return text_key(reference) in (text_key(answer), text_key(_stated(answer)))


def text_key(text: str) -> str:
    """Return one form for texts that differ only in case, punctuation, articles, spacing or encoding (NFKC).

    Kept are signs that carry meaning: points, slashes and minus signs in numbers, %, #, and mathematical and
    currency signs. A text of nothing but articles or punctuation stays as it is.
    """
    plain = " ".join(unicodedata.normalize("NFKC", normalise_text(text)).casefold().split())
    kept = {match.start() for match in _KEPT_WITHIN_NUMBERS.finditer(plain)}
    dropped = "".join(
        char if index in kept or not unicodedata.category(char).startswith("P") else _stand_in(char)
        for index, char in enumerate(plain)
    )
    words = _BETWEEN_HAN.sub("", " ".join(dropped.split()))
    return " ".join(_ARTICLES.sub(" ", words).split()) or words or plain


def _stand_in(mark: str) -> str:
    """Hyphens and slashes part words, apostrophes and full stops do not (U.S., O'Brien)."""
    return " " if unicodedata.category(mark) in ("Pd", "Pc") or mark in "/,;:" else ""


def _stated(answer: str) -> str:
    marks = list(_ANSWER_MARK.finditer(answer))
    stated = answer[marks[-1].end() :].strip() if marks else answer.strip()
    boxed = re.fullmatch(r"\$?\\boxed ?\{(?:\\text ?\{)?([^{}]*)\}?\}\$?\.?", stated)
    return boxed.group(1) if boxed else stated
