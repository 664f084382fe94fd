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
    (re.compile(r"\{,\}|(?<=\d),\\!(?=\d)"), ","),
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
    (re.compile(r"(?<=\d)比(?=\d)"), ":"),
    (re.compile(r"^\\?\{ ?[A-Za-z] ?(?:\\mid(?![A-Za-z])|\||:) ?((?:[^{}\\]|\\(?![{}]))*?) ?\\?\}$"), r"\1"),
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
