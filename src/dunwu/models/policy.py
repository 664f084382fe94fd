"""The policy: a transformers causal LM that runs on packed rows and, with the same weights, on a KV cache.

One definition serves training, scoring and embedded rollouts, so their log-probs agree. The base model is
transformers' own; its attention is ours (`attention`), and the output layer is applied here (`head`), where
it is needed. Does not load or save (`loading`), sample (`rollout`) or optimise (`training`).

Shape legend: T rows of a packed row, N targets, B sequences, D hidden size, V vocabulary.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from dunwu.functional.logprobs import chunked_logprobs
from dunwu.functional.phases import phase
from dunwu.models.architecture import count_embeddings
from dunwu.models.attention import AttentionContext
from dunwu.models.decode_attention import DecodeContext, Running
from dunwu.models.decode_stack import DecodeStack, decode_stack
from dunwu.models.head import Head, find_head
from dunwu.models.kv_cache import CacheSize, KvCache, PrefillContext
from dunwu.models.packed_plan import make_plan
from dunwu.models.tiled_weights import tiled_weights
from dunwu.records import PackedBatch, Segment


@dataclass(frozen=True)
class PlacedPrompt:
    """A prompt to prefill, and its place in the cache."""

    token_ids: Sequence[int]
    place: int


class Policy:
    """A causal LM, its tokenizer, and the ways in which training and rollouts run it."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self._stack: DecodeStack | None = None

    @property
    def config(self) -> Any:
        """The transformers configuration of the model."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def num_tokens(self) -> int:
        """Rows of the embedding: token ids are 0 .. num_tokens - 1."""
        return count_embeddings(self.model)

    @property
    def head(self) -> Head:
        """The output layer; it refers to the model's own weights."""
        return find_head(self.model)

    @property
    def eos_token_ids(self) -> tuple[int, ...]:
        """Tokens that end a completion: the generation config's, the model config's and the tokenizer's, in
        that order.
        """
        found: list[int] = []
        sources = (self.model.generation_config, self.config, self.tokenizer)
        for source in sources:
            value = getattr(source, "eos_token_id", None)
            for token in value if isinstance(value, (list, tuple)) else [value]:
                if token is not None and token not in found:
                    found.append(int(token))
        return tuple(found)

    @phase("layers")
    def hidden_states(self, batch: PackedBatch) -> Tensor:
        """The hidden states (T, D) after the final norm, each segment attending to itself and its prefix
        alone.
        """
        plan = make_plan(batch.segments, batch.token_ids_T.shape[0], batch.token_ids_T.device)
        return self._run(batch.token_ids_T, batch.position_ids_T, plan)

    def logprobs(self, batch: PackedBatch, *, temperature: float, chunk_tokens: int) -> tuple[Tensor, Tensor]:
        """Log-probs of a batch's targets and the entropies of their distributions; the full logits never
        exist.

        Args:
            temperature: > 0, divides the logits.
            chunk_tokens: targets whose logits exist at one time; changes memory, not the result.
        Returns:
            logprobs (N,) float32, differentiable; entropies (N,) float32 in nats, detached.
        """
        hidden_ND = self.hidden_states(batch).index_select(0, batch.source_N)
        head = self.head
        with phase("head"):
            return chunked_logprobs(
                hidden_ND if head.scale == 1 else hidden_ND * head.scale,
                head.weight_VD,
                batch.target_ids_N,
                temperature=temperature,
                chunk_tokens=chunk_tokens,
                bias_V=head.bias_V,
                softcap=head.softcap,
            )

    def new_cache(self, size: CacheSize) -> KvCache:
        """An empty cache for prompts and the sequences that continue them."""
        return KvCache(size)

    @phase("prefill")
    @torch.inference_mode()
    def prefill(self, prompts: Sequence[PlacedPrompt], cache: KvCache) -> Tensor:
        """Run prompts, packed, and store their keys and values in their places.

        Returns:
            The logits (len(prompts), V) that follow each prompt; see `Head.sampling_logits`.
        """
        lengths = [len(prompt.token_ids) for prompt in prompts]
        ends = list(accumulate(lengths))
        segments = [Segment(end - length, end) for end, length in zip(ends, lengths, strict=True)]
        token_ids_T = self._tensor(list(chain.from_iterable(prompt.token_ids for prompt in prompts)))
        position_ids_T = self._tensor(list(chain.from_iterable(range(length) for length in lengths)))
        places_T = self._tensor([prompt.place for prompt in prompts]).repeat_interleave(self._tensor(lengths))
        plan = make_plan(segments, ends[-1], self.device)
        hidden_TD = self._run(
            token_ids_T, position_ids_T, PrefillContext(plan, cache, places_T, position_ids_T)
        )
        return self.head.sampling_logits(hidden_TD.index_select(0, self._tensor(ends) - 1))

    @phase("decode")
    @torch.inference_mode()
    def decode(self, token_ids_B: Tensor, own_B: Tensor, running: Running, cache: KvCache) -> Tensor:
        """Append one token to each of the sequences in the slots 0 .. B-1.

        Args:
            token_ids_B: int64, on the policy's device.
            own_B: int64, how many tokens each sequence has added to its prompt before this one.
            running: which prompt each sequence continues.
        Returns:
            The logits (B, V) that follow; see `Head.sampling_logits`.
        """
        context = DecodeContext(cache, running, own_B)
        run = self._run if self._stack is None else self._stack.run
        return self.head.sampling_logits(run(token_ids_B, running.prompt_lengths_B + own_B, context))

    @contextmanager
    def many_steps(self) -> Iterator[None]:
        """Prepare for many decode steps; inside, the weights must not change."""
        self._stack = decode_stack(self.model)
        modules = self.model.modules() if self._stack is None else [self.head.layer]
        try:
            with tiled_weights(modules):
                yield
        finally:
            self._stack = None

    def enable_gradient_checkpointing(self) -> None:
        """Recompute each layer in the backward pass instead of keeping its activations."""
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.model.train()

    def frozen_copy(self) -> "Policy":
        """A policy with its own copy of the weights, without gradients (the reference policy)."""
        model = copy.deepcopy(self.model).requires_grad_(False).eval()
        return Policy(model, self.tokenizer)

    @torch.no_grad()
    def copy_weights_from(self, other: "Policy") -> None:
        """Overwrite the weights, in place, by another policy's of the same architecture.

        Raises:
            ValueError: the parameters differ in name or shape.
        """
        mine, theirs = self.model.state_dict(), other.model.state_dict()
        shapes = {name: tuple(value.shape) for name, value in mine.items()}
        if shapes != {name: tuple(value.shape) for name, value in theirs.items()}:
            raise ValueError(
                "the other policy's parameters differ in name or shape; both must be one architecture"
            )
        for name, value in mine.items():
            value.copy_(theirs[name])

    def _run(self, token_ids_T: Tensor, position_ids_T: Tensor, context: AttentionContext) -> Tensor:
        output = self.model.base_model(
            input_ids=token_ids_T[None],
            position_ids=position_ids_T[None],
            use_cache=False,
            dunwu_context=context,
        )
        return output.last_hidden_state[0]

    def _tensor(self, values: Sequence[int]) -> Tensor:
        return torch.tensor(values, dtype=torch.int64, device=self.device)
