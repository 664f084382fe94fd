"""The Countdown and 24 grader: an expression over the given numbers that makes the target.

Nothing is evaluated by Python: a small reader of + - * / and parentheses computes with exact fractions, and
its work is bounded by the length of the text. Called by `accuracy`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from dunwu.records import Problem
from dunwu.rewards.answers import last_boxed

MAX_NUMBERS = 16
_MAX_DIGITS = 12
_CHARS_PER_NUMBER = 40
_FRACTION = re.compile(r"\\[dt]?frac ?\{([^{}]*)\} ?\{([^{}]*)\}")
_NESTED_FRACTIONS = 8
_REWRITES = (
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])|[×·⋅∙xX](?= ?[\d(])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])|[÷∕]"), "/"),
    (re.compile(r"[−–]"), "-"),
    (re.compile(r"\\(?:left|right)(?![A-Za-z])|\\[ ,;!()\[\]]|[$`]|\*\*$|^\*\*"), " "),
)
_ANSWER_MARK = re.compile(
    r"(?:answer(?: is)?|solution(?: is)?|答案[是为]?)(?![A-Za-z]) ?[:=]?\*{0,2} ?", re.IGNORECASE
)
_TOKEN = re.compile(r" *(\d+|[-+*/()])")
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "neg": 3}


def countdown_fault(problem: Problem) -> str | None:
    """Return why no answer to a problem can be judged: numbers and target are missing or no integers, or its
    own solution (the reference, where there is one) is none."""
    numbers, target = problem.metadata.get("numbers"), problem.metadata.get("target")
    if not isinstance(numbers, list | tuple) or not all(
        _is_integer(number) and number >= 0 for number in numbers
    ):
        return f"numbers is {numbers!r:.80}; it must be a list of integers from 0"
    if not 1 <= len(numbers) <= MAX_NUMBERS:
        return f"there are {len(numbers)} numbers; it must be 1 to {MAX_NUMBERS}"
    if not _is_integer(target):
        return f"target is {target!r:.80}; it must be an integer"
    if problem.reference.strip() and problem.reference.strip() != str(target):
        right, why = judge_countdown(problem.reference, problem)
        return None if right else f"its own solution {problem.reference!r:.80} is none: {why}"
    return None


def judge_countdown(answer: str, problem: Problem) -> tuple[bool, str]:
    """Return whether an answer makes a problem's target, and what is wrong if not; metadata "use_all" false lets
    numbers be left out."""
    metadata = problem.metadata
    return makes_target(
        answer, metadata["numbers"], metadata["target"], use_all=metadata.get("use_all", True)
    )


def makes_target(
    answer: str, numbers: Sequence[int], target: int, *, use_all: bool = True
) -> tuple[bool, str]:
    """Return whether an answer is an expression over the numbers that makes the target, and what is wrong if not.

    Every number is used exactly once, or at most once. What stands behind an equals sign must have the
    target's value. Of a longer text what follows "answer" counts, else the last line.
    """
    text = _statement(answer)
    if len(text) > _CHARS_PER_NUMBER * (len(numbers) + 1):
        return False, "the answer is too long to be an expression of these numbers"
    expression, *others = text.split("=")
    value, used = _evaluate(expression)
    if value is None:
        return False, "the answer is not an expression of numbers, + - * / and parentheses"
    if any(_evaluate(other)[0] != target for other in others):
        return False, f"what stands behind the equals sign is not {target}"
    wanted, found = Counter(numbers), Counter(used)
    if found - wanted or (wanted - found and use_all):
        return False, f"it uses {', '.join(map(str, used))}; given are {', '.join(map(str, numbers))}"
    return value == target, "" if value == target else f"it makes {value}, not {target}"


def expression_key(answer: str) -> str | None:
    """Return one text for expressions of the same value over the same numbers, for majority votes; None for anything
    but an expression."""
    expression = _statement(answer).partition("=")[0]
    if len(expression) > _CHARS_PER_NUMBER * (MAX_NUMBERS + 1):
        return None
    value, used = _evaluate(expression)
    return None if value is None else f"{value} from {', '.join(map(str, sorted(used)))}"


def _statement(answer: str) -> str:
    boxed = last_boxed(answer)
    text = unicodedata.normalize("NFKC", answer if boxed is None else boxed).strip()
    marks = list(_ANSWER_MARK.finditer(text))
    if marks and text[marks[-1].end() :].strip():
        text = text[marks[-1].end() :].strip().partition("\n")[0]
    text = text.rpartition("\n")[2].strip()
    for _ in range(_NESTED_FRACTIONS):
        text = _FRACTION.sub(r"((\1)/(\2))", text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text.strip().removesuffix(".").strip()


def _evaluate(text: str) -> tuple[Fraction | None, list[int]]:
    """Return an expression's value and the numbers in it, in order; the value is None if it has none."""
    tokens = _tokens(text)
    values: list[Fraction] = []
    waiting: list[str] = []
    used: list[int] = []
    operand_next = True
    for token in tokens or ("",):
        if token.isdigit() and operand_next:
            used.append(int(token))
            values.append(Fraction(int(token)))
            operand_next = False
        elif token == "(" and operand_next:
            waiting.append(token)
        elif token in "+-" and token and operand_next:
            waiting.append("neg" if token == "-" else "pos")
        elif token == ")" and not operand_next:
            while waiting and waiting[-1] != "(":
                if not _apply(waiting.pop(), values):
                    return None, used
            if not waiting:
                return None, used
            waiting.pop()
        elif token in _PRECEDENCE and not operand_next:
            while waiting and waiting[-1] != "(" and _PRECEDENCE.get(waiting[-1], 3) >= _PRECEDENCE[token]:
                if not _apply(waiting.pop(), values):
                    return None, used
            waiting.append(token)
            operand_next = True
        else:
            return None, used
    while waiting:
        if not _apply(waiting.pop(), values):
            return None, used
    return (values[0] if len(values) == 1 and not operand_next else None), used


def _tokens(text: str) -> list[str] | None:
    """Return the tokens of a text, None if anything else stands in it or a number is too long."""
    tokens, place, text = [], 0, text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or len(match.group(1)) > _MAX_DIGITS:
            return None
        tokens.append(match.group(1))
        place = match.end()
    return tokens


def _apply(operator: str, values: list[Fraction]) -> bool:
    """Do one operation on the values read so far; False where it cannot be done."""
    if operator == "pos":
        return bool(values)
    if operator == "neg" and values:
        values[-1] = -values[-1]
        return True
    if operator not in "+-*/" or len(values) < 2:
        return False
    right, left = values.pop(), values.pop()
    if operator == "/" and right == 0:
        return False
    match operator:
        case "+":
            values.append(left + right)
        case "-":
            values.append(left - right)
        case "*":
            values.append(left * right)
        case "/":
            values.append(left / right)
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
