"""The sequences of one `generate` call: their tokens, uniform numbers and ends. Called by `rollout.embedded`.

Shape legend: B running sequences, P prompts, V vocabulary, S slots, M most new tokens, U uniform numbers
drawn ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dunwu.functional.phases import phase
from dunwu.functional.sampling import sample_tokens
from dunwu.functional.seeds import uniforms
from dunwu.models.decode_attention import Running
from dunwu.models.kv_cache import KvCache
from dunwu.models.policy import PlacedPrompt, Policy
from dunwu.records import Completion, GenerationRequest, SamplingParams
from dunwu.rollout.engine import OnToken
from dunwu.rollout.scheduler import Move, Placement, Round, Scheduler
from dunwu.rollout.stopping import StopStrings

MAX_PREFILL_TOKENS = 8192
_UNIFORMS_AT_ONCE = 64


@dataclass
class Batch:
    """The sequences of one `generate` call; row s of every array belongs to slot s."""

    policy: Policy
    requests: Sequence[GenerationRequest]
    sampling: SamplingParams
    scheduler: Scheduler
    cache: KvCache
    stop_strings: StopStrings
    token_ids_SM: np.ndarray = field(init=False)
    logprobs_SM: np.ndarray = field(init=False)
    num_new_S: np.ndarray = field(init=False)
    stopped_S: np.ndarray = field(init=False)
    uniforms_SU: np.ndarray = field(init=False)
    prompt_logits: dict[int, Tensor] = field(default_factory=dict)
    """The logits (1, V) after a prompt, kept while samples of its request wait."""

    _running: Running | None = field(default=None, repr=False)
    """Who continues which prompt; None after a sequence started, ended or moved."""

    def __post_init__(self) -> None:
        slots, longest = self.cache.size.num_slots, self.sampling.max_new_tokens
        self.token_ids_SM = np.empty((slots, longest), dtype=np.int64)
        self.logprobs_SM = np.empty((slots, longest), dtype=np.float32)
        self.num_new_S = np.zeros(slots, dtype=np.int64)
        self.stopped_S = np.zeros(slots, dtype=bool)
        self.uniforms_SU = np.empty((slots, _UNIFORMS_AT_ONCE))

    def start(self, round_: Round, on_token: OnToken | None) -> list[int]:
        """Start new samples, draw their first tokens, close gaps; returns the slots that ended by it."""
        ended: list[int] = []
        if round_.placements:
            logits_BV = self._prompt_logits(round_.placements)
            slots_B = np.array([placement.slot for placement in round_.placements])
            self.num_new_S[slots_B] = 0
            ended = self._draw(slots_B, logits_BV, on_token)
        if round_.moves:
            self._move(round_.moves)
        if round_.placements or round_.moves:
            self._running = None
        return ended

    def advance(self, on_token: OnToken | None) -> list[int]:
        """Decode one token in every slot; returns the slots of samples that ended by it."""
        device = self.policy.device
        running = self.scheduler.running
        if self._running is None or len(self._running.seats_B) != len(running):
            lengths = [len(self.requests[sample.request].token_ids) for sample in running]
            self._running = Running.of(self.scheduler.places, lengths, device)
        slots_B = np.arange(len(running))
        own_B = self.num_new_S[: len(running)] - 1
        token_ids_B = torch.from_numpy(self.token_ids_SM[slots_B, own_B])
        logits_BV = self.policy.decode(
            token_ids_B.to(device), torch.from_numpy(own_B).to(device), self._running, self.cache
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

    def _prompt_logits(self, placements: Sequence[Placement]) -> Tensor:
        """The logits (B, V) after each placement's prompt; prompts that are new are computed."""
        new = {placement.sample.request: placement.place for placement in placements if placement.new}
        for requests in self._prefill_portions(list(new)):
            prompts = [PlacedPrompt(self.requests[request].token_ids, new[request]) for request in requests]
            logits_PV = self.policy.prefill(prompts, self.cache)
            self.prompt_logits.update(zip(requests, logits_PV.split(1), strict=True))
        logits_BV = torch.cat([self.prompt_logits[placement.sample.request] for placement in placements])
        for request in {placement.sample.request for placement in placements}:
            if not self.scheduler.awaits_more_of(request):
                del self.prompt_logits[request]
        return logits_BV

    def _prefill_portions(self, requests: Sequence[int]) -> list[list[int]]:
        """Requests in portions whose prompts have at most MAX_PREFILL_TOKENS tokens, or are one prompt."""
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

    @phase("draw tokens")
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

    def _move(self, moves: Sequence[Move]) -> None:
        sources, targets = [move.source for move in moves], [move.target for move in moves]
        self.cache.copy_slots(sources, targets, int(self.num_new_S[sources].max()))
        for rows in (self.token_ids_SM, self.logprobs_SM, self.num_new_S, self.stopped_S, self.uniforms_SU):
            rows[targets] = rows[sources]
