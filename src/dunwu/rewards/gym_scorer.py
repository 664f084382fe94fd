"""Scores an answer with a reasoning-gym data set's own scorer. Runs only inside a grading process (`worker`).

Some of those scorers hand the answer to `eval` or to sympy's `parse_expr`, which evaluates it too. A policy's
text is never run as code: for such a scorer an answer is passed on only if it is a literal or a formula.
"""

import ast
import inspect
import json
import re
from functools import lru_cache
from typing import Any

import reasoning_gym

from dunwu.data.gym_entries import decode_entry
from dunwu.rewards.countdown import makes_target

_EVALUATES = re.compile(r"(?<![\w])(?:eval|exec|parse_expr|sympify)\(")
_FUNCTIONS = frozenset(
    {
        *("sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "sinh", "cosh", "tanh"),
        *("asinh", "acosh", "atanh", "exp", "log", "ln", "sqrt", "cbrt", "root", "Abs", "abs", "sign"),
        *("factorial", "binomial", "gamma", "erf", "Integer", "Rational", "Float"),
    }
)
_NODES = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.List, ast.Tuple, ast.Set, ast.Dict),
    *(ast.UnaryOp, ast.BinOp, ast.Compare, ast.operator, ast.unaryop, ast.cmpop),
)
_FORMULA = re.compile(r"[\w\s+\-*/^%()\[\],.=!<>{}]*", re.ASCII)
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_FULL_SCORE = 1 - 1e-9
_TARGETS = {"countdown": None, "puzzle24": 24}
"""Data sets whose full score is checked again, and the target where the entry does not state it."""


@lru_cache(maxsize=16)
def _scorer(name: str, params: str) -> tuple[Any, bool]:
    """A data set made only for its scorer, and whether that evaluates answers."""
    dataset = reasoning_gym.create_dataset(name, **json.loads(params))
    return dataset, evaluates_answers(dataset)


def load_scorer(name: str, params: dict[str, Any]) -> None:
    """Make a data set's scorer ahead of its use."""
    _scorer(name, json.dumps(params, sort_keys=True))


def is_formula(text: str) -> bool:
    """Return whether a text is only a literal or a formula: no attribute, no call but of mathematical
    functions."""
    if "__" in text:
        return False
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        # Not Python as it stands, but parse_expr rewrites before it evaluates ("5!"): judge the characters.
        attribute = re.search(r"\.\s*[A-Za-z_]", text)
        return bool(_FORMULA.fullmatch(text)) and not attribute and set(_CALL.findall(text)) <= _FUNCTIONS
    return all(_is_plain(node) for node in ast.walk(tree))


def _is_plain(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords
    return isinstance(node, _NODES)


def evaluates_answers(dataset: Any) -> bool:
    """Return whether a data set's scorer is written with a function that evaluates text."""
    return bool(_EVALUATES.search(inspect.getsource(dataset.score_answer)))


def score(dataset: str, params: dict[str, Any], entry: Any, answer: str) -> tuple[bool, str]:
    """Return whether the scorer gives the full score, and the score in words.

    Args:
        dataset, params: what the problem was made with.
        entry: the entry as `encode_entry` wrote it.
        answer: the policy's answer.
    Departures: the scorers' partial scores count as wrong, as the paper's accuracy reward is 0 or 1; many of
        them pay for an answer that merely contains the right one. For countdown and puzzle24 an answer must also
        use the given numbers once each: puzzle24's scorer gives 1*2*3*4 the full score whatever is given.
    """
    scorer, evaluates = _scorer(dataset, json.dumps(params, sort_keys=True))
    if evaluates and not is_formula(answer):
        return False, "the answer is not a plain formula, and this scorer would run it as code"
    decoded = decode_entry(entry)
    try:
        value = float(scorer.score_answer(answer, decoded))
    except MemoryError:
        raise
    except Exception as error:
        # A scorer that can judge its own answer, and fails on this one, fails because of this one.
        scorer.score_answer(decoded["answer"] or "", decoded)
        return False, f"the scorer fails on this answer: {type(error).__name__}: {error}"
    if value >= _FULL_SCORE and dataset in _TARGETS:
        metadata = decoded["metadata"]
        right, why = makes_target(answer, metadata["numbers"], _TARGETS[dataset] or metadata["target"])
        return right, why or f"score {value:g}"
    return value >= _FULL_SCORE, f"score {value:g}"
