"""One grader with real grading processes for the whole room, started only where a test needs them."""

from collections.abc import Callable, Iterator

import pytest

from dunwu.config.reward import AccuracyReward, FormatReward
from dunwu.config.sandbox import BubblewrapSandbox
from dunwu.records import Problem
from dunwu.rewards.grading import Grader
from dunwu.sandbox.executor import Executor
from dunwu.sandbox.open import open_executor


@pytest.fixture(scope="session")
def grader() -> Iterator[Grader]:
    with Grader([AccuracyReward(), FormatReward()], num_workers=2) as shared:
        yield shared


@pytest.fixture(scope="session")
def strict_grader() -> Iterator[Grader]:
    """With a limit so short that hostile answers soon reach it."""
    with Grader([AccuracyReward(timeout_seconds=0.3)], num_workers=2) as shared:
        yield shared


@pytest.fixture
def problem() -> Callable[..., Problem]:
    def make(reference: str, grader: str = "math", **metadata: object) -> Problem:
        return Problem("p1", "kind", "What?", reference, grader, metadata=metadata)

    return make


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    """The real sandbox, for programs."""
    with open_executor(BubblewrapSandbox(max_parallel=2)) as shared:
        yield shared
