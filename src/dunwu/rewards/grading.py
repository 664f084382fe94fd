"""Grading of completions: the one place where reward types are matched.

A reward is one function `f(item, config) -> RewardPart` in a file of its own, one type in `config.reward` and
one case in `Grader._part`. Grading never raises for what a completion holds: a part that fails turns into
one with status "error" on that rollout alone. Called by the RL stage, by evaluation and by `dunwu score`.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from types import TracebackType

from dunwu.config.output_form import R1_ZERO_FORM, OutputForm
from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig, repeated_names
from dunwu.errors import ConfigError, DataError
from dunwu.records import FinishReason, Problem, Reward, RewardPart
from dunwu.rewards.accuracy import ProblemGraders, vote_key
from dunwu.rewards.answers import AnswerSource, extract_answer
from dunwu.rewards.combination import weighted_sum
from dunwu.rewards.format import format_part
from dunwu.rewards.item import GradingItem
from dunwu.rewards.notation import final_statement
from dunwu.rewards.output_form import split
from dunwu.rewards.worker_pool import WorkerPool

MAX_PENDING = 4096
"""Completions that may wait for their grading; `submit` blocks beyond."""


@dataclass(frozen=True)
class Ungradable:
    """A problem whose reference no answer can be judged against, and why."""

    problem: Problem
    why: str


class Grader:
    """Grades completions under a stage's rewards. A context manager: leaving it ends its processes.

    Args:
        rewards: the parts, each under a name of its own.
        output_form: how completions mark thinking and answer; every part goes by the same.
        num_workers: grading processes; started only when a grading needs one. None: one per processor, at
            most 4.
    Raises:
        ConfigError: two parts have the same name.
    """

    def __init__(
        self,
        rewards: Sequence[RewardConfig],
        *,
        output_form: OutputForm = R1_ZERO_FORM,
        num_workers: int | None = None,
    ) -> None:
        self._rewards = tuple(rewards)
        self._weights = {reward.part_name: reward.weight for reward in rewards}
        if repeated := repeated_names(rewards):
            raise ConfigError(f"two rewards are called {repeated[0]!r}; give each a `name` of its own")
        accuracy = next((reward for reward in rewards if isinstance(reward, AccuracyReward)), None)
        self._checks_answers = accuracy is not None
        self._answer_from: tuple[AnswerSource, ...] = (accuracy or AccuracyReward()).answer_from
        self._form = output_form
        num_workers = num_workers or min(4, _num_processors())
        self._pool = WorkerPool(num_workers)
        self._problems = ProblemGraders(self._pool, (accuracy or AccuracyReward()).timeout_seconds)
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="grading")
        self._pending = threading.BoundedSemaphore(MAX_PENDING)

    def __enter__(self) -> "Grader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the grading processes and cancel what still waits. Grading after this gives parts with status
        "error"."""
        self._pool.close()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def grade(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason = "stop",
        *,
        num_tokens: int | None = None,
        prompt_text: str = "",
    ) -> Reward:
        """Return the reward of one completion. May be called from any thread, and waits for the result.

        Args:
            problem: what was asked.
            text: the completion, decoded without special tokens.
            finish_reason: of the completion.
            num_tokens: its tokens; None where nobody counted them.
            prompt_text: the prompt in its template, for user functions.
        Returns:
            `total` is the weighted sum of the parts (DeepSeek-R1 eq. 4, where all weights are 1). Parts that
            are not applicable are left out of it; it is None if a part is an error or not gradable, or if
            none applies.
        """
        thinking = split(text, self._form)
        item = GradingItem(
            problem,
            text,
            finish_reason,
            num_tokens,
            reasoning=thinking.reasoning,
            summary=thinking.summary,
            prompt_text=prompt_text,
        )
        item = replace(item, answer=self._answer(item, self._answer_from))
        parts = {reward.part_name: self._part(reward, item) for reward in self._rewards}
        return Reward(
            weighted_sum(parts, self._weights),
            parts,
            None if item.answer is None else vote_key(problem, item.answer),
        )

    def submit(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason = "stop",
        *,
        num_tokens: int | None = None,
        prompt_text: str = "",
    ) -> "Future[Reward]":
        """Start to grade one completion beside other work; blocks while MAX_PENDING others wait.

        In asyncio: `await asyncio.wrap_future(grader.submit(...))`.
        Raises:
            RuntimeError: the grader is closed.
        """
        self._pending.acquire()
        try:
            future = self._threads.submit(
                self.grade, problem, text, finish_reason, num_tokens=num_tokens, prompt_text=prompt_text
            )
        except RuntimeError:
            self._pending.release()
            raise
        future.add_done_callback(lambda _: self._pending.release())
        return future

    def grade_all(self, items: Iterable[tuple[Problem, str, FinishReason]]) -> list[Reward]:
        """Grade many completions side by side; results in the order of the items."""
        return [future.result() for future in [self.submit(*item) for item in items]]

    def check_gradable(self, problems: Sequence[Problem]) -> list[Ungradable]:
        """Return the problems whose reference no answer can be graded against, in order. Empty without
        accuracy."""
        if not self._checks_answers:
            return []
        faults = self._threads.map(self._problems.reference_fault, problems)
        return [
            Ungradable(problem, why) for problem, why in zip(problems, faults, strict=True) if why is not None
        ]

    def require_gradable(self, problems: Sequence[Problem]) -> None:
        """Refuse problems that cannot be graded.

        Raises:
            DataError: there is one; the message counts them and names the first five.
        """
        found = self.check_gradable(problems)
        if not found:
            return
        lines = [
            f"  {item.problem.metadata.get('where', item.problem.id)} (grader {item.problem.grader}): {item.why}"
            for item in found[:5]
        ]
        more = f"\n  ... and {len(found) - 5} more" if len(found) > 5 else ""
        raise DataError(
            f"{len(found)} of {len(problems)} problems have a reference that cannot be graded:\n"
            + "\n".join(lines)
            + more
            + "\nCorrect or remove them, or choose another grader for the task (math, numeric, exact)."
        )

    def _part(self, reward: RewardConfig, item: GradingItem) -> RewardPart:
        try:
            match reward:
                case AccuracyReward():
                    if reward.answer_from != self._answer_from:
                        item = replace(item, answer=self._answer(item, reward.answer_from))
                    return self._problems.judge(item, reward.answer_from)
                case FormatReward():
                    return format_part(item, self._form)
        except Exception as error:  # the reward door: a grader that fails is data, not a crash
            return RewardPart(None, "error", f"{type(error).__name__}: {error}")
        raise AssertionError(reward)

    def _answer(self, item: GradingItem, answer_from: Sequence[AnswerSource]) -> str | None:
        """Return the final answer in the first of the forms that the completion has."""
        for form in answer_from:
            answer = extract_answer(item.summary, form, finish_reason=item.finish_reason)
            if answer is not None and form == "text" and item.problem.grader in ("math", "numeric"):
                answer = final_statement(answer).strip() or None
            if answer is not None:
                return answer
        return None


def _num_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
