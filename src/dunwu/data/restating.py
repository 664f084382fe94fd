"""Rewriting of a chain of thought by rules: the first person, and a summary of what was worked out.

Made for arithmetic in English and Chinese, as the embedded world writes it. Pure text; whether the answer is right is judged by
whoever calls: the stage `cold_start`.
"""

import re
from fractions import Fraction
from functools import partial

_PERSONS = {
    "en": (
        (r"\blet us\b", "let me"),
        (r"\blet['’]s\b", "let me"),
        (r"\bwe['’]re\b", "I'm"),
        (r"\bwe are\b", "I am"),
        (r"\bwe were\b", "I was"),
        (r"\bare we\b", "am I"),
        (r"\bwe\b", "I"),
        (r"\bours\b", "mine"),
        (r"\bour\b", "my"),
        (r"\bourselves\b", "myself"),
        (r"(?-i:\bus\b)", "me"),  # not "US"
    ),
    "zh": ((r"我们|咱们|咱", "我"),),
}
_FIRST_PERSON = {"en": re.compile(r"\b(?:I|me|my|mine|myself)\b"), "zh": re.compile("我")}
_OPENING = {"en": "I will work this out step by step. ", "zh": "我一步一步来算。"}
_NUMBER = r"-?\d+(?:\.\d+)?"
_EQUATION = re.compile(rf"{_NUMBER}(?:\s*[-+*/%×÷]\s*{_NUMBER})+\s*=\s*{_NUMBER}(?![\d.]*\d|\s*[-+*/%×÷=])")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[-+*/%]")
_MAX_EQUATION = 120

LANGUAGES = tuple(_OPENING)
"""The languages that the rules know."""


def in_first_person(thinking: str, language: str) -> str:
    """Return the thinking as one person's: "we" becomes "I", and an opening says who thinks where nobody is named.

    White space at line ends and runs of empty lines are dropped; nothing else changes.

    Raises:
        KeyError: the language is not one of `LANGUAGES`.
    """
    text = re.sub(r"[^\S\n]+", " ", thinking).strip()
    text = re.sub(r" ?\n ?", "\n", text)
    text = re.sub(r"\n{3,}", "\n\n", text)
    for pattern, word in _PERSONS[language]:
        text = re.sub(pattern, partial(_cased, word), text, flags=re.IGNORECASE)
    return text if _FIRST_PERSON[language].search(text) else _OPENING[language] + text


def _cased(word: str, found: re.Match[str]) -> str:
    return word[0].upper() + word[1:] if found.group()[0].isupper() else word


def true_equations(thinking: str) -> list[str]:
    """Return the arithmetic equations of a text that hold, in order, each once, without spaces.

    Worked example: "12+7=18, wait, 12 + 7 = 19. 19-4=15" gives ["12+7=19", "19-4=15"].
    """
    found = []
    for match in _EQUATION.finditer(thinking):
        text = re.sub(r"\s", "", match.group())
        if len(text) > _MAX_EQUATION:
            continue
        left, _, right = text.partition("=")
        value = _value(left.replace("×", "*").replace("÷", "/"))
        if value is not None and value == Fraction(right):
            found.append(text)
    return list(dict.fromkeys(found))


def _value(expression: str) -> Fraction | None:
    """The value of numbers joined by + - * / %, products first; None where something is divided by zero."""
    total, product, sign, operator = Fraction(0), None, 1, ""
    unary = 1
    for token in _TOKEN.findall(expression):
        if token in "+-*/%":
            if token == "-" and _is_sign(product, operator):
                unary = -1
            elif token in "+-":
                total += sign * (product or 0)
                product, sign, operator = None, 1 if token == "+" else -1, ""
            else:
                operator = token
            continue
        number = unary * Fraction(token)
        unary = 1
        if product is None:
            product = number
        elif operator == "*":
            product *= number
        elif number == 0:
            return None
        elif operator == "%":
            product %= number
        else:
            product /= number
        operator = ""
    return total + sign * (product or 0)


def _is_sign(product: Fraction | None, operator: str) -> bool:
    """Whether a minus sign here belongs to the number that follows: no number came yet, or an operator did."""
    return product is None or operator != ""


def summary_of(thinking: str, answer: str, language: str, *, boxed: bool = True, max_steps: int = 6) -> str:
    """Return a summary: the true equations of the thinking, the last `max_steps` of them, and the answer.

    Args:
        answer: as it was given, without marks around it.
        boxed: put the answer into \\boxed{}; a program, for example, is better left as it is.
    Raises:
        KeyError: the language is not one of `LANGUAGES`.
    """
    equations = true_equations(thinking)
    steps = equations[len(equations) - max_steps :] if max_steps < len(equations) else equations
    given = f"$\\boxed{{{answer}}}$" if boxed else answer
    if language == "zh":
        lead = f"步骤：{'，'.join(steps)}。\n" if steps else ""
        return f"{lead}答案是{given}。" if boxed else f"{lead}答案：\n{given}"
    if language == "en":
        lead = f"Steps: {', '.join(steps)}.\n" if steps else ""
        return f"{lead}The answer is {given}." if boxed else f"{lead}The answer:\n{given}"
    raise KeyError(language)
