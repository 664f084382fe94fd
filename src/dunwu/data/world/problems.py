"""The problems of the embedded world: four kinds, two languages, every answer checkable by a rule; and, beside them, the general
prompts of `general`, which no rule of a reward grades.

`sum` rewards writing the steps down, `remainder` and `operators` reward trying, checking and trying again, and so does
`program`, whose answers are run. The split into
train and held-out is a property of the problem itself (a hash of its numbers, whatever the language), so that no corpus and
no training set can ever hold a held-out problem. Called by `data.tasks`, by the corpus and by the grader.
"""

import ast
import hashlib
import itertools
import operator
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import gcd
from typing import Literal

from dunwu.data.world.general import (
    GENERAL_KINDS,
    GeneralProblem,
    draw_general,
    general_question,
)
from dunwu.data.world.programs import ProgramProblem, draw_program, program_question
from dunwu.errors import DataError
from dunwu.records import Problem

Split = Literal["train", "held_out"]
HELD_OUT_SHARE = 8  # one problem in eight is held out

_OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_AST_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


@dataclass(frozen=True)
class SumProblem:
    """terms[0] op[0] terms[1] op[1] ...; every partial result lies in 0..99."""

    terms: tuple[int, ...]
    ops: tuple[str, ...]

    @property
    def expression(self) -> str:
        return str(self.terms[0]) + "".join(
            f"{op}{term}" for op, term in zip(self.ops, self.terms[1:], strict=True)
        )

    @property
    def steps(self) -> list[tuple[int, str, int, int]]:
        """(left, op, right, result) from left to right."""
        steps, left = [], self.terms[0]
        for op, right in zip(self.ops, self.terms[1:], strict=True):
            result = _OPERATIONS[op](left, right)
            steps.append((left, op, right, result))
            left = result
        return steps

    @property
    def answer(self) -> str:
        return str(self.steps[-1][3])

    @property
    def key(self) -> str:
        return f"sum:{self.expression}"


@dataclass(frozen=True)
class RemainderProblem:
    """The smallest x >= 0 with x % large == large_remainder and x % small == small_remainder; the moduli are coprime."""

    large: int
    large_remainder: int
    small: int
    small_remainder: int

    @property
    def candidates(self) -> list[int]:
        """All x below large * small that satisfy the first condition, in order; one of them is the answer."""
        return [self.large_remainder + i * self.large for i in range(self.small)]

    @property
    def answer(self) -> str:
        return str(next(x for x in self.candidates if x % self.small == self.small_remainder))

    @property
    def key(self) -> str:
        return f"remainder:{self.large},{self.large_remainder},{self.small},{self.small_remainder}"


@dataclass(frozen=True)
class OperatorsProblem:
    """Fill two of + - * between three digits to reach the target, usual precedence."""

    numbers: tuple[int, int, int]
    target: int

    @property
    def candidates(self) -> list[tuple[str, int]]:
        """The nine expressions with their values."""
        a, b, c = self.numbers
        pairs = itertools.product(_OPERATIONS, repeat=2)
        return [(f"{a}{p}{b}{q}{c}", operators_value(a, p, b, q, c)) for p, q in pairs]

    @property
    def answer(self) -> str:
        return next(expression for expression, value in self.candidates if value == self.target)

    @property
    def key(self) -> str:
        return f"operators:{self.numbers}={self.target}"


WorldProblem = SumProblem | RemainderProblem | OperatorsProblem | ProgramProblem | GeneralProblem


def operators_value(a: int, first: str, b: int, second: str, c: int) -> int:
    """The value of `a first b second c` with multiplication before addition and subtraction."""
    if second == "*" and first != "*":
        return _OPERATIONS[first](a, b * c)
    return _OPERATIONS[second](_OPERATIONS[first](a, b), c)


def split_of(problem: WorldProblem) -> Split:
    """The split a problem belongs to, for ever: decided by a hash of its numbers."""
    digest = hashlib.blake2b(problem.key.encode(), digest_size=4).digest()
    return "held_out" if int.from_bytes(digest) % HELD_OUT_SHARE == 0 else "train"


def draw_sum(rng: random.Random) -> SumProblem:
    """Four to six terms of 1..20, partial results in 0..99."""
    value = rng.randint(1, 20)
    terms, ops = [value], []
    for _ in range(rng.randint(3, 5)):
        term = rng.randint(1, 20)
        op = rng.choice("+-")
        if not 0 <= _OPERATIONS[op](value, term) <= 99:
            op = "-" if op == "+" else "+"
        terms.append(term)
        ops.append(op)
        value = _OPERATIONS[op](value, term)
    return SumProblem(tuple(terms), tuple(ops))


def draw_remainder(rng: random.Random) -> RemainderProblem:
    """Coprime moduli, small in 3..7 and below large in 4..12; any remainders."""
    while True:
        small, large = rng.randint(3, 7), rng.randint(4, 12)
        if small < large and gcd(small, large) == 1:
            return RemainderProblem(large, rng.randrange(large), small, rng.randrange(small))


def draw_operators(rng: random.Random) -> OperatorsProblem:
    """Three digits of 2..9 and the value of one filling, positive and below 100."""
    while True:
        a, b, c = (rng.randint(2, 9) for _ in range(3))
        value = operators_value(a, rng.choice("+-*"), b, rng.choice("+-*"), c)
        if 0 < value < 100:
            return OperatorsProblem((a, b, c), value)


_DRAW: dict[str, Callable[[random.Random], WorldProblem]] = {
    "sum": draw_sum,
    "remainder": draw_remainder,
    "operators": draw_operators,
    "program": draw_program,
    **{kind: partial(draw_general, kind) for kind in GENERAL_KINDS},
}


def draw_problem(kind: str, rng: random.Random, split: Split) -> WorldProblem:
    """Draw until a problem of the split comes up."""
    while True:
        problem = _DRAW[kind](rng)
        if split_of(problem) == split:
            return problem


def question_text(problem: WorldProblem, language: str, variant: int) -> str:
    """The question in English or Chinese; `variant` chooses the wording."""
    match problem, language:
        case SumProblem(), "en":
            return (f"What is {problem.expression}?", f"Compute {problem.expression}.")[variant % 2]
        case SumProblem(), _:
            return (f"{problem.expression}等于多少？", f"计算{problem.expression}。")[variant % 2]
        case RemainderProblem(large=m, large_remainder=r, small=n, small_remainder=s), "en":
            return (
                f"Find the smallest number that leaves {r} when divided by {m} and {s} when divided by {n}.",
                f"Which smallest number leaves {r} when divided by {m} and {s} when divided by {n}?",
            )[variant % 2]
        case RemainderProblem(large=m, large_remainder=r, small=n, small_remainder=s), _:
            return (
                f"求除以{m}余{r}，除以{n}余{s}的最小的数。",
                f"除以{m}余{r}，除以{n}余{s}的最小的数是多少？",
            )[variant % 2]
        case OperatorsProblem(numbers=(a, b, c), target=t), "en":
            return (
                f"Put +, - or * between {a}, {b} and {c} to make {t}.",
                f"Make {t} from {a}, {b} and {c} in this order with +, - or *.",
            )[variant % 2]
        case OperatorsProblem(numbers=(a, b, c), target=t), _:
            return (
                f"在{a}、{b}、{c}之间填+、-或*，使结果等于{t}。",
                f"用+、-或*依次连接{a}、{b}、{c}，得到{t}。",
            )[variant % 2]
        case ProgramProblem(), _:
            return program_question(problem, language, variant)
        case GeneralProblem(), _:
            return general_question(problem, language, variant)
    raise AssertionError(problem)


def generate_problems(
    kinds: Sequence[str], languages: Sequence[str], num: int, seed: int, split: Split
) -> list[Problem]:
    """Draw `num` different problems of the split, kinds and languages in turn for as long as each has new ones.

    Raises:
        DataError: the kinds hold fewer different problems than asked for.
    """
    rng = random.Random(f"{seed}/{split}")
    problems: dict[str, Problem] = {}
    turns = list(itertools.product(kinds, languages))
    while len(problems) < num:
        if not turns:
            raise DataError(
                f"the world holds fewer than {num} different {split} problems of kinds {', '.join(kinds)} in "
                f"{', '.join(languages)} (found {len(problems)}); ask for fewer, or add a kind or a language"
            )
        for turn in list(turns):
            problem = _draw_new(*turn, rng, split, problems)
            if problem is None:
                turns.remove(turn)
            elif len(problems) < num:
                problems[problem.id] = problem
    return list(problems.values())


def _draw_new(
    kind: str, language: str, rng: random.Random, split: Split, known: Mapping[str, Problem]
) -> Problem | None:
    """A problem that is not known yet; None when so many draws in a row are known that the kind is exhausted."""
    for _ in range(500):
        problem = draw_problem(kind, rng, split)
        identity = f"{problem.key}/{language}"
        if identity not in known:
            grader, metadata = _judged_by(problem)
            return Problem(
                id=identity,
                kind=kind,
                question=question_text(problem, language, rng.randrange(2)),
                reference=problem.answer,
                grader=grader,
                language=language,
                metadata=metadata,
            )
    return None


def _judged_by(problem: WorldProblem) -> tuple[str, dict[str, object]]:
    """The name of the rule that judges answers to a problem, and what it needs beside the reference."""
    if isinstance(problem, OperatorsProblem):
        return "operators", {"numbers": list(problem.numbers), "target": problem.target}
    if isinstance(problem, ProgramProblem):
        return "code", problem.task
    if isinstance(problem, GeneralProblem):
        return "preference", {"set": problem.preference_set, "slots": list(problem.slots)}
    return "numeric", {}


def score_operators(answer: str, problem: Problem) -> bool:
    """Whether `answer` uses the problem's three numbers in order, joined by + - *, and reaches the target.

    Any right filling counts. Text after an equals sign is ignored when it repeats the target; anything that is not such an
    expression is wrong.
    """
    expression, _, right = answer.replace("×", "*").replace(" ", "").partition("=")
    if right and right != str(problem.metadata["target"]):
        return False
    if len(expression) > 16:
        return False
    try:
        tree = ast.parse(expression, mode="eval").body
    except (SyntaxError, ValueError):
        return False
    numbers: list[int] = []
    value = _evaluate(tree, numbers)
    return value == problem.metadata["target"] and numbers == list(problem.metadata["numbers"])


def _evaluate(node: ast.expr, numbers: list[int]) -> int | None:
    """The value of a tree of + - * over integers, collecting the integers in order; None for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        numbers.append(node.value)
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _AST_OPERATIONS:
        left, right = _evaluate(node.left, numbers), _evaluate(node.right, numbers)
        return None if left is None or right is None else _AST_OPERATIONS[type(node.op)](left, right)
    return None
