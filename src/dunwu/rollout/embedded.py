"""dunwu's own rollout engine: continuous batching on the training process's own policy and weights.

A prompt is computed once for all of its samples; samples beyond `max_sequences` wait and start when a slot
falls free. A sample's tokens depend on its prompt, its seed and the weights alone, not on what runs beside it
(up to rounding of the matrix products). Which sample runs where is `scheduler`'s business, the arithmetic is
`models.policy`'s.

Shape legend: B running sequences, V vocabulary, S slots, M most new tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dunwu.config.training import EmbeddedEngine as EmbeddedEngineConfig
from dunwu.errors import ConfigError
from dunwu.functional.sampling import sample_tokens
from dunwu.functional.seeds import uniforms
from dunwu.models.kv_cache import KvCache
from dunwu.models.policy import Policy, PromptSlots
from dunwu.records import Completion, GenerationRequest, SamplingParams
from dunwu.rollout.engine import OnFinished, OnToken
from dunwu.rollout.scheduler import Placement, Round, Sample, Scheduler
from dunwu.rollout.stopping import StopStrings

MAX_PREFILL_TOKENS = 8192
_UNIFORMS_AT_ONCE = 64


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
        round_ = batch.scheduler.next_round()
        while True:
            ended = batch.start(round_, on_token)
            if not ended and batch.scheduler.num_running:
                ended = batch.advance(on_token)
            for slot in ended:
                finished(batch.scheduler.running[slot], batch.completion(slot))
            if len(ended) == batch.scheduler.num_running and not batch.scheduler.num_waiting:
                break
            round_ = batch.scheduler.next_round(ended)
        completions = [[c for c in group if c is not None] for group in results]
        assert [len(group) for group in completions] == [len(request.seeds) for request in requests]
        return completions

    def sync_weights(self, policy: Policy) -> None:
        """Sample from this policy's present weights; nothing to do when they are the engine's own."""
        if policy.model is not self.policy.model:
            self.policy.copy_weights_from(policy)

    def close(self) -> None:
        """Nothing is held between calls of `generate`."""

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

    def _new_batch(self, requests: Sequence[GenerationRequest], sampling: SamplingParams) -> "_Batch":
        longest = max(len(request.token_ids) for request in requests) + sampling.max_new_tokens
        num_samples = sum(len(request.seeds) for request in requests)
        num_slots = min(self.config.max_sequences, num_samples)
        if self.config.cache_tokens is not None:
            num_slots = min(num_slots, self.config.cache_tokens // longest)
        if num_slots < 1:
            raise ConfigError(
                f"engine.cache_tokens is {self.config.cache_tokens}, and the longest prompt with "
                f"max_new_tokens = {sampling.max_new_tokens} needs {longest}; raise cache_tokens or lower "
                "max_new_tokens"
            )
        if self._stop_strings is None or self._stop_strings.strings != sampling.stop_strings:
            self._stop_strings = StopStrings(sampling.stop_strings, self.policy.tokenizer)
        scheduler = Scheduler([len(request.seeds) for request in requests], num_slots)
        cache = self.policy.new_cache(num_slots, longest)
        return _Batch(self.policy, requests, sampling, scheduler, cache, self._stop_strings)


@dataclass
class _Batch:
    """The sequences of one `generate` call; row s of every array belongs to slot s."""

    policy: Policy
    requests: Sequence[GenerationRequest]
    sampling: SamplingParams
    scheduler: Scheduler
    cache: KvCache
    stop_strings: StopStrings
    token_ids_SM: np.ndarray = field(init=False)
    logprobs_SM: np.ndarray = field(init=False)
    prompt_lengths_S: np.ndarray = field(init=False)
    num_new_S: np.ndarray = field(init=False)
    stopped_S: np.ndarray = field(init=False)
    uniforms_SU: np.ndarray = field(init=False)
    prompt_logits: dict[int, Tensor] = field(default_factory=dict)
    """The logits (1, V) after a prompt, kept while samples of its request wait."""

    def __post_init__(self) -> None:
        slots, longest = self.cache.max_slots, self.sampling.max_new_tokens
        self.token_ids_SM = np.empty((slots, longest), dtype=np.int64)
        self.logprobs_SM = np.empty((slots, longest), dtype=np.float32)
        self.prompt_lengths_S = np.zeros(slots, dtype=np.int64)
        self.num_new_S = np.zeros(slots, dtype=np.int64)
        self.stopped_S = np.zeros(slots, dtype=bool)
        self.uniforms_SU = np.empty((slots, _UNIFORMS_AT_ONCE))

    def start(self, round_: Round, on_token: OnToken | None) -> list[int]:
        """Place new samples, draw their first tokens, close gaps; returns the slots of samples that ended by
        it.
        """
        placements = round_.placements
        if placements:
            logits_BV = self._prompt_logits(placements)
            slots_B = np.array([placement.slot for placement in placements])
            for placement in placements:
                self.prompt_lengths_S[placement.slot] = len(self._request(placement).token_ids)
            self.num_new_S[slots_B] = 0
            ended = self._draw(slots_B, logits_BV, on_token)
        else:
            ended = []
        if round_.moves:
            self._move(round_)
        return ended

    def advance(self, on_token: OnToken | None) -> list[int]:
        """Decode one token in every slot; returns the slots of samples that ended by it."""
        num_running = self.scheduler.num_running
        slots_B = np.arange(num_running)
        last_B = self.num_new_S[:num_running] - 1
        token_ids_B = torch.from_numpy(self.token_ids_SM[slots_B, last_B])
        positions_B = self.prompt_lengths_S[:num_running] + last_B
        device = self.policy.device
        logits_BV = self.policy.decode(
            token_ids_B.to(device),
            torch.from_numpy(positions_B).to(device),
            int(positions_B.max()) + 1,
            self.cache,
        )
        return self._draw(slots_B, logits_BV, on_token)

    def completion(self, slot: int) -> Completion:
        """What the sample in a slot has drawn."""
        length = int(self.num_new_S[slot])
        return Completion(
            tuple(self.token_ids_SM[slot, :length].tolist()),
            tuple(self.logprobs_SM[slot, :length].tolist()),
            "stop" if self.stopped_S[slot] else "length",
        )

    def _request(self, placement: Placement) -> GenerationRequest:
        return self.requests[placement.sample.request]

    def _prompt_logits(self, placements: Sequence[Placement]) -> Tensor:
        """The logits (B, V) after each placement's prompt, whose keys and values then lie in its slot."""
        for placement in placements:  # before anything is overwritten
            if (
                placement.prompt_from not in (None, placement.slot)
                and placement.sample.request in self.prompt_logits
            ):
                length = len(self._request(placement).token_ids)
                self.cache.copy([placement.prompt_from], [placement.slot], length)
        new: dict[int, list[int]] = {}
        for placement in placements:
            if placement.sample.request not in self.prompt_logits:
                new.setdefault(placement.sample.request, []).append(placement.slot)
        for requests in self._prefill_portions(list(new)):
            prompts = [PromptSlots(self.requests[request].token_ids, new[request]) for request in requests]
            logits_PV = self.policy.prefill(prompts, self.cache)
            self.prompt_logits.update(zip(requests, logits_PV.split(1), strict=True))
        logits_BV = torch.cat([self.prompt_logits[placement.sample.request] for placement in placements])
        for request in {placement.sample.request for placement in placements}:
            if not self.scheduler.awaits_more_of(request):
                del self.prompt_logits[request]
        return logits_BV

    def _prefill_portions(self, requests: Sequence[int]) -> list[list[int]]:
        """Requests cut so that each portion's prompts have at most MAX_PREFILL_TOKENS tokens, or are one
        prompt.
        """
        portions: list[list[int]] = []
        filled = 0
        for request in requests:
            length = len(self.requests[request].token_ids)
            if not portions or filled + length > MAX_PREFILL_TOKENS:
                portions.append([])
                filled = 0
            portions[-1].append(request)
            filled += length
        return portions

    def _draw(self, slots_B: np.ndarray, logits_BV: Tensor, on_token: OnToken | None) -> list[int]:
        """Draw, note and announce the next token of each of these slots; returns the slots that ended."""
        sampling = self.sampling
        uniforms_B = torch.from_numpy(self._uniforms(slots_B)).to(logits_BV.device)
        drawn_B, logprobs_B = sample_tokens(
            logits_BV,
            uniforms_B,
            sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            min_p=sampling.min_p,
        )
        tokens_B = drawn_B.cpu().numpy()
        at_B = self.num_new_S[slots_B]
        self.token_ids_SM[slots_B, at_B] = tokens_B
        self.logprobs_SM[slots_B, at_B] = logprobs_B.cpu().numpy()
        self.num_new_S[slots_B] = at_B + 1
        stopped_B = np.isin(tokens_B, sampling.stop_token_ids)
        for row in self.stop_strings.candidates(tokens_B):
            length = int(at_B[row]) + 1
            stopped_B[row] |= self.stop_strings.ends(self.token_ids_SM[slots_B[row], :length])
        self.stopped_S[slots_B] = stopped_B
        if on_token is not None:
            running = self.scheduler.running
            for slot, token in zip(slots_B.tolist(), tokens_B.tolist(), strict=True):
                on_token(running[slot].request, running[slot].index, token)
        ended_B = stopped_B | (at_B + 1 == sampling.max_new_tokens)
        return slots_B[ended_B].tolist()

    def _uniforms(self, slots_B: np.ndarray) -> np.ndarray:
        """The next uniform number (B,) of each slot's sample, drawn ahead some at a time."""
        at_B = self.num_new_S[slots_B]
        column_B = at_B % _UNIFORMS_AT_ONCE
        running = self.scheduler.running
        for slot, start in zip(slots_B[column_B == 0].tolist(), at_B[column_B == 0].tolist(), strict=True):
            sample = running[slot]
            seed = self.requests[sample.request].seeds[sample.index]
            self.uniforms_SU[slot] = uniforms(seed, _UNIFORMS_AT_ONCE, start=start)
        return self.uniforms_SU[slots_B, column_B]

    def _move(self, round_: Round) -> None:
        sources = [move.source for move in round_.moves]
        targets = [move.target for move in round_.moves]
        lengths_B = self.prompt_lengths_S[sources] + self.num_new_S[sources]
        self.cache.copy(sources, targets, int(lengths_B.max()))
        for rows in (
            self.token_ids_SM,
            self.logprobs_SM,
            self.prompt_lengths_S,
            self.num_new_S,
            self.stopped_S,
            self.uniforms_SU,
        ):
            rows[targets] = rows[sources]
