"""Grading of completions: the one place where reward types and graders are matched.

A reward is one function here and one type in `config.reward`. Grading never raises for what a completion
holds: a grader that fails turns into a part with status "error" on that rollout alone. Called by the RL stage
and by evaluation.
"""

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from dunwu.config.reward import AccuracyReward, FormatReward, RewardConfig
from dunwu.data.world.problems import score_operators
from dunwu.errors import DataError
from dunwu.records import FinishReason, Problem, Reward, RewardPart
from dunwu.rewards.answers import AnswerSource, extract_answer
from dunwu.rewards.bounded import MAX_ANSWER_CHARS, verdict
from dunwu.rewards.exact import exact_match
from dunwu.rewards.format import format_part
from dunwu.rewards.maths import MathsGrader, canonical_answer, reference_text
from dunwu.rewards.notation import final_statement, normalise_text
from dunwu.rewards.numeric import judge_numeric
from dunwu.rewards.reasoning_gym import GymGrader
from dunwu.rewards.worker_pool import JobLostError, WorkerPool

MAX_PENDING = 4096
"""Completions that may wait for their grading; `submit` blocks beyond."""
_GRADERS = ("math", "numeric", "exact", "operators", "reasoning_gym")
_NO_ANSWER: Mapping[AnswerSource, str] = {
    "answer_tag": "no <answer>...</answer> after thinking has ended",
    "boxed": "no \\boxed{...} after thinking has ended",
    "text": "no finished text after thinking has ended",
}


@dataclass(frozen=True)
class Ungradable:
    """A problem whose reference no answer can be judged against, and why."""

    problem: Problem
    why: str


class Grader:
    """Grades completions under a stage's rewards. A context manager: leaving it ends its processes.

    Args:
        rewards: the parts, each kind once.
        think_opened_by_prompt: whether prompts end with `<think>`. None: what the format reward says, else
            no.
        num_workers: grading processes; started only when a grading needs one. None: one per processor, at
            most 4.
    """

    def __init__(
        self,
        rewards: Sequence[RewardConfig],
        *,
        think_opened_by_prompt: bool | None = None,
        num_workers: int | None = None,
    ) -> None:
        self._rewards = tuple(rewards)
        accuracy = next((reward for reward in rewards if isinstance(reward, AccuracyReward)), None)
        formatting = next((reward for reward in rewards if isinstance(reward, FormatReward)), None)
        self._checks_answers = accuracy is not None
        self._answer_from: AnswerSource = (accuracy or AccuracyReward()).answer_from
        if think_opened_by_prompt is None:
            think_opened_by_prompt = formatting is not None and formatting.think_opened_by_prompt
        self._think_opened = think_opened_by_prompt
        cpu_seconds = (accuracy or AccuracyReward()).timeout_seconds
        num_workers = num_workers or min(4, _num_processors())
        self._pool = WorkerPool(num_workers)
        self._maths = MathsGrader(self._pool, cpu_seconds)
        self._gym = GymGrader(self._pool, cpu_seconds)
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

    def grade(self, problem: Problem, text: str, finish_reason: FinishReason = "stop") -> Reward:
        """Return the reward of one completion. May be called from any thread, and waits for the result.

        Args:
            problem: what was asked.
            text: the completion, decoded without special tokens.
            finish_reason: of the completion.
        Returns:
            `total` is the weighted sum of the parts (DeepSeek-R1 eq. 4, where all weights are 1). Parts that
            are not applicable are left out of it; it is None if a part is an error or not gradable, or if
            none applies.
        """
        answer = extract_answer(
            text, self._answer_from, finish_reason=finish_reason, think_opened_by_prompt=self._think_opened
        )
        if answer is not None and self._answer_from == "text" and problem.grader in ("math", "numeric"):
            answer = final_statement(answer).strip() or None
        parts: dict[str, RewardPart] = {
            reward.kind: self._part(reward, problem, text, answer) for reward in self._rewards
        }
        weights: dict[str, float] = {reward.kind: reward.weight for reward in self._rewards}
        return Reward(
            weighted_sum(parts, weights), parts, None if answer is None else vote_key(problem, answer)
        )

    def submit(self, problem: Problem, text: str, finish_reason: FinishReason = "stop") -> "Future[Reward]":
        """Start to grade one completion beside other work; blocks while MAX_PENDING others wait.

        In asyncio: `await asyncio.wrap_future(grader.submit(...))`.
        Raises:
            RuntimeError: the grader is closed.
        """
        self._pending.acquire()
        try:
            future = self._threads.submit(self.grade, problem, text, finish_reason)
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
        faults = self._threads.map(self._reference_fault, problems)
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

    def _part(self, reward: RewardConfig, problem: Problem, text: str, answer: str | None) -> RewardPart:
        try:
            match reward:
                case AccuracyReward():
                    return self._accuracy(problem, answer)
                case FormatReward():
                    return format_part(text, think_opened_by_prompt=self._think_opened)
        except Exception as error:  # the reward door: a grader that fails is data, not a crash
            return RewardPart(None, "error", f"{type(error).__name__}: {error}")
        raise AssertionError(reward)

    def _accuracy(self, problem: Problem, answer: str | None) -> RewardPart:
        if answer is None:
            return verdict(False, _NO_ANSWER[self._answer_from])
        reference = problem.reference
        if len(answer) > max(MAX_ANSWER_CHARS, 2 * len(reference)):
            return verdict(
                False, f"the answer has {len(answer)} characters; {MAX_ANSWER_CHARS} at most are graded"
            )
        match problem.grader:
            case "math":
                return self._maths.judge(answer, reference)
            case "reasoning_gym":
                return self._gym.judge(answer, problem)
            case "numeric":
                right = judge_numeric(answer, reference_text(reference))
                if right is None:
                    return RewardPart(None, "not_gradable", f"reference {reference!r} is not a number")
                return verdict(right)
            case "exact":
                return verdict(exact_match(answer, reference))
            case "operators":
                return verdict(score_operators(answer, problem))
        return RewardPart(None, "not_gradable", _unknown(problem))

    def _reference_fault(self, problem: Problem) -> str | None:
        reference = problem.reference
        match problem.grader:
            case "math":
                try:
                    return self._maths.reference_fault(reference)
                except JobLostError as cause:
                    return f"it could not be checked: {cause}"
            case "reasoning_gym":
                return self._gym.reference_fault(problem)
            case "numeric":
                is_number = judge_numeric("", reference_text(reference)) is not None
                return None if is_number else f"{reference!r} is not a number"
            case "exact":
                return None if normalise_text(reference) else "it is empty"
            case "operators":
                return None if score_operators(reference, problem) else f"{reference!r} does not solve it"
        return _unknown(problem)


def weighted_sum(parts: Mapping[str, RewardPart], weights: Mapping[str, float]) -> float | None:
    """Combine parts into a total: sum of weight * value over the parts that apply.

    Returns:
        None if a part has status "error" or "not_gradable", or if no part applies.
    Source: DeepSeek-R1, eq. 4.
    """
    applicable = {name: part for name, part in parts.items() if part.status != "not_applicable"}
    if not applicable or any(part.value is None for part in applicable.values()):
        return None
    return sum(weights[name] * part.value for name, part in applicable.items() if part.value is not None)


def vote_key(problem: Problem, answer: str) -> str:
    """Return the form of an answer under which votes are counted."""
    return canonical_answer(answer) if problem.grader in ("math", "numeric") else normalise_text(answer)


def _num_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _unknown(problem: Problem) -> str:
    return f"no grader is called {problem.grader!r}; there are {', '.join(_GRADERS)}"
