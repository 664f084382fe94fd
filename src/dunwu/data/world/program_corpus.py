"""How programs of the embedded world are written down: a bare guess, the straight line through two values, or one that is
held against the third value and replaced where it fails.

`micro`'s base corpus has no programs; the code recipe teaches it to write them before it is trained by running them. Called
by `corpus.solution`.
"""

from dunwu.data.world.programs import ProgramProblem, function_text, term_text
from dunwu.data.world.writing import Hand, Solution, Style, comparison_text, slipped, step_text


def program_solution(problem: ProgramProblem, style: Style, hand: Hand) -> Solution:
    """(thinking, answer) in one style."""
    match style:
        case "bare":
            return _bare(problem, hand)
        case "short":
            line, slope, offset = _line(problem, hand)
            return hand.list(line) + hand.words["end"], function_text(slope, offset)
        case "careful":
            return _careful(problem, hand)


def _bare(problem: ProgramProblem, hand: Hand) -> Solution:
    slope, offset, rng = problem.slope, problem.offset, hand.rng
    if rng.random() >= hand.shares.bare_right:
        if slope is None or rng.random() < 0.5:
            slope = rng.randint(2, 9)
        else:
            offset = slipped(offset, rng)
    return hand.pick("bare"), function_text(slope, offset)


def _line(problem: ProgramProblem, hand: Hand) -> tuple[list[str], int, int]:
    """The straight line through f(1) and f(2): the written steps, slope and offset; both differences may slip."""
    (_, first), (_, second), _ = problem.shown
    slope, written = _difference(second, first, hand)
    offset, step = _difference(first, slope, hand)
    return [written, hand.words["try"].format(f"{slope}*x"), step], slope, offset


def _difference(left: int, right: int, hand: Hand) -> tuple[int, str]:
    result = left - right
    if hand.slips():
        result = slipped(result, hand.rng)
    return result, step_text(left, "-", right, result)


def _careful(problem: ProgramProblem, hand: Hand) -> Solution:
    line, slope, offset = _line(problem, hand)
    check, holds = _check(problem, slope, offset, hand)
    text = hand.list(line) + hand.words["end"] + hand.words["gap"] + check
    if holds:
        return text.strip(), function_text(slope, offset)
    (_, first), *_ = problem.shown
    square_offset, step = _difference(first, 1, hand)
    text += hand.list([hand.pick("wait") + hand.words["try"].format("x*x"), step]) + hand.words["end"]
    check, holds = _check(problem, None, square_offset, hand)
    text += hand.words["gap"] + check
    if holds or problem.slope is None:
        return text.strip(), function_text(None, square_offset)
    # neither form held: a difference of the line slipped; it is taken again
    text += hand.pick("wait") + hand.list(_line_without_slips(problem)) + hand.words["end"]
    return text.strip(), problem.answer


def _line_without_slips(problem: ProgramProblem) -> list[str]:
    (_, first), (_, second), _ = problem.shown
    slope = second - first
    return [step_text(second, "-", first, slope), step_text(first, "-", slope, first - slope)]


def _check(problem: ProgramProblem, slope: int | None, offset: int, hand: Hand) -> tuple[str, bool]:
    """A form held against the third value, as it is written, and whether it is said to hold."""
    x, wanted = problem.shown[2]
    factor = x if slope is None else slope
    product = factor * x
    value = product + offset
    working = f"{factor}*{x}={product}"
    if offset:
        working += f"{hand.words['sep']}{product}{term_text(offset)}={value}"
    verdict = hand.words["yes" if value == wanted else "no"]
    return (
        hand.pick("check") + hand.list([working, comparison_text(value, wanted, hand.words), verdict]),
        value == wanted,
    )
