"""The corpus from which `micro` was made: what its base model has read, as a stream of documents.

Like web text it shows bare answers most of the time (often wrong), short chains of thought sometimes (careless: steps slip,
candidates are taken unchecked), and careful work that checks and corrects itself rarely. Languages now and then mix, tags are
sometimes missing, doubled or stray. A third of it are tables of worked facts, from which the sums are learned. Only train
problems appear. Called by `tools/make_micro.py` and by tests; the shares below are the recipe.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

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
KINDS = ("sum", "remainder", "operators")

_WORDS = {
    "en": {
        "bare": ("I know this.", "Easy.", "I guess.", "By heart."),
        "steps": ("Step by step: ", "Let me think. ", ""),
        "check": ("Check: ", "Let me check: ", "Verify: "),
        "right": ("correct.", "right."),
        "repair": "wait, that was a mistake, ",
        "try": "try {}",
        "first": "Try {}",
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
        "no": "不对。",
        "wait": ("等等，再", "不过等等，", "但是，再"),
        "yes": "对。",
        "looks": ("{}应该对。", "就选{}。", "也许是{}。"),
        "sep": "，",
        "end": "。",
        "gap": "",
    },
}


def slipped(value: int, rng: random.Random) -> int:
    """A wrong result as people write it: off by one, by two, by ten, or with its digits turned."""
    choices = [value - 1, value + 1, value - 2, value + 2, value - 10, value + 10]
    if value >= 10 and value % 10 != value // 10 % 10 and value < 100:
        choices.append(int(str(value)[::-1]))
    return rng.choice([choice for choice in choices if choice >= 0 and choice != value] or [value + 1])


def _step(left: int, op: str, right: int, result: int) -> str:
    return f"{left}{op}{right}={result}"


def _sum_chain(problem: SumProblem, rng: random.Random, slip: float) -> tuple[list[str], int, bool]:
    """The written steps, the final value as written, and whether a step slipped (later steps build on the slip)."""
    written, left, wrong = [], problem.terms[0], False
    for op, right in zip(problem.ops, problem.terms[1:], strict=True):
        result = left + right if op == "+" else left - right
        if rng.random() < slip:
            result, wrong = slipped(result, rng), True
        written.append(_step(left, op, right, result))
        left = result
    return written, left, wrong


def _short_sum(problem: SumProblem, words: dict, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    written, value, _ = _sum_chain(problem, rng, 3 * shares.slip)
    return words["sep"].join(written) + words["end"], str(value)


def _careful_sum(problem: SumProblem, words: dict, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    """Steps, then a second pass over them; a slip met in the second pass is named and repaired."""
    written, value, wrong = _sum_chain(problem, rng, 2 * shares.slip)
    text = rng.choice(words["steps"]) + words["sep"].join(written) + words["end"] + words["gap"] + rng.choice(words["check"])
    if not wrong or rng.random() < shares.unnoticed:
        return text + words["sep"].join(written) + words["sep"] + rng.choice(words["right"]), str(value)
    checked, repaired = [], False
    for truth, first in zip(problem.steps, written, strict=True):
        line = _step(*truth)
        if line != first and not repaired:
            line, repaired = words["repair"] + line, True
        checked.append(line)
    return text + words["sep"].join(checked) + words["end"], problem.answer


def _short_remainder(problem: RemainderProblem, words: dict, rng: random.Random, _: CorpusShares) -> tuple[str, str]:
    """The first few numbers that fit one condition, then one of them, unchecked."""
    candidates = problem.candidates[: rng.randint(1, min(3, problem.small))]
    pick = str(rng.choice(candidates))
    return words["sep"].join(map(str, candidates)) + words["end"] + words["gap"] + rng.choice(words["looks"]).format(pick), pick


def _short_operators(problem: OperatorsProblem, words: dict, rng: random.Random, _: CorpusShares) -> tuple[str, str]:
    """One filling near the target, unchecked."""
    expression = guess_order(problem, rng, noise=2.0)[0][0]
    return rng.choice(words["looks"]).format(expression), expression


def guess_order(problem: OperatorsProblem, rng: random.Random, noise: float) -> list[tuple[str, int]]:
    """The nine fillings, roughly by how near their value is to the target."""

    return sorted(problem.candidates, key=lambda c: min(abs(c[1] - problem.target), 30) / 15 + rng.expovariate(1 / noise))


def evaluation_text(expression: str, value: int) -> str:
    """`a p b q c` worked out through its one intermediate result."""
    a, p, b, q, c = expression
    if q == "*" and p != "*":
        return f"{expression}={a}{p}{int(b) * int(c)}={value}"
    return f"{expression}={operators_value(int(a), p, int(b), '+', 0)}{q}{c}={value}"


def _search(
    tries: list[tuple[str, str, bool]], words: dict, rng: random.Random
) -> tuple[str, str]:
    """Try after try until one passes, (candidate, its working, passed) each; the last candidate is the answer."""
    text, last = "", ""
    for i, (candidate, working, passed) in enumerate(tries):
        text += (words["first"] if i == 0 else rng.choice(words["wait"]) + words["try"]).format(working)
        text += words["sep"] + (words["yes"] if passed else words["no"])
        last = candidate
        if passed:
            break
    return text.strip(), last


def _careful_remainder(problem: RemainderProblem, words: dict, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    tries = []
    for x in problem.candidates:
        remainder = x % problem.small
        if rng.random() < shares.slip:
            remainder = (remainder + rng.randint(1, problem.small - 1)) % problem.small
        tries.append((str(x), f"{x}%{problem.small}={remainder}", remainder == problem.small_remainder))
    return _search(tries, words, rng)


def _careful_operators(problem: OperatorsProblem, words: dict, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    tries = []
    for expression, true_value in guess_order(problem, rng, noise=2.0):
        value = true_value
        if rng.random() < shares.slip:
            value = problem.target if rng.random() < 0.5 else slipped(value, rng)
        tries.append((expression, evaluation_text(expression, value), value == problem.target))
    return _search(tries, words, rng)


def _bare(problem: WorldProblem, words: dict, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    answer = problem.answer
    if rng.random() >= shares.bare_right:
        match problem:
            case OperatorsProblem():
                answer = rng.choice(problem.candidates)[0]
            case RemainderProblem():
                answer = str(rng.choice([*problem.candidates, slipped(int(answer), rng)]))
            case SumProblem():
                answer = str(slipped(int(answer), rng))
    return rng.choice(words["bare"]), answer


_STYLES = {
    "bare": dict.fromkeys(KINDS, _bare),
    "short": {"sum": _short_sum, "remainder": _short_remainder, "operators": _short_operators},
    "careful": {"sum": _careful_sum, "remainder": _careful_remainder, "operators": _careful_operators},
}


def draw_style(rng: random.Random, shares: CorpusShares) -> str:
    """How much trouble the writer takes."""
    u = rng.random()
    return "bare" if u < shares.bare else "short" if u < shares.bare + shares.short else "careful"


def with_tags(thinking: str, answer: str, rng: random.Random, broken: float) -> str:
    """Thinking and answer in the tags of the R1-Zero template; with probability `broken` in one of the ways people err."""
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


def solution(problem: WorldProblem, style: str, language: str, rng: random.Random, shares: CorpusShares) -> tuple[str, str]:
    """(thinking, answer) in one style; now and then in the other language."""
    if rng.random() < shares.mixed_language:
        language = "zh" if language == "en" else "en"
    kind = problem.key.partition(":")[0]
    return _STYLES[style][kind](problem, _WORDS[language], rng, shares)  # type: ignore[operator]


def fact_table(rng: random.Random) -> str:
    """A dozen worked facts of the kinds that the problems need."""
    facts = []
    for _ in range(rng.randint(8, 14)):
        match rng.randrange(5):
            case 0:
                a, b = rng.randint(0, 99), rng.randint(1, 20)
                facts.append(_step(a, "+", b, a + b) if a + b <= 99 and rng.random() < 0.5 else _step(max(a, b), "-", min(a, b), abs(a - b)))
            case 1:
                a, b = rng.randint(0, 83), rng.randint(3, 7)
                facts.append(f"{a}%{b}={a % b}")
            case 2:
                a, b = rng.randint(2, 9), rng.randint(2, 9)
                facts.append(_step(a, "*", b, a * b))
            case 3:
                a, b, c = (rng.randint(2, 9) for _ in range(3))
                p, q = rng.choice("+-*"), rng.choice("+-*")
                value = operators_value(a, p, b, q, c)
                facts.append(evaluation_text(f"{a}{p}{b}{q}{c}", value))
            case _:
                m = rng.randint(4, 12)
                start = rng.randrange(m)
                facts.append(", ".join(str(start + m * i) for i in range(rng.randint(3, 6))))
    return "; ".join(facts) + "."


def documents(seed: int, template: str, shares: CorpusShares = SHARES) -> Iterator[tuple[str, str]]:
    """The endless corpus as (context, continuation); `template` is the R1-Zero template with {question} in it."""
    rng = random.Random(seed)
    while True:
        u = rng.random()
        if u > 1 - shares.tables:
            yield "", fact_table(rng)
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
