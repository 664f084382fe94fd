"""From prompts to graded rollouts: generate with an engine, decode once, grade beside generation.

The engine and the grader are given; a completion is handed to the grader the moment it is finished, so that grading overlaps
generation. Called by whatever samples and grades: the RL loop, evaluation, the stages that make data.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from dunwu.config.training import EngineConfig, SamplingConfig
from dunwu.functional.intervals import Interval
from dunwu.functional.phases import phase
from dunwu.functional.seeds import derive_seed
from dunwu.models.policy import Policy
from dunwu.records import (
    Completion,
    FinishReason,
    GenerationRequest,
    Problem,
    Prompt,
    Reward,
    Rollout,
    SamplingParams,
)
from dunwu.rollout.embedded import EmbeddedEngine
from dunwu.rollout.engine import RolloutEngine
from dunwu.rollout.timeline import CollectTimes

_MAX_TIMES = 64


class GradingService(Protocol):
    """The part of a grader that is needed here; one on another machine would offer the same."""

    def submit(
        self,
        problem: Problem,
        text: str,
        finish_reason: FinishReason,
        *,
        num_tokens: int | None = None,
        prompt_text: str = "",
    ) -> Future[Reward]:
        """Start to grade one completion beside other work; may block while many wait."""
        ...

    def take_busy(self) -> list[Interval]:
        """Return when gradings were at work since the last call, on the clock `time.monotonic`."""
        ...


class RolloutScorer(Protocol):
    """Who adds to graded rollouts what needs many of them at once: scores of reward models."""

    def add(
        self, problems: Sequence[Problem], rollouts: Sequence[Sequence[Rollout]]
    ) -> list[tuple[Rollout, ...]]:
        """Return the rollouts of each problem, in their order, with further parts in their rewards."""
        ...


def policy_decoder(policy: Policy, keep: Sequence[str] = ()) -> Callable[[Sequence[int]], str]:
    """How completions of a policy become text: special tokens, the end of sequence among them, leave no trace.

    Args:
        keep: special tokens that stay in the text, because an output form marks thinking and answer with them.
    """
    tokenizer = policy.tokenizer
    special = {i: str(token) for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    if not set(keep) & set(special.values()):
        return lambda token_ids: str(tokenizer.decode(list(token_ids), skip_special_tokens=True))
    dropped = {i for i in {*special, *tokenizer.all_special_ids} if special.get(i) not in keep}

    def decode(token_ids: Sequence[int]) -> str:
        return str(tokenizer.decode([i for i in token_ids if i not in dropped], skip_special_tokens=False))

    return decode


def sampling_params(config: SamplingConfig, policy: Policy) -> SamplingParams:
    """The recipe's sampling with the policy's own end-of-sequence tokens as stop tokens."""
    return SamplingParams(
        max_new_tokens=config.max_new_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=config.min_p,
        stop_token_ids=policy.eos_token_ids,
        stop_strings=config.stop_strings,
    )


@dataclass(frozen=True)
class Collector:
    """An engine, a grader, and `decode`, which turns completion token ids into text without special tokens.

    `scorer` adds to a call's rollouts, once all are graded, what needs them all: scores of reward models.
    `times` holds when the latest calls of `collect` generated and graded, until `take_times`.
    """

    engine: RolloutEngine
    decode: Callable[[Sequence[int]], str]
    grader: GradingService
    scorer: RolloutScorer | None = None
    times: deque[CollectTimes] = field(default_factory=lambda: deque(maxlen=_MAX_TIMES), compare=False)

    def collect(
        self,
        prompts: Sequence[Prompt],
        *,
        num_samples: int,
        sampling: SamplingParams,
        run_seed: int,
        seed_path: tuple[int | str, ...],
        on_progress: Callable[[int, int], None] | None = None,
    ) -> list[tuple[Rollout, ...]]:
        """Sample `num_samples` completions of each prompt and grade them.

        Args:
            seed_path: names the draw, for example (stage, rollout); sample s of prompt p is drawn from
                derive_seed(run_seed, *seed_path, p's problem id, how often it came before in `prompts`, s) alone.
            on_progress: called with (finished, all) completions.
        Returns:
            One tuple of rollouts per prompt, in the order given; every rollout is there, graded or not.
        """
        times: Counter[str] = Counter()
        requests = []
        for prompt in prompts:
            path = (*seed_path, prompt.problem.id, times[prompt.problem.id])
            times[prompt.problem.id] += 1
            seeds = tuple(derive_seed(run_seed, *path, s) for s in range(num_samples))
            requests.append(GenerationRequest(prompt.token_ids, seeds))
        texts: dict[tuple[int, int], str] = {}
        rewards: dict[tuple[int, int], Future[Reward]] = {}
        total = len(prompts) * num_samples

        def finished(request: int, sample: int, completion: Completion) -> None:
            text = self.decode(completion.token_ids)
            texts[request, sample] = text
            prompt = prompts[request]
            rewards[request, sample] = self.grader.submit(
                prompt.problem,
                text,
                completion.finish_reason,
                num_tokens=len(completion.token_ids),
                prompt_text=prompt.text,
            )
            if on_progress is not None:
                on_progress(len(texts), total)

        first_token: list[float] = []

        def drawn(request: int, sample: int, token_id: int) -> None:
            if not first_token:
                first_token.append(time.monotonic())

        self.grader.take_busy()  # what was graded outside of rollouts is no part of their time
        started = time.monotonic()
        with phase("sample"):
            completions = self.engine.generate(requests, sampling, on_finished=finished, on_token=drawn)
        generated = time.monotonic()
        with phase("wait for grades"):
            rollouts = [
                tuple(
                    Rollout(s, completion, texts[p, s], rewards[p, s].result())
                    for s, completion in enumerate(of_prompt)
                )
                for p, of_prompt in enumerate(completions)
            ]
        graded, busy = time.monotonic(), tuple(self.grader.take_busy())
        scored = None
        if self.scorer is not None:
            with phase("reward models"):
                rollouts = self.scorer.add([prompt.problem for prompt in prompts], rollouts)
            scored = time.monotonic()
        self.times.append(
            CollectTimes(started, (first_token or [started])[0], generated, graded, busy, scored)
        )
        return rollouts

    def take_times(self) -> list[CollectTimes]:
        """Return when `collect` generated and graded since the last call."""
        taken = list(self.times)
        self.times.clear()
        return taken


@contextmanager
def open_collector(
    policy: Policy,
    grader: GradingService,
    *,
    keep: Sequence[str],
    engine: EngineConfig | None = None,
    scorer: RolloutScorer | None = None,
) -> Iterator[Collector]:
    """Give a collector that samples a policy by dunwu's own engine, and take the engine down afterwards.

    Args:
        keep: special tokens that stay in the text (`policy_decoder`): the marks of the output form.
        scorer: adds scores of reward models; None: there are none.
    """
    running = EmbeddedEngine(policy, engine)
    try:
        yield Collector(running, policy_decoder(policy, keep), grader, scorer)
    finally:
        running.close()
