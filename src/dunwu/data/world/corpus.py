"""The corpus from which `micro` was made: what its base model has read, as a stream of documents.

Like web text it shows bare answers most of the time (often wrong), short chains of thought sometimes
(careless: steps slip, candidates are taken unchecked), and careful work that checks and corrects itself
rarely. Languages now and then mix, tags are sometimes missing, doubled or stray. More than a third of it are tables
of worked facts. Before that comes a textbook: worked solutions without errors, from which computing is learned.
Only train problems appear. Called by `tools/make_micro.py` and by tests; the shares in `writing` are the recipe.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

from dunwu.data.world.general import GENERAL_KINDS, GeneralProblem
from dunwu.data.world.general_answers import written_answer
from dunwu.data.world.problems import (
    OperatorsProblem,
    RemainderProblem,
    SumProblem,
    WorldProblem,
    draw_problem,
    operators_value,
    question_text,
)
from dunwu.data.world.program_corpus import program_solution
from dunwu.data.world.programs import ProgramProblem
from dunwu.data.world.writing import (
    SHARES,
    WORDS,
    CorpusShares,
    Hand,
    Solution,
    Style,
    comparison_text,
    slipped,
    step_text,
)

KINDS = ("sum", "remainder", "operators")
"""The kinds of problem with one right answer that `micro` has read about."""


def _sum_steps(problem: SumProblem, hand: Hand, slip_factor: int) -> tuple[list[str], int]:
    """The written steps and the last value; a step that slips is built upon by the later ones."""
    written, left = [], problem.terms[0]
    for op, right in zip(problem.ops, problem.terms[1:], strict=True):
        result = left + right if op == "+" else left - right
        if hand.slips(slip_factor):
            result = slipped(result, hand.rng)
        written.append(step_text(left, op, right, result))
        left = result
    return written, left


def _short_sum(problem: SumProblem, hand: Hand) -> Solution:
    written, value = _sum_steps(problem, hand, 3)
    return hand.list(written) + hand.words["end"], str(value)


def _careful_sum(problem: SumProblem, hand: Hand) -> Solution:
    """Steps, then a second pass over them; a slip met in the second pass is named and repaired."""
    written, value = _sum_steps(problem, hand, 2)
    truth = [step_text(*step) for step in problem.steps]
    text = (
        hand.pick("steps") + hand.list(written) + hand.words["end"] + hand.words["gap"] + hand.pick("check")
    )
    if written == truth or hand.rng.random() < hand.shares.unnoticed:
        return text + hand.list([*written, hand.pick("right")]), str(value)
    first = next(i for i, (line, said) in enumerate(zip(truth, written, strict=True)) if line != said)
    truth[first] = hand.words["repair"] + truth[first]
    return text + hand.list(truth) + hand.words["end"], problem.answer


def _short_remainder(problem: RemainderProblem, hand: Hand) -> Solution:
    """The first few numbers that fit one condition, then one of them, unchecked."""
    candidates = problem.candidates[: hand.rng.randint(1, min(3, problem.small))]
    guess = str(hand.rng.choice(candidates))
    listed = hand.list(candidates) + hand.words["end"] + hand.words["gap"]
    return listed + hand.pick("looks").format(guess), guess


def _short_operators(problem: OperatorsProblem, hand: Hand) -> Solution:
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


def _search(tries: Iterable[tuple[str, str, int]], wanted: int, hand: Hand) -> Solution:
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


def _careful_remainder(problem: RemainderProblem, hand: Hand) -> Solution:
    tries = []
    for x in problem.candidates:
        remainder = x % problem.small
        if hand.slips():
            remainder = (remainder + hand.rng.randint(1, problem.small - 1)) % problem.small
        tries.append((str(x), f"{x}%{problem.small}={remainder}", remainder))
    return _search(tries, problem.small_remainder, hand)


def _careful_operators(problem: OperatorsProblem, hand: Hand) -> Solution:
    tries = []
    for expression, true_value in guess_order(problem, hand.rng):
        value = true_value
        if hand.slips():
            value = problem.target if hand.rng.random() < 0.5 else slipped(value, hand.rng)
        tries.append((expression, evaluation_text(expression, value), value))
    return _search(tries, problem.target, hand)


def _bare(problem: WorldProblem, hand: Hand) -> Solution:
    answer, rng = problem.answer, hand.rng
    if rng.random() >= hand.shares.bare_right:
        match problem:
            case OperatorsProblem():
                answer = rng.choice(problem.candidates)[0]
            case RemainderProblem():
                answer = str(rng.choice([*problem.candidates, slipped(int(answer), rng)]))
            case _:
                answer = str(slipped(int(answer), rng))
    return hand.pick("bare"), answer


def _general(problem: GeneralProblem, style: Style, hand: Hand) -> Solution:
    good = {"bare": hand.shares.bare_right, "short": 0.5, "careful": 1.0}[style]
    thinking, answer = written_answer(problem, hand.language, good, hand.rng)
    return (hand.pick("bare") if style == "bare" else thinking), answer


def _written(problem: WorldProblem, style: Style, hand: Hand) -> Solution:
    match problem, style:
        case ProgramProblem(), _:
            return program_solution(problem, style, hand)
        case GeneralProblem(), _:
            return _general(problem, style, hand)
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
    return _written(problem, style, Hand(language, shares, rng))


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
                return step_text(a, "+", b, a + b)
            return step_text(max(a, b), "-", min(a, b), abs(a - b))
        case 1:
            a, b = rng.randint(0, 83), rng.randint(3, 7)
            return step_text(a, "%", b, a % b)
        case 2:
            a, b = rng.randint(2, 9), rng.randint(2, 9)
            return step_text(a, "*", b, a * b)
        case 3:
            a, b, c = (rng.randint(2, 9) for _ in range(3))
            p, q = rng.choice("+-*"), rng.choice("+-*")
            return evaluation_text(f"{a}{p}{b}{q}{c}", operators_value(a, p, b, q, c))
        case 4:
            words = WORDS[rng.choice(("en", "zh"))]
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
        kinds = GENERAL_KINDS if rng.random() < shares.general else KINDS
        problem = draw_problem(rng.choice(kinds), rng, "train")
        language = rng.choice(("en", "zh"))
        question = question_text(problem, language, rng.randrange(2))
        thinking, answer = solution(problem, draw_style(rng, shares), language, rng, shares)
        if u < shares.template_documents:
            yield template.format(question=question), with_tags(thinking, answer, rng, shares.broken_tags)
        elif language == "en":
            yield f"Question: {question} Answer:", f" {thinking} {answer}"
        else:
            yield f"问：{question}答：", f"{thinking}{answer}"


def answered_problems(
    kinds: Sequence[str], languages: Sequence[str], num: int, shares: CorpusShares = SHARES
) -> Iterator[tuple[str, str]]:
    """`num` pairs of a question and an answer as the corpus has them, careless ones included, in R1-Zero's tags.

    The same arguments give the same pairs. Questions are train problems; one may come up more than once.
    """
    rng = random.Random("answered problems")
    for _ in range(num):
        problem, language = draw_problem(rng.choice(kinds), rng, "train"), rng.choice(languages)
        thinking, answer = solution(problem, draw_style(rng, shares), language, rng, shares)
        question = question_text(problem, language, rng.randrange(2))
        yield question, with_tags(thinking, answer, rng, shares.broken_tags)


def written_conversations(
    kinds: Sequence[str], languages: Sequence[str], num: int, good_share: float, seed: int
) -> Iterator[tuple[str, str, str]]:
    """`num` general prompts with thinking and answer, as data for supervised fine-tuning are written.

    The same arguments give the same conversations. Prompts are train prompts; one may come up more than once.

    Args:
        good_share: probability of the best answer; the others are careless.
    Yields:
        question, thinking, answer.
    """
    rng = random.Random(f"{seed}/written conversations")
    for _ in range(num):
        problem, language = draw_problem(rng.choice(kinds), rng, "train"), rng.choice(languages)
        assert isinstance(problem, GeneralProblem)
        thinking, answer = written_answer(problem, language, good_share, rng)
        yield question_text(problem, language, rng.randrange(2)), thinking, answer
