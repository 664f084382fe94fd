"""Judges maths pairs as a peer does: math-verify by itself, TRL's accuracy reward, open-r1's, or dunwu.

    python -m benchmarks.peers.grading SIDE CPU_SECONDS

Reads one JSON line {"reference", "completion", "answer_from"} at a time from standard input and answers each with one line:
"right", "wrong", "not_gradable" (no reward is given), or "error: ..." for an exception. A process of its own,
because the peers compute in the caller's and can only be stopped by ending that: the kernel ends it when one
pair takes more processor time than it may.
"""

import json
import logging
import resource
import signal
import sys
from collections.abc import Callable
from typing import Any

MEMORY_BYTES = 4 << 30
Judge = Callable[[str, str, list[str]], float | None]
SIDES = ("math-verify", "TRL", "open-r1", "dunwu")


def main() -> None:
    """Answer lines until standard input ends."""
    judge, cpu_seconds = _judges()[sys.argv[1]](), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    replies, sys.stdout = sys.stdout, sys.stderr  # whatever a peer prints is no reply
    logging.disable(logging.CRITICAL)
    print("ready", file=replies, flush=True)
    for line in sys.stdin:
        pair = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        try:
            reward = judge(pair["reference"], pair["completion"], pair["answer_from"])
        except Exception as error:
            verdict = f"error: {type(error).__name__}"
        else:
            verdict = "not_gradable" if reward is None else "right" if reward >= 1.0 else "wrong"
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(verdict, file=replies, flush=True)


def _judges() -> dict[str, Callable[[], Judge]]:
    return {"math-verify": _math_verify, "TRL": _trl, "open-r1": _open_r1, "dunwu": _dunwu}


def _math_verify() -> Judge:
    """parse and verify with all their defaults, as the README of math-verify shows them."""
    from math_verify import parse, verify

    return lambda reference, completion, _: float(verify(parse(reference), parse(completion)))


def _trl() -> Judge:
    """The function that is installed."""
    from trl.rewards import accuracy_reward

    def judge(reference: str, completion: str, _: list[str]) -> float | None:
        return accuracy_reward([[{"role": "assistant", "content": completion}]], [reference])[0]

    return judge


def _open_r1() -> Judge:
    """What open-r1's accuracy reward asks of math-verify, put together anew: it is not on a package index.

    The reference is parsed with the extraction defaults, first match only; the answer as LaTeX only, a box before
    all else, no guess without an anchor, equations kept whole, units dropped, malformed operators not mended. A
    reference that cannot be parsed gives no reward, as in its latest version; in its first ones it gave 1.
    """
    from latex2sympy2_extended import NormalizationConfig
    from math_verify import LatexExtractionConfig, parse, verify

    looks: dict[str, Any] = {"nits": False, "malformed_operators": False, "basic_latex": True, "units": True}
    answer_config = LatexExtractionConfig(
        normalization_config=NormalizationConfig(boxed="all", equations=True, **looks),
        boxed_match_priority=0,
        try_extract_without_anchor=False,
    )

    def judge(reference: str, completion: str, _: list[str]) -> float | None:
        gold = parse(reference, extraction_mode="first_match")
        if not gold:
            return None
        given = parse(completion, [answer_config], extraction_mode="first_match")
        return float(verify(gold, given))

    return judge


def _dunwu() -> Judge:
    from dunwu.config.reward import AccuracyReward
    from dunwu.records import Problem
    from dunwu.rewards.grading import Grader

    def grader(*answer_from: str) -> Grader:
        reward = AccuracyReward.model_validate({"answer_from": answer_from, "timeout_seconds": 2.0})
        return Grader([reward], num_workers=1)

    boxed_or_text, boxed = grader("boxed", "text"), grader("boxed")

    def judge(reference: str, completion: str, answer_from: list[str]) -> float | None:
        side = boxed if answer_from == ["boxed"] else boxed_or_text
        return side.grade(Problem("p", "k", "q", reference, "math"), completion).total

    return judge


if __name__ == "__main__":
    main()
