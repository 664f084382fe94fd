"""The multiple-choice grader: which one option an answer names, by its letter or by its text.

One answer names one option: several letters name none, so that a policy cannot choose twice. Called by
`accuracy`; pure text, every pattern linear.
"""

import re
import string
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from dunwu.records import Problem
from dunwu.rewards.answers import last_boxed
from dunwu.rewards.maths import canonical_answer

UNSTATED_LABELS = string.ascii_uppercase[:10]
"""The letters of a problem that does not list its options; they stand in the question then."""
MAX_OPTIONS = 26

_LOOKS = re.compile(
    r"\\(?:textbf|textit|textrm|textsf|text|mathbf|mathrm|mathsf|mathit|boxed|fbox|mbox|bf|rm|left|right)(?![A-Za-z])"
    r"|\\[ ,;:!()\[\]]|\\q?quad(?![A-Za-z])|[$*`{}~]"
)
_MARK = re.compile(
    r"(?<![A-Za-z])(?:(?:(?:correct|right|best|final) )?(?:answer|option|choice)(?:(?: is| would be|'s)(?![A-Za-z]))?"
    r"(?: (?:option|choice)(?![A-Za-z]))?|choose|select|pick)(?![A-Za-z]) ?[:=]?"
    r"|(?:答案|选项?|應選|应选|故选|因此选|所以选)(?:应该|应)?[是为選选]?(?:选项)? ?[::=]?|####",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?<![A-Za-z])(?:not|never|except|neither|eliminate)(?![A-Za-z])|n't(?![A-Za-z])|[不非除]", re.I
)
_DENIED_BEHIND = re.compile(
    r"\W*(?:is|are|was)? ?(?:not|wrong|incorrect|false)(?![A-Za-z])|\W*(?:是|为)?(?:错|不)", re.I
)
_JOINED_TO = re.compile(r"(?:(?<![a-z])(?:or|and)|[,/]) ?$")
_CLAUSE_END = re.compile(r"[,;.!?:](?= )|[、，。；]")
_ARTICLE_BEHIND = re.compile(r" (?!(?:or|and|nor|but|is|are|was|because|since|as|so|not)(?![a-z]))[a-z]|'")


def options_of(problem: Problem) -> dict[str, str] | str:
    """Return a problem's options by label, texts empty where it lists none; a text says what is wrong with them.

    Args:
        problem: metadata "options" is a list (labelled A, B, ...) or a mapping of one-character labels.
    """
    stated: Any = problem.metadata.get("options")
    if stated is None:
        return dict.fromkeys(UNSTATED_LABELS, "")
    if isinstance(stated, Mapping):
        options = {str(label).strip().upper(): text for label, text in stated.items()}
        if len(options) != len(stated) or not all(len(label) == 1 and label.isalnum() for label in options):
            return f"options have the labels {', '.join(map(str, stated))}; each must be one letter or digit of its own"
    elif isinstance(stated, Sequence) and not isinstance(stated, str):
        options = dict(zip(string.ascii_uppercase, stated, strict=False))
    else:
        return f"options is {stated!r:.80}; it must be a list of texts, or texts by their letters"
    if not 2 <= len(stated) <= MAX_OPTIONS:
        return f"there are {len(stated)} options; it must be 2 to {MAX_OPTIONS}"
    if not all(isinstance(text, str | int | float) for text in options.values()):
        return "an option is neither text nor a number"
    return {label: str(text) for label, text in options.items()}


def choice_fault(problem: Problem) -> str | None:
    """Return why no answer to a problem can be judged: its options, or a reference that names none of them."""
    options = options_of(problem)
    if isinstance(options, str):
        return options
    if chosen(problem.reference, options) is None:
        return f"the reference {problem.reference!r:.80} names none of the options {', '.join(options)}"
    return None


def judge_choice(answer: str, problem: Problem) -> tuple[bool, str]:
    """Return whether an answer names the reference's option and no other, and which it names in words.

    Raises:
        ValueError: the problem has a fault (`choice_fault`).
    """
    options = options_of(problem)
    wanted = None if isinstance(options, str) else chosen(problem.reference, options)
    if isinstance(options, str) or wanted is None:
        raise ValueError(choice_fault(problem))
    given = chosen(answer, options)
    return given == wanted, "no single option is named" if given is None else f"names {given}"


def chosen(answer: str, options: Mapping[str, str]) -> str | None:
    """Return the label of the one option that an answer names, None if it names none or several.

    An option is named by its label standing alone: B, (B), B., $B$, \\boxed{\\text{B}}, "Answer: B", "选B"; by
    its label before its text; or by its whole text. A letter within a word names nothing, nor does "A" or "I"
    as a word of a sentence. Where the answer is a longer text, what follows its last "answer is", "option" or
    "选" counts, else its last line.
    """
    boxed = last_boxed(answer)
    text = _plain(answer if boxed is None else boxed)
    whole = _by_text(text, options)
    if whole is not None:
        return whole
    before, statement = _statement(text)
    if _DENIED_BEFORE.search(_CLAUSE_END.split(before)[-1]):
        return None
    if _compact(statement).upper() in options:
        return _compact(statement).upper()
    named = _by_text(statement, options)
    if named is not None:
        return named
    return _by_label(statement, options)


def _plain(text: str) -> str:
    """Full-width signs made plain, looks of LaTeX and markdown taken off, white space within a line collapsed."""
    text = _LOOKS.sub(" ", unicodedata.normalize("NFKC", text))
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


def _statement(text: str) -> tuple[str, str]:
    """Return the part of a text that states its answer, and what stands before it on the same line."""
    marks = [mark for mark in _MARK.finditer(text) if text[mark.end() :].strip()]
    if not marks:
        return "", text.rpartition("\n")[2]
    before, behind = text[: marks[-1].end()], text[marks[-1].end() :]
    return before.rpartition("\n")[2], behind.strip().partition("\n")[0]


def _compact(text: str) -> str:
    return text.strip(" ()[]<>.,:;!\"'。、“”【】《》")


def _by_text(text: str, options: Mapping[str, str]) -> str | None:
    """Return the one option whose text, with or without its label before it, is the answer."""
    given = _key(text)
    labels = []
    for label, option in options.items():
        if not option:
            continue
        wanted = _key(option)
        behind_label = re.fullmatch(rf"\W*{label}\W+(.*)", given, re.IGNORECASE | re.DOTALL)
        if given == wanted or (behind_label and _key(behind_label.group(1)) == wanted):
            labels.append(label)
    return labels[0] if len(labels) == 1 else None


def _key(text: str) -> str:
    """One text for option texts that are the same: case, full stops, spelling of numbers."""
    plain = _compact(_plain(text)).casefold()
    return canonical_answer(plain) if any(char.isdigit() for char in plain) else plain


def _by_label(statement: str, options: Mapping[str, str]) -> str | None:
    labels = "".join(re.escape(label) for label in options)
    alone = re.compile(rf"(?<![A-Za-z0-9_'’\-])[{labels}](?![A-Za-z0-9_’\-])")
    found = [match for match in alone.finditer(statement) if not _is_word(match, statement)]
    if len({match.group() for match in found}) != 1:
        return None
    first = found[0]
    if _DENIED_BEFORE.search(statement[: first.start()]) or _DENIED_BEHIND.match(statement, first.end()):
        return None
    rest = _key(statement[first.end() :])
    contradicts = any(
        option and _key(option) == rest for label, option in options.items() if label != first.group()
    )
    return None if contradicts else first.group()


def _is_word(match: "re.Match[str]", statement: str) -> bool:
    """Return whether a lone A or I is a word of an English sentence: something small follows it, and it neither
    opens the statement nor is joined to another label."""
    if match.group() not in "AI" or not _ARTICLE_BEHIND.match(statement, match.end()):
        return False
    before = statement[: match.start()]
    return (bool(before) and not _JOINED_TO.search(before)) or match.group() == "I"
