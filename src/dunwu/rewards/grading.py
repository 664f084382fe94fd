"""Grading of completions: the one place where reward types are matched.

A reward is one function `f(item, config) -> RewardPart` in a file of its own, one type in `config.reward` and
one case in `Grader._part`. Grading never raises for what a completion holds: a part that fails turns into
one with status "error" on that rollout alone. Called by the RL stage, by evaluation and by `dunwu score`.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from types import TracebackType

from dunwu.config.grading import GradingConfig, LocalGrading
from dunwu.config.output_form import R1_ZERO_FORM, OutputForm
from dunwu.config.reward import (
    AccuracyReward,
    FormatReward,
    FunctionReward,
    PreferenceReward,
    RewardConfig,
    RuleReward,
    reward_fault,
)
from dunwu.errors import ConfigError, DependencyError
from dunwu.functional.intervals import Interval
from dunwu.records import FinishReason, Problem, Reward, RewardPart
from dunwu.rewards.accuracy import ProblemGraders, vote_key
from dunwu.rewards.answers import AnswerSource, extract_answer
from dunwu.rewards.code_grader import CodeGrader
from dunwu.rewards.combination import weighted_sum
from dunwu.rewards.format import format_part
from dunwu.rewards.gradable import Ungradable, refusal
from dunwu.rewards.item import GradingItem
from dunwu.rewards.output_form import split
from dunwu.rewards.service import BusyLog, GradingService, flattened, joined
from dunwu.rewards.shaping import require_known_languages, shaping_part
from dunwu.rewards.statement import final_statement
from dunwu.rewards.user import FunctionVerdict, UserFunction
from dunwu.rewards.worker_pool import WorkerPool


class Grader:
    """Grades completions under a stage's rewards. A context manager: leaving it ends its processes.

    Args:
        rewards: the parts, each under a name of its own.
        output_form: how completions mark thinking and answer; every part goes by the same.
        service: how many are graded at the same time, and how long one may take.
        num_workers: in place of the service's.
    Raises:
        ConfigError: two parts have the same name, a part lacks another that it needs, a language is not known, or a part needs
            reward models (`rewards.preference` adds those to whole rollouts).
    """

    def __init__(
        self,
        rewards: Sequence[RewardConfig],
        *,
        output_form: OutputForm = R1_ZERO_FORM,
        service: GradingConfig | None = None,
        num_workers: int | None = None,
    ) -> None:
        if (fault := reward_fault(rewards)) is not None:
            raise ConfigError(fault)
        for reward in rewards:
            if isinstance(reward, PreferenceReward):
                raise ConfigError(
                    f"the reward {reward.part_name!r} comes from reward models, which score whole rollouts in RL stages and "
                    "their evaluations, not one completion at a time; leave it out here"
                )
        require_known_languages(rewards)
        service = service or LocalGrading()
        num_workers = num_workers or service.num_workers or min(4, _num_processors())
        self._rules = [
            reward for reward in rewards if not isinstance(reward, FunctionReward | PreferenceReward)
        ]
        # Accuracy first: other parts may take its verdict.
        self._in_order = sorted(self._rules, key=lambda reward: not isinstance(reward, AccuracyReward))
        self._weights = {reward.part_name: reward.weight for reward in rewards}
        self._form = output_form
        self._pool = WorkerPool(num_workers)
        accuracies = [reward for reward in rewards if isinstance(reward, AccuracyReward)]
        self._code = {reward.part_name: CodeGrader(reward.sandbox, reward.code) for reward in accuracies}
        self._accuracy = {
            reward.part_name: ProblemGraders(self._pool, reward.timeout_seconds, self._code[reward.part_name])
            for reward in accuracies
        }
        first = next((reward for reward in rewards if isinstance(reward, AccuracyReward)), AccuracyReward())
        self._answer_from: tuple[AnswerSource, ...] = first.answer_from
        self._first_accuracy = first.part_name
        self._busy = BusyLog()
        self._functions = {
            reward.part_name: UserFunction(reward, self._busy)
            for reward in rewards
            if isinstance(reward, FunctionReward)
        }
        self._service = GradingService(num_workers, service.max_pending, service.deadline_seconds, self._busy)

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
        # The sandboxes before their gradings are waited for: one grading may have many programs to run.
        for code in self._code.values():
            code.close()
        self._service.close()
        for function in self._functions.values():
            function.close()

    @property
    def counts(self) -> Mapping[str, int]:
        """Since the start: gradings given up at their deadline, and jobs of grading processes tried twice."""
        of_functions = sum(function.num_retries for function in self._functions.values())
        return {
            "late_gradings": self._service.num_late,
            "grading_retries": self._pool.num_retries + of_functions,
        }

    def take_busy(self) -> list[Interval]:
        """Return when gradings were at work since the last call, on the clock `time.monotonic`."""
        return self._busy.take()

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
        return self._start(problem, text, finish_reason, num_tokens, prompt_text).result()

    def submit(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason = "stop",
        *,
        num_tokens: int | None = None,
        prompt_text: str = "",
    ) -> "Future[Reward]":
        """Start to grade one completion beside other work; blocks while as many as may are pending.

        In asyncio: `await asyncio.wrap_future(grader.submit(...))`.
        Raises:
            RuntimeError: the grader is closed.
        """
        start = partial(self._start, problem, text, finish_reason, num_tokens, prompt_text)
        late = partial(self._failed, "grading was given up at its deadline")
        return flattened(self._service.submit(start, late))

    def grade_all(self, items: Iterable[tuple[Problem, str, FinishReason]]) -> list[Reward]:
        """Grade many completions side by side; results in the order of the items."""
        return [future.result() for future in [self.submit(*item) for item in items]]

    def check_gradable(self, problems: Sequence[Problem]) -> list[Ungradable]:
        """Return the problems whose reference no answer can be graded against, in order. Empty without
        accuracy."""
        graders = next(iter(self._accuracy.values()), None)
        if graders is None:
            return []
        late = "it could not be checked in time"
        futures = [
            self._service.submit(partial(_reference_fault, graders, problem), lambda: late)
            for problem in problems
        ]
        faults = [future.result() for future in futures]
        return [
            Ungradable(problem, why) for problem, why in zip(problems, faults, strict=True) if why is not None
        ]

    def require_gradable(self, problems: Sequence[Problem]) -> None:
        """Refuse problems that cannot be graded.

        Raises:
            DataError: there is one; the message counts them and names the first five.
        """
        found = self.check_gradable(problems)
        if found:
            raise refusal(found, len(problems))

    def _start(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason,
        num_tokens: int | None,
        prompt_text: str,
    ) -> "Future[Reward]":
        """Compute all parts but those of functions, which go on by themselves."""
        try:
            item = self._item(problem, text, finish_reason, num_tokens, prompt_text)
            verdicts = {name: function.submit(item) for name, function in self._functions.items()}
            vote = item.answer and vote_key(problem, item.answer)
            return joined(verdicts, partial(self._combine, vote, self._rule_parts(item)))
        except Exception as error:  # the reward door again: for what happens outside of the parts
            return self._failed(f"{type(error).__name__}: {error}")

    def _failed(self, why: str) -> "Future[Reward]":
        failed: Future[Reward] = Future()
        failed.set_result(Reward(None, dict.fromkeys(self._weights, RewardPart(None, "error", why))))
        return failed

    def _item(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason,
        num_tokens: int | None,
        prompt_text: str,
    ) -> GradingItem:
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
        return replace(item, answer=self._answer(item, self._answer_from))

    def _rule_parts(self, item: GradingItem) -> dict[str, RewardPart]:
        parts: dict[str, RewardPart] = {}
        for reward in self._in_order:
            parts[reward.part_name] = self._part(reward, item, parts)
        return parts

    def _part(self, reward: RuleReward, item: GradingItem, judged: Mapping[str, RewardPart]) -> RewardPart:
        try:
            match reward:
                case AccuracyReward():
                    if reward.answer_from != self._answer_from:
                        item = replace(item, answer=self._answer(item, reward.answer_from))
                    return self._accuracy[reward.part_name].judge(item, reward.answer_from)
                case FormatReward():
                    return format_part(item, self._form)
                case _:
                    return shaping_part(reward, item, self._form, judged.get(self._first_accuracy))
        except Exception as error:  # the reward door: a grader that fails is data, not a crash
            return RewardPart(None, "error", f"{type(error).__name__}: {error}")

    def _combine(
        self, vote: str | None, rules: Mapping[str, RewardPart], verdicts: Mapping[str, FunctionVerdict]
    ) -> Reward:
        found = {**rules, **{name: verdict.part for name, verdict in verdicts.items()}}
        parts = {name: found[name] for name in self._weights}
        total = weighted_sum(parts, self._weights)
        for name, verdict in verdicts.items():
            parts |= {f"{name}.{entry}": part for entry, part in verdict.entries.items()}
        return Reward(total, parts, vote)

    def _answer(self, item: GradingItem, answer_from: Sequence[AnswerSource]) -> str | None:
        """Return the final answer in the first of the forms that the completion has; a program is in no box."""
        for form in answer_from:
            if item.problem.grader == "code" and form == "boxed":
                form = "text"
            answer = extract_answer(item.summary, form, finish_reason=item.finish_reason)
            if answer is not None and form == "text" and item.problem.grader in ("math", "numeric"):
                answer = final_statement(answer).strip() or None
            if answer is not None:
                return answer
        return None


def _reference_fault(graders: ProblemGraders, problem: Problem) -> str | None:
    try:
        return graders.reference_fault(problem)
    except DependencyError:  # says nothing about the problem
        raise
    except Exception as error:  # a problem whose data its grader cannot even look at is told like the others
        return f"it could not be checked: {type(error).__name__}: {error}"


def _num_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
