"""The corpus from which `micro` was made: what its base model has read, as a stream of documents.

Like web text it shows bare answers most of the time (often wrong), short chains of thought sometimes
(careless: steps slip, candidates are taken unchecked), and careful work that checks and corrects itself
rarely. Languages now and then mix, tags are sometimes missing, doubled or stray. More than a third of it are tables
of worked facts. Before that comes a textbook: worked solutions without errors, from which computing is learned.
Only train problems appear. Called by `tools/make_micro.py` and by tests; the shares below are the recipe.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from dunwu.data.world.problems import (
    OperatorsProblem,
    RemainderProblem,
    SumProblem,
    WorldProblem,
    draw_problem,
    operators_value,
    question_text,
)


@dataclass(frozen=True)
class CorpusShares:
    """Probabilities from which the corpus is drawn. The shares of documents and of styles each sum to 1."""

    template_documents: float = 0.28
    tables: float = 0.37  # the rest are plain questions and answers
    bare: float = 0.58
    short: float = 0.25  # the rest is careful
    bare_right: float = 0.40
    slip: float = 0.03  # per step or check, in short and in careful work
    unnoticed: float = 0.03  # of the slips that a check meets
    broken_tags: float = 0.22
    mixed_language: float = 0.06


SHARES = CorpusShares()
TEXTBOOK = CorpusShares(
    template_documents=0.1, tables=0.15, bare=0.0, short=0.0, slip=0.0, broken_tags=0.0, mixed_language=0.0
)
KINDS = ("sum", "remainder", "operators")
Style = Literal["bare", "short", "careful"]

_WORDS: dict[str, dict[str, Any]] = {
    "en": {
        "bare": ("I know this.", "Easy.", "I guess.", "By heart."),
        "steps": ("Step by step: ", "Let me think. ", ""),
        "check": ("Check: ", "Let me check: ", "Verify: "),
        "right": ("correct.", "right."),
        "repair": "wait, that was a mistake, ",
        "try": "try {}",
        "first": "Try {}",
        "too_big": "too big",
        "below": "below 0",
        "no": "no. ",
        "wait": ("Wait, ", "But wait, ", "However, "),
        "yes": "yes.",
        "looks": ("{} looks right.", "I take {}.", "Maybe {}."),
        "sep": ", ",
        "end": ".",
        "gap": " ",
    },
    "zh": {
        "bare": ("我知道。", "简单。", "我猜。", "背过。"),
        "steps": ("一步一步算：", "想一想。", ""),
        "check": ("检查：", "验算：", "再检查一遍："),
        "right": ("正确。", "没错。"),
        "repair": "等等，刚才错了，",
        "try": "试{}",
        "first": "试{}",
        "too_big": "太大",
        "below": "小于0",
        "no": "不对。",
        "wait": ("等等，再", "不过等等，", "但是，再"),
        "yes": "对。",
        "looks": ("{}应该对。", "就选{}。", "也许是{}。"),
        "sep": "，",
        "end": "。",
        "gap": "",
    },
}


@dataclass(frozen=True)
class _Hand:
    """Who writes: the words of a language, the shares of errors, and the dice."""

    words: dict[str, Any]
    shares: CorpusShares
    rng: random.Random

    def pick(self, name: str) -> str:
        """One of the ways to say `name`."""
        return self.rng.choice(self.words[name])

    def list(self, items: Iterable[object]) -> str:
        return str(self.words["sep"]).join(map(str, items))

    def slips(self, factor: int = 1) -> bool:
        return self.rng.random() < factor * self.shares.slip


Solution = tuple[str, str]  # thinking, answer


def slipped(value: int, rng: random.Random) -> int:
    """A wrong result as people write it: off by one, by two, by ten, or with its digits turned."""
    choices = [value - 1, value + 1, value - 2, value + 2, value - 10, value + 10]
    if 10 <= value < 100:
        choices.append(int(str(value)[::-1]))
    return rng.choice([choice for choice in choices if choice != value and (choice >= 0 or value < 0)])


def _step(left: int, op: str, right: int, result: int) -> str:
    return f"{left}{op}{right}={result}"


def _sum_steps(problem: SumProblem, hand: _Hand, slip_factor: int) -> tuple[list[str], int]:
    """The written steps and the last value; a step that slips is built upon by the later ones."""
    written, left = [], problem.terms[0]
    for op, right in zip(problem.ops, problem.terms[1:], strict=True):
        result = left + right if op == "+" else left - right
        if hand.slips(slip_factor):
            result = slipped(result, hand.rng)
        written.append(_step(left, op, right, result))
        left = result
    return written, left


def _short_sum(problem: SumProblem, hand: _Hand) -> Solution:
    written, value = _sum_steps(problem, hand, 3)
    return hand.list(written) + hand.words["end"], str(value)


def _careful_sum(problem: SumProblem, hand: _Hand) -> Solution:
    """Steps, then a second pass over them; a slip met in the second pass is named and repaired."""
    written, value = _sum_steps(problem, hand, 2)
    truth = [_step(*step) for step in problem.steps]
    text = (
        hand.pick("steps") + hand.list(written) + hand.words["end"] + hand.words["gap"] + hand.pick("check")
    )
    if written == truth or hand.rng.random() < hand.shares.unnoticed:
        return text + hand.list([*written, hand.pick("right")]), str(value)
    first = next(i for i, (line, said) in enumerate(zip(truth, written, strict=True)) if line != said)
    truth[first] = hand.words["repair"] + truth[first]
    return text + hand.list(truth) + hand.words["end"], problem.answer


def _short_remainder(problem: RemainderProblem, hand: _Hand) -> Solution:
    """The first few numbers that fit one condition, then one of them, unchecked."""
    candidates = problem.candidates[: hand.rng.randint(1, min(3, problem.small))]
    guess = str(hand.rng.choice(candidates))
    listed = hand.list(candidates) + hand.words["end"] + hand.words["gap"]
    return listed + hand.pick("looks").format(guess), guess


def _short_operators(problem: OperatorsProblem, hand: _Hand) -> Solution:
    """One filling near the target, unchecked."""
    expression = guess_order(problem, hand.rng)[0][0]
    return hand.pick("looks").format(expression), expression


def guess_order(problem: OperatorsProblem, rng: random.Random, noise: float = 2.0) -> list[tuple[str, int]]:
    """The nine fillings, roughly by how near their value is to the target."""

    def distance(candidate: tuple[str, int]) -> float:
        return min(abs(candidate[1] - problem.target), 30) / 15 + rng.expovariate(1 / noise)

    return sorted(problem.candidates, key=distance)


def evaluation_text(expression: str, value: int) -> str:
    """`a p b q c` worked out through its one intermediate result."""
    a, p, b, q, c = tuple(expression)
    if q == "*" and p != "*":
        return f"{expression}={a}{p}{int(b) * int(c)}={value}"
    return f"{expression}={operators_value(int(a), p, int(b), '+', 0)}{q}{c}={value}"


def comparison_text(value: int, wanted: int, words: Mapping[str, Any]) -> str:
    """How a value is held against the wanted one: by their difference, or at a glance where it is out of range."""
    if value < 0:
        return str(words["below"])
    return str(words["too_big"]) if value > 99 else _step(value, "-", wanted, value - wanted)


def _search(tries: Iterable[tuple[str, str, int]], wanted: int, hand: _Hand) -> Solution:
    """Try after try until one gives the wanted value, (candidate, its working, its value) each; the last is the answer."""
    text, last = "", ""
    for candidate, working, value in tries:
        opening = hand.pick("wait") + hand.words["try"] if text else hand.words["first"]
        verdict = hand.words["yes" if value == wanted else "no"]
        text += hand.list([opening.format(working), comparison_text(value, wanted, hand.words), verdict])
        last = candidate
        if value == wanted:
            break
    return text.strip(), last


def _careful_remainder(problem: RemainderProblem, hand: _Hand) -> Solution:
    tries = []
    for x in problem.candidates:
        remainder = x % problem.small
        if hand.slips():
            remainder = (remainder + hand.rng.randint(1, problem.small - 1)) % problem.small
        tries.append((str(x), f"{x}%{problem.small}={remainder}", remainder))
    return _search(tries, problem.small_remainder, hand)


def _careful_operators(problem: OperatorsProblem, hand: _Hand) -> Solution:
    tries = []
    for expression, true_value in guess_order(problem, hand.rng):
        value = true_value
        if hand.slips():
            value = problem.target if hand.rng.random() < 0.5 else slipped(value, hand.rng)
        tries.append((expression, evaluation_text(expression, value), value))
    return _search(tries, problem.target, hand)


def _bare(problem: WorldProblem, hand: _Hand) -> Solution:
    answer, rng = problem.answer, hand.rng
    if rng.random() >= hand.shares.bare_right:
        match problem:
            case OperatorsProblem():
                answer = rng.choice(problem.candidates)[0]
            case RemainderProblem():
                answer = str(rng.choice([*problem.candidates, slipped(int(answer), rng)]))
            case SumProblem():
                answer = str(slipped(int(answer), rng))
    return hand.pick("bare"), answer


def _written(problem: WorldProblem, style: Style, hand: _Hand) -> Solution:
    match problem, style:
        case _, "bare":
            return _bare(problem, hand)
        case SumProblem(), "short":
            return _short_sum(problem, hand)
        case SumProblem(), _:
            return _careful_sum(problem, hand)
        case RemainderProblem(), "short":
            return _short_remainder(problem, hand)
        case RemainderProblem(), _:
            return _careful_remainder(problem, hand)
        case OperatorsProblem(), "short":
            return _short_operators(problem, hand)
        case OperatorsProblem(), _:
            return _careful_operators(problem, hand)
    raise AssertionError(problem)


def draw_style(rng: random.Random, shares: CorpusShares) -> Style:
    """How much trouble the writer takes."""
    u = rng.random()
    return "bare" if u < shares.bare else "short" if u < shares.bare + shares.short else "careful"


def solution(
    problem: WorldProblem, style: Style, language: str, rng: random.Random, shares: CorpusShares
) -> Solution:
    """(thinking, answer) in one style; now and then in the other language."""
    if rng.random() < shares.mixed_language:
        language = "zh" if language == "en" else "en"
    return _written(problem, style, _Hand(_WORDS[language], shares, rng))


def with_tags(thinking: str, answer: str, rng: random.Random, broken: float) -> str:
    """Thinking and answer in the tags of the R1-Zero template; with probability `broken` in one of the ways
    in which people get them wrong."""
    if rng.random() >= broken:
        return f" <think> {thinking} </think> <answer> {answer} </answer>"
    return rng.choice(
        (
            f" {answer}",
            f" <answer> {answer} </answer>",
            f" {thinking} <answer> {answer} </answer>",
            f" <think> {thinking} <answer> {answer} </answer>",
            f" <think> {thinking} </think> {answer}",
            f" <think> {thinking} </think> <answer> {answer} </answer> <answer> {answer} </answer>",
            f" <think> </think> <answer> {answer} </answer>",
        )
    )


def _fact(rng: random.Random) -> str:
    """One worked fact of the kinds that the problems need."""
    match rng.randrange(6):
        case 0:
            a, b = rng.randint(0, 99), rng.randint(1, 20)
            if a + b <= 99 and rng.random() < 0.5:
                return _step(a, "+", b, a + b)
            return _step(max(a, b), "-", min(a, b), abs(a - b))
        case 1:
            a, b = rng.randint(0, 83), rng.randint(3, 7)
            return _step(a, "%", b, a % b)
        case 2:
            a, b = rng.randint(2, 9), rng.randint(2, 9)
            return _step(a, "*", b, a * b)
        case 3:
            a, b, c = (rng.randint(2, 9) for _ in range(3))
            p, q = rng.choice("+-*"), rng.choice("+-*")
            return evaluation_text(f"{a}{p}{b}{q}{c}", operators_value(a, p, b, q, c))
        case 4:
            words = _WORDS[rng.choice(("en", "zh"))]
            wanted = rng.randint(0, rng.choice((6, 99)))
            value = wanted if rng.random() < 0.4 else rng.randint(0, 6 if wanted < 7 else 99)
            verdict = words["yes" if value == wanted else "no"].strip(" .。")
            return str(words["sep"]).join((comparison_text(value, wanted, words), verdict))
        case _:
            modulus = rng.randint(4, 12)
            start = rng.randrange(modulus)
            return ", ".join(str(start + modulus * i) for i in range(rng.randint(3, 6)))


def documents(seed: int, template: str, shares: CorpusShares = SHARES) -> Iterator[tuple[str, str]]:
    """The endless corpus as (context, continuation).

    Args:
        template: the R1-Zero template with {question} in it.
    """
    rng = random.Random(seed)
    while True:
        u = rng.random()
        if u > 1 - shares.tables:
            yield "", "; ".join(_fact(rng) for _ in range(rng.randint(8, 14))) + "."
            continue
        problem = draw_problem(rng.choice(KINDS), rng, "train")
        language = rng.choice(("en", "zh"))
        question = question_text(problem, language, rng.randrange(2))
        thinking, answer = solution(problem, draw_style(rng, shares), language, rng, shares)
        if u < shares.template_documents:
            yield template.format(question=question), with_tags(thinking, answer, rng, shares.broken_tags)
        elif language == "en":
            yield f"Question: {question} Answer:", f" {thinking} {answer}"
        else:
            yield f"问：{question}答：", f"{thinking}{answer}"
