"""What the end of a bounded grading means."""

from collections.abc import Callable

import pytest

from dunwu.records import RewardPart
from dunwu.rewards.bounded import VerdictCache, judge_in_pool, verdict
from dunwu.rewards.worker_pool import JobCrashError, JobLostError, JobTimeoutError


class FakePool:
    def __init__(self, outcome: Exception | dict[str, object]) -> None:
        self.outcome = outcome

    def run(self, job: dict[str, object], cpu_seconds: float) -> dict[str, object]:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "value", "status", "detail"),
    [
        ({"right": True, "detail": "d"}, 1.0, "ok", "d"),
        ({"right": False, "detail": ""}, 0.0, "ok", ""),
        (JobTimeoutError("more than 5 s"), 0.0, "ok", "could not be graded: more than 5 s"),
        (JobCrashError("SIGSEGV"), 0.0, "ok", "could not be graded: SIGSEGV"),
        (JobLostError("killed"), None, "error", "killed"),
    ],
)
def test_the_answer_pays_for_what_it_does_and_for_nothing_else(
    outcome: Exception | dict[str, object], value: float | None, status: str, detail: str
) -> None:
    part = judge_in_pool(FakePool(outcome), {}, 5.0)  # type: ignore[arg-type]
    assert (part.value, part.status) == (value, status)
    assert part.detail.endswith(detail)


def counting(part: RewardPart) -> tuple[Callable[[], RewardPart], list[int]]:
    calls: list[int] = []

    def judge() -> RewardPart:
        calls.append(1)
        return part

    return judge, calls


def test_verdicts_are_remembered_and_errors_are_not() -> None:
    cache = VerdictCache()
    judge, calls = counting(verdict(True))
    assert [cache.get("k", judge).value for _ in range(3)] == [1.0] * 3
    assert len(calls) == 1
    judge, calls = counting(RewardPart(None, "error", "lost"))
    assert [cache.get("e", judge).status for _ in range(3)] == ["error"] * 3
    assert len(calls) == 3


def test_the_verdict_used_longest_ago_is_forgotten_first() -> None:
    cache = VerdictCache(size=2)
    judge, calls = counting(verdict(True))
    for key in ("a", "b", "a", "c", "a", "b"):  # c pushes b out, not a
        cache.get(key, judge)
    assert len(calls) == 4
