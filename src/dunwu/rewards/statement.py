"""Which part of an answer states its result, and whether it states one at all.

Pure text, nothing is evaluated. `final_statement` works on free text as it was written, the rest on text in
the one notation (`notation.clean`). Called by the numeric and maths graders. Every pattern is linear.
"""

import re

from dunwu.rewards.answers import last_boxed

_DELIMITED = re.compile(
    r"\$\$([^$]*)\$\$|(?<!\\)\$([^$]*)(?<!\\)\$|\\\(((?:[^\\]|\\(?![()]))*)\\\)|\\\[((?:[^\\]|\\(?![\[\]]))*)\\\]"
)
_ANSWER_MARK = re.compile(
    r"(?:answer(?![A-Za-z])(?: is)?|答案[是为]?|####)(?:\*\*(?=[ :=：]))? ?[:=：]?(?:\*\*(?=[ \t]))?[ \t]*(?=\S)",
    re.IGNORECASE,
)
_OR = re.compile(r"(?<![A-Za-z])or(?![A-Za-z])|或")
_JOINS = re.compile(r"\s*(?:,|;|、|/|,?\s*(?:or|and|或|和))\s*")
_CLAUSE_END = re.compile(r"[,;:](?=\s)|[，；。：]")
_JOINING = re.compile(r"\s*(?:[,;]|\band\b|\bor\b|\\text\{\s*(?:and|or)\s*\}|[=<>])\s*")
_COMMAND = re.compile(
    r"\\(?:begin|end|text|textbf|textit|mathrm|mathbf|mathit|operatorname)\s*\{[^{}]*\}|\\[A-Za-z]+"
)
_TEXT = re.compile(r"^\\(?:text|textbf|textit|textrm|mathrm|mbox|operatorname)\s*\{([^{}]*)\}$")
_PARTED_DIGITS = re.compile(r"(?<![\d._^])\d[\d.]* \d|\d\.\d+\.\d")
_WORD = re.compile(
    r"[A-Za-z]{3,}|[\u4e00-\u9fff]+|(?<![A-Za-z\\])(?i:is|it|to|so|we|be|of|at|in|on|by|if|no|an|as)(?![A-Za-z])"
)
_TAKES_BACK = re.compile(
    r"(?<![A-Za-z])(?:not|cannot|never|neither|except|unless|otherwise|if|when|wrong|incorrect|maybe|perhaps|at least"
    r"|at most|(?:more|less|fewer|greater|larger|smaller) than)(?![A-Za-z])|n't(?![A-Za-z])"
    r"|[不非]|除了|大于|小于|至少|至多|超过|可能|\w\([\"'\d]",
    re.IGNORECASE,
)
_TEXT_INSIDE = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mbox)\s*\{([^{}]*)\}")
_NUMBER = re.compile(r"(?<![A-Za-z\d.^_{])[-+]?(?:\d[\d,]*\d|\d)(?:\.\d+)?(?:/\d+)?%?")


def expression(cleaned: str) -> str | None:
    """Return the one LaTeX expression in a cleaned answer, without math delimiters.

    Prose is accepted around exactly one delimited expression or one number. None for prose with none or
    several, so that "it is 4 or 5, maybe 6" is no answer; for prose that takes back what it says ("not 5", "5
    if x > 0"); and for digits parted by a space ("12 34"), which name no number.
    """
    formula = not is_prose(cleaned) and not _DELIMITED.search(cleaned)
    if takes_back(" ".join(_TEXT_INSIDE.findall(cleaned)) if formula else cleaned):
        return None
    segments = [
        next(part for part in match.groups() if part is not None) for match in _DELIMITED.finditer(cleaned)
    ]
    if segments:
        around = _JOINING.sub(" ", _DELIMITED.sub(" ", cleaned))
        if around.strip():
            found = segments[0] if len(segments) == 1 else None
        else:
            found = _DELIMITED.sub(lambda m: next(part for part in m.groups() if part is not None), cleaned)
    elif is_prose(cleaned):
        numbers = _NUMBER.findall(cleaned)
        found = numbers[0] if len(numbers) == 1 else None
    else:
        found = cleaned
    if found is None or not found.strip() or _PARTED_DIGITS.search(found):
        return None
    return found.strip()


def final_statement(text: str) -> str:
    """Return the part of a free text that states its result: one guess, the last.

    The last `\\boxed{}`; else the line behind the last "answer is", "答案是" or "####"; else, of the
    last line, the last formula in math delimiters, what follows its last equals sign, or its last number;
    else the last line. What is joined by "or" stays together, and a denied number stays in its line.
    """
    if last_boxed(text) is not None:
        return text
    marks = list(_ANSWER_MARK.finditer(text))
    if marks:
        line = text[marks[-1].end() :].partition("\n")[0]
        return line.removeprefix("**") if line.count("**") % 2 else line
    line = text.rstrip().rpartition("\n")[2]
    segments = list(_DELIMITED.finditer(line))
    if segments:
        return _last_run(line, segments)
    if "=" in line:
        before, _, value = line.rpartition("=")
        return line if "=" in before and _OR.search(before.rpartition("=")[2]) else value
    numbers = list(_NUMBER.finditer(line)) if is_prose(line) else []
    return _last_run(line, numbers) if numbers else line


def _last_run(line: str, found: "list[re.Match[str]]") -> str:
    """Return the last formula or number of a line together with those it is joined to ("6 or 7"); all of the line
    where the clause that it stands in takes it back ("it is not 7")."""
    first = last = len(found) - 1
    while first and _JOINS.fullmatch(line, found[first - 1].end(), found[first].start()):
        first -= 1
    start, end = found[first].start(), found[last].end()
    clause = f"{_CLAUSE_END.split(line[:start])[-1]} {_CLAUSE_END.split(line[end:])[0]}"
    if takes_back(clause):
        return line
    return (
        "".join(filter(None, found[last].groups()))
        if first == last and found[last].groups()
        else line[start:end]
    )


def takes_back(words: str) -> bool:
    """Return whether words around an answer deny it, bound it, or make it depend on something."""
    return bool(_TAKES_BACK.search(words))


def is_prose(cleaned: str) -> bool:
    """Return whether two or more words stand outside LaTeX commands, "and" and "or" not counted."""
    return len(_WORD.findall(_JOINING.sub(" ", _COMMAND.sub(" ", cleaned)))) >= 2


def word(cleaned: str) -> str | None:
    """Return the text if the answer is one to three words ("even", "\\text{no solution}", "星期一"), else None.

    One to three Latin letters are no word: they may be variables.
    """
    text = _TEXT.sub(r"\1", cleaned).strip()
    letters = text.replace(" ", "").replace("-", "")
    if not letters.isalpha() or (letters.isascii() and len(letters) < 4) or text.count(" ") > 2:
        return None
    return text.casefold()
