"""No wrong verdict on the corpus of pairs that people judged (`corpus/README.md`)."""

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import pytest
from maths_corpus import Pair, read_pairs

from dunwu.config.output_form import ThinkAnswerForm
from dunwu.config.reward import AccuracyReward
from dunwu.records import Problem, RewardPart
from dunwu.rewards.bounded import VerdictCache
from dunwu.rewards.grading import Grader

PAIRS = read_pairs()
APART = {"hostile", "references that cannot be graded", "where the answer stands"}
CATEGORIES = sorted({pair.category for pair in PAIRS} - APART)
HOSTILE = [pair for pair in PAIRS if pair.category == "hostile"]
WAYS = PAIRS[::29]  # a sample of every category


IN_A_PROCESS = """
import json, sys
from dunwu.config.reward import AccuracyReward
from dunwu.records import Problem
from dunwu.rewards.grading import Grader
with Grader([AccuracyReward()], num_workers=1) as grader:
    parts = [
        grader.grade(Problem("p", "kind", "What?", reference, "math"), completion).parts["accuracy"]
        for reference, completion in json.load(sys.stdin)
    ]
print(json.dumps([[part.value, part.status] for part in parts]))
"""


def verdict(part: RewardPart) -> str:
    return {1.0: "right", 0.0: "wrong", None: part.status}[part.value]


def problem_of(pair: Pair) -> Problem:
    return Problem(f"line {pair.line}", pair.category, "What?", pair.reference, "math")


def item(pair: Pair) -> tuple[Problem, str, str]:
    return problem_of(pair), pair.completion, pair.finish_reason


def faults(grader: Grader, pairs: list[Pair]) -> list[str]:
    """Return the pairs that the grader judges otherwise than people do."""
    parts = [reward.parts["accuracy"] for reward in grader.grade_all([item(pair) for pair in pairs])]
    return [
        f"line {pair.line}: {pair.reference[:60]!r} | {(pair.answer or pair.completion)[:60]!r} should be "
        f"{pair.verdict}, is {verdict(part)} ({part.detail})"
        for pair, part in zip(pairs, parts, strict=True)
        if verdict(part) != pair.verdict
    ]


def test_the_corpus_is_large_and_says_nothing_twice() -> None:
    counts = Counter(pair.verdict for pair in PAIRS)
    assert counts["right"] >= 500
    assert counts["wrong"] >= 500
    assert counts["not_gradable"] >= 20
    keys = [
        (pair.reference, pair.completion, pair.answer_from, pair.think_opened_by_prompt) for pair in PAIRS
    ]
    assert len(set(zip(keys, [pair.finish_reason for pair in PAIRS], strict=True))) == len(PAIRS)


@pytest.mark.parametrize("category", CATEGORIES)
def test_no_wrong_verdict(grader: Grader, category: str) -> None:
    assert faults(grader, [pair for pair in PAIRS if pair.category == category]) == []


def test_no_wrong_verdict_on_where_the_answer_stands() -> None:
    whole = [pair for pair in PAIRS if pair.category == "where the answer stands"]
    for source, opened in {(pair.answer_from, pair.think_opened_by_prompt) for pair in whole}:
        pairs = [p for p in whole if (p.answer_from, p.think_opened_by_prompt) == (source, opened)]
        reward = AccuracyReward.model_validate({"answer_from": source})
        with Grader([reward], output_form=ThinkAnswerForm(opened_by_prompt=opened), num_workers=1) as grader:
            assert faults(grader, pairs) == []


def test_bad_references_are_not_gradable(strict_grader: Grader) -> None:
    pairs = [pair for pair in PAIRS if pair.verdict == "not_gradable"]
    assert {pair.category for pair in pairs} == {"references that cannot be graded"}
    assert faults(strict_grader, pairs) == []


def test_no_wrong_verdict_on_hostile_answers(strict_grader: Grader) -> None:
    assert faults(strict_grader, HOSTILE[::5]) == []


@pytest.mark.slow
def test_no_wrong_verdict_on_any_hostile_answer(strict_grader: Grader) -> None:
    assert faults(strict_grader, HOSTILE) == []


def test_verdicts_do_not_depend_on_where_grading_is_called_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VerdictCache, "get", lambda self, key, judge: judge())  # nothing is remembered
    pairs = [pair for pair in WAYS if pair.category not in APART]

    def all_verdicts(grader: Grader) -> list[str]:
        return [verdict(grader.grade(*item(pair)).parts["accuracy"]) for pair in pairs]

    def in_thread(grader: Grader) -> list[str]:
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.extend(all_verdicts(grader)))
        thread.start()
        thread.join()
        return found

    async def in_tasks(grader: Grader) -> list[str]:
        futures = [asyncio.wrap_future(grader.submit(*item(pair))) for pair in pairs]
        return [verdict(reward.parts["accuracy"]) for reward in await asyncio.gather(*futures)]

    ways: dict[str, Callable[[Grader], list[str]]] = {
        "main thread": all_verdicts,
        "worker thread": in_thread,
        "asyncio": lambda grader: asyncio.run(in_tasks(grader)),
    }
    expected = [pair.verdict for pair in pairs]
    assert len(expected) >= 40
    with Grader([AccuracyReward()], num_workers=1) as grader:
        for name, way in ways.items():
            assert way(grader) == expected, name
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS],
        input=json.dumps([[pair.reference, pair.completion] for pair in pairs]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert [verdict(RewardPart(*part)) for part in json.loads(done.stdout)] == expected
