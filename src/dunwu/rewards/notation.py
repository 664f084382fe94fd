"""One notation for answers: Chinese and Unicode signs, plain-text maths and LaTeX spacing become one LaTeX
dialect.

Pure text in, pure text out; nothing is evaluated. Called by the numeric and maths graders on the answer and
on the reference alike, before either is compared. Every pattern is linear: the text was written by a policy.
"""

import re
import unicodedata
from functools import lru_cache

from dunwu.rewards.answers import last_boxed
from dunwu.rewards.chinese_numerals import arabic_number
from dunwu.rewards.english_numerals import number_from_words

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))

_SIGNS = str.maketrans(
    {
        "｛": r"\{",
        "｝": r"\}",
        "、": ",",
        "−": "-",
        "–": "-",
        "‐": "-",
        "‑": "-",
        "﹣": "-",
        "…": "...",
        "￥": "¥",
        "￡": "£",
        "×": r"\times ",
        "·": r"\cdot ",
        "⋅": r"\cdot ",
        "÷": r"\div ",
        "∕": "/",
        "⁄": "/",
        "±": r"\pm ",
        "≤": r"\le ",
        "≥": r"\ge ",
        "≠": r"\ne ",
        "∞": r"\infty ",
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∈": r"\in ",
        "∅": r"\emptyset ",
        "ℝ": r"\mathbb{R}",
        "π": r"\pi ",
        "°": r"^\circ ",
        "∶": ":",
    }
)
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_STYLED = re.compile("[\U0001d400-\U0001d7ff]+")  # 𝑥, 𝟓: letters and digits in mathematical alphabets
_CHINESE_JOIN = re.compile("(?<![\u4e00-\u9fff])(?:或|([和且与及]))(?![\u4e00-\u9fff])")
_ROOT_SIGN = re.compile(r"([√∛])\s*(?:\(([^()]*)\)|(\d+(?:\.\d+)?|[A-Za-z]))")
_QUOTED = (("“", "”"), ("「", "」"), ("【", "】"), ('"', '"'))

_LATEX_NAMES = (
    (re.compile(r"\\(?:left|right|displaystyle|textstyle|limits)(?![A-Za-z])"), ""),
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"(?<=\d)\\[,!;: ](?=\d{3}(?!\d))"), ","),
    (re.compile(r"\\[,!;:]|\\q?quad(?![A-Za-z])|~"), " "),
    (re.compile(r"\\(?:leq|leqslant)(?![A-Za-z])"), r"\\le"),
    (re.compile(r"\\(?:geq|geqslant)(?![A-Za-z])"), r"\\ge"),
    (re.compile(r"\\neq(?![A-Za-z])"), r"\\ne"),
    (re.compile(r"\\varnothing(?![A-Za-z])"), r"\\emptyset"),
    (re.compile(r"\\(?:ldots|cdots|dots)(?![A-Za-z])"), "..."),
    (re.compile(r"\\lg(?![A-Za-z])"), r"\\log_{10}"),
    (re.compile(r"\\log ?_ ?(?:e(?![A-Za-z])|\{ ?e ?\})"), r"\\ln"),
    (re.compile(r"\\dot ?(?:\{(\d)\}|(\d))(\d*)\\dot ?(?:\{(\d)\}|(\d))"), r"\\overline{\1\2\3\4\5}"),
    (re.compile(r"\\dot ?(?:\{(\d)\}|(\d))"), r"\\overline{\1\2}"),
    (re.compile(r"(?<=\d)\.(\d*)\((\d+)\)"), r".\1\\overline{\2}"),
    (
        re.compile(
            r"(\\(?:sin|cos|tan|cot|sec|csc)) ?[({]? ?(\d+(?:\.\d+)?) ?\^ ?\{? ?\\circ ?\}?(?: ?[)}])?"
        ),
        r"\1(\\frac{\2\\pi}{180})",
    ),
)
_PLAIN_MATHS = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<![A-Za-z\\])sqrt\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"(?<![A-Za-z\\])sqrt ?(\d+|[A-Za-z](?![A-Za-z]))"), r"\\sqrt{\1}"),
    (re.compile(r"^(?:(?:negative|minus) |负)(?=[\d\\])", re.IGNORECASE), "-"),
    (re.compile(r"^(?:=|\\approx|≈) ?(?=[\d\\-])"), ""),
    (re.compile(r"\^\s*\(([^()]*)\)"), r"^{\1}"),
    (
        re.compile(r"(?<![A-Za-z\\])(arc(?:sin|cos|tan)|sin|cos|tan|cot|sec|csc|ln|log|exp|pi)(?![A-Za-z])"),
        r"\\\1 ",
    ),
    (re.compile(r"(?<![A-Za-z\\])(?:infinity|inf)(?![A-Za-z])"), r"\\infty"),
)
_ANSWER_PHRASE = re.compile(
    r"^\*{0,2}(?:(?:so|thus|therefore|hence)?,? ?(?:the )?(?:final )?answer(?: is)?(?: ?[:=])?\*{0,2}(?: ?[:=])?"
    r"|(?:所以|因此)?,?(?:最终)?答案[是为]?:?) ?(?=[^ ])",
    re.IGNORECASE,
)
_WRAPPERS = (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]"), ("**", "**"), ("`", "`"))
_DELIMITED = re.compile(
    r"\$\$([^$]*)\$\$|(?<!\\)\$([^$]*)(?<!\\)\$|\\\(((?:[^\\]|\\(?![()]))*)\\\)|\\\[((?:[^\\]|\\(?![\[\]]))*)\\\]"
)
_ANSWER_MARK = re.compile(
    r"(?:answer(?![A-Za-z])(?: is)?|答案[是为]?|####) ?[:=：]?[ \t]*(?=\S)", re.IGNORECASE
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


def normalise_text(text: str) -> str:
    """Return the text with full-width signs made plain, invisible ones dropped and white space collapsed."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_FULL_WIDTH).translate(_INVISIBLE).split())


@lru_cache(maxsize=2048)
def clean(text: str) -> str:
    """Return an answer in the one notation, without the things people wrap answers in.

    Taken off: a `\\boxed{}` (the last one wins), math delimiters or markdown around the whole, "the answer
    is", a full stop at the end, LaTeX that only changes the look. Rewritten: Unicode and Chinese signs,
    `sqrt(x)`, `x**2`, `pi`.
    """
    boxed = last_boxed(text)
    text = text if boxed is None else boxed
    text = _VULGAR.sub(lambda m: " " + unicodedata.normalize("NFKC", m.group()), text)
    text = _RAISED_RUN.sub(lambda m: f"^{{{m.group().translate(_RAISED)}}}", text)
    text = _LOWERED_RUN.sub(lambda m: f"_{{{m.group().translate(_LOWERED)}}}", text)
    text = _STYLED.sub(lambda m: unicodedata.normalize("NFKC", m.group()), text)
    text = _ROOT_SIGN.sub(_root, text)
    text = _CHINESE_JOIN.sub(lambda m: r"\text{ and }" if m.group(1) else r"\text{ or }", text)
    text = normalise_text(text.translate(_SIGNS))
    text = _unwrap(text)
    text = _unwrap(_ANSWER_PHRASE.sub("", text))
    for pattern, replacement in (*_LATEX_NAMES, *_PLAIN_MATHS):
        text = pattern.sub(replacement, text)
    text = " ".join(text.split())
    return arabic_number(text) or number_from_words(text) or text


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
        return text[marks[-1].end() :].partition("\n")[0]
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


def _root(match: re.Match[str]) -> str:
    sign, inner, number = match.groups()
    return rf"\sqrt{'[3]' if sign == '∛' else ''}{{{inner or number}}}"


def _unwrap(text: str) -> str:
    """Take off delimiters that enclose the whole text, and a full stop behind it, until nothing changes."""
    while True:
        before = text
        text = text.strip()
        if text.endswith(("。", "．")) or (text.endswith(".") and not text.endswith("..")):
            text = text[:-1].rstrip()
        for left, right in (*_WRAPPERS, *_QUOTED):
            inner = text[len(left) : -len(right)]
            if inner and text == left + inner + right and right not in inner:
                text = inner
        if text == before:
            return text
