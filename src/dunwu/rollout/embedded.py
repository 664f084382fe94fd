"""dunwu's own rollout engine: continuous batching on the training process's own policy and weights.

A prompt is computed once for all of its samples; samples beyond `max_sequences` wait and start when a slot
falls free. A sample's tokens depend on its prompt, its seed and the weights alone, not on what runs beside it
(up to rounding of the matrix products). Which sample runs where is `scheduler`'s business, one call's
sequences are `batch`'s, the arithmetic is `models.policy`'s.
"""

from collections.abc import Callable, Sequence

from dunwu.config.training import EmbeddedEngine as EmbeddedEngineConfig
from dunwu.errors import ConfigError
from dunwu.models.kv_cache import CacheSize
from dunwu.models.policy import Policy
from dunwu.records import Completion, GenerationRequest, SamplingParams
from dunwu.rollout.batch import Batch
from dunwu.rollout.engine import OnFinished, OnToken
from dunwu.rollout.scheduler import Sample, Scheduler
from dunwu.rollout.stopping import StopStrings


class EmbeddedEngine:
    """Samples from a policy in this process; see `RolloutEngine`."""

    def __init__(self, policy: Policy, config: EmbeddedEngineConfig | None = None) -> None:
        self.policy = policy
        self.config = config or EmbeddedEngineConfig()
        self._stop_strings: StopStrings | None = None

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        sampling: SamplingParams,
        on_finished: OnFinished | None = None,
        on_token: OnToken | None = None,
    ) -> list[list[Completion]]:
        """Continue each request's prompt once per seed; see `RolloutEngine.generate`.

        Raises:
            ValueError: an empty prompt, a token id outside the vocabulary, or max_new_tokens below 1.
            ConfigError: cache_tokens cannot hold the longest sequence.
        """
        self._check(requests, sampling)
        results: list[list[Completion | None]] = [[None] * len(request.seeds) for request in requests]
        if not any(request.seeds for request in requests):
            return [[] for _ in requests]

        def finished(sample: Sample, completion: Completion) -> None:
            results[sample.request][sample.index] = completion
            if on_finished is not None:
                on_finished(sample.request, sample.index, completion)

        batch = self._new_batch(requests, sampling)
        with self.policy.many_steps():
            self._run(batch, finished, on_token)
        completions = [[c for c in group if c is not None] for group in results]
        assert [len(group) for group in completions] == [len(request.seeds) for request in requests]
        return completions

    def sync_weights(self, policy: Policy) -> None:
        """Sample from this policy's present weights; nothing to do when they are the engine's own."""
        if policy.model is not self.policy.model:
            self.policy.copy_weights_from(policy)

    def close(self) -> None:
        """Nothing is held between calls of `generate`."""

    def _run(
        self, batch: Batch, finished: Callable[[Sample, Completion], None], on_token: OnToken | None
    ) -> None:
        """Rounds of starting, decoding and ending, until nothing runs or waits."""
        round_ = batch.scheduler.next_round()
        while True:
            ended = batch.start(round_, on_token)
            if not ended and batch.scheduler.num_running:
                ended = batch.advance(on_token)
            for slot in ended:
                finished(batch.scheduler.running[slot], batch.completion(slot))
            if len(ended) == batch.scheduler.num_running and not batch.scheduler.num_waiting:
                return
            round_ = batch.scheduler.next_round(ended)

    def _check(self, requests: Sequence[GenerationRequest], sampling: SamplingParams) -> None:
        if sampling.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is {sampling.max_new_tokens}; it must be at least 1")
        vocabulary = self.policy.num_tokens
        for index, request in enumerate(requests):
            if not request.token_ids:
                raise ValueError(
                    f"the prompt of request {index} is empty; a model needs at least one token to continue"
                )
            if not 0 <= min(request.token_ids) <= max(request.token_ids) < vocabulary:
                raise ValueError(
                    f"the prompt of request {index} has a token id outside 0 .. {vocabulary - 1}"
                )

    def _new_batch(self, requests: Sequence[GenerationRequest], sampling: SamplingParams) -> Batch:
        used = [request for request in requests if request.seeds]
        prompt_tokens = max(len(request.token_ids) for request in used)
        num_slots = min(self.config.max_sequences, sum(len(request.seeds) for request in used))
        if self.config.cache_tokens is not None:
            num_slots = min(
                num_slots, self._affordable_slots(len(used), prompt_tokens, sampling.max_new_tokens)
            )
        if self._stop_strings is None or self._stop_strings.strings != sampling.stop_strings:
            self._stop_strings = StopStrings(sampling.stop_strings, self.policy.tokenizer)
        scheduler = Scheduler([len(request.seeds) for request in requests], num_slots)
        size = CacheSize(scheduler.num_places, prompt_tokens, num_slots, sampling.max_new_tokens)
        return Batch(
            self.policy, requests, sampling, scheduler, self.policy.new_cache(size), self._stop_strings
        )

    def _affordable_slots(self, num_prompts: int, prompt_tokens: int, new_tokens: int) -> int:
        """Most slots n with n * new_tokens + min(n, num_prompts) * prompt_tokens <= cache_tokens.

        Raises:
            ConfigError: there is no room for one.
        """
        budget = self.config.cache_tokens
        assert budget is not None
        slots = budget // (prompt_tokens + new_tokens)
        if slots >= num_prompts:
            slots = (budget - num_prompts * prompt_tokens) // new_tokens
        if slots < 1:
            raise ConfigError(
                f"engine.cache_tokens is {budget}, and the longest prompt with max_new_tokens = {new_tokens} needs "
                f"{prompt_tokens + new_tokens}; raise cache_tokens or lower max_new_tokens"
            )
        return slots
