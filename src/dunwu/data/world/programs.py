"""Program problems of the embedded world: a Python function is to be written from three of its values.

Most functions are linear; in one of three the first two values look linear and the third says that it is x*x plus
something, so that a solution that is not checked on the third is often wrong. Answers are run on inputs that the question
does not show. Called by `problems` and `corpus`.
"""

import random
from dataclasses import dataclass
from typing import Any

_HIDDEN_INPUTS = (0, 9)  # two more points: with the shown ones, more than a line or a square needs


@dataclass(frozen=True)
class ProgramProblem:
    """f(x) = slope*x + offset, or x*x + offset where slope is None; f(1), f(2) and f(third) are shown."""

    slope: int | None
    offset: int
    third: int

    def value(self, x: int) -> int:
        """f(x)"""
        return (x if self.slope is None else self.slope) * x + self.offset

    @property
    def shown(self) -> tuple[tuple[int, int], ...]:
        """The three (x, f(x)) of the question."""
        return tuple((x, self.value(x)) for x in (1, 2, self.third))

    @property
    def answer(self) -> str:
        return function_text(self.slope, self.offset)

    @property
    def key(self) -> str:
        return f"program:{self.slope},{self.offset},{self.third}"

    @property
    def task(self) -> dict[str, Any]:
        """What the code grader needs: calls with inputs that are not among the shown ones, and what they return."""
        calls = [{"function": "f", "args": [x], "expected": self.value(x)} for x in _HIDDEN_INPUTS]
        return {"language": "python", "calls": calls}


def function_text(slope: int | None, offset: int) -> str:
    """The function as one line of Python."""
    product = "x*x" if slope is None else f"{slope}*x"
    return f"def f(x): return {product}{term_text(offset)}"


def term_text(offset: int) -> str:
    """`+3`, `-3`, or nothing for 0."""
    return f"{offset:+d}" if offset else ""


def draw_program(rng: random.Random) -> ProgramProblem:
    """Slope 2..9 or x*x, offset -9..20, every shown value in 0..99."""
    while True:
        slope = None if rng.random() < 1 / 3 else rng.randint(2, 9)
        problem = ProgramProblem(slope, rng.randint(-9, 20), rng.randint(3, 6))
        if all(0 <= value <= 99 for _, value in problem.shown):
            return problem


def program_question(problem: ProgramProblem, language: str, variant: int) -> str:
    """The question in English or Chinese; `variant` chooses the wording."""
    values = [f"f({x})={value}" for x, value in problem.shown]
    if language == "en":
        listed = ", ".join(values)
        return (f"Write f(x) in Python: {listed}.", f"Which Python function has {listed}?")[variant % 2]
    listed = "，".join(values)
    return (f"用Python写f(x)：{listed}。", f"哪个Python函数满足{listed}？")[variant % 2]
