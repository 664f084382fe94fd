"""How well a policy predicts held-out samples: loss, perplexity and token accuracy of what it would have to write.

The policy is shown the right text all along; nothing is generated. Called by the fine-tuning stage's loop.

Shape legend: N trained tokens of a row, D hidden size, C tokens of one chunk, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dunwu.config.training import BatchConfig
from dunwu.data.chat_tokens import TokenSample
from dunwu.data.sft_packing import pack_samples
from dunwu.functional.head_chunks import chunk_rows
from dunwu.models.policy import Policy
from dunwu.records import PackedBatch

_MAX_NLL = 700.0  # e^700 is still a float
_EVALUATED_AT_ONCE = 1024  # tokens whose logits exist in full width here, as of `chunk_rows`


def perplexity(nll: float) -> float | None:
    """Return e^nll; None where that is beyond all floats, on a policy that has blown up."""
    return math.exp(nll) if nll <= _MAX_NLL else None


@torch.no_grad()
def evaluate_on_samples(
    policy: Policy,
    samples: Sequence[TokenSample],
    batch: BatchConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Measure a policy on held-out samples.

    Returns:
        nll (nats per trained token), perplexity (its exponential), token_accuracy (share of the trained tokens that are the
        likeliest one), sample_nll (mean over samples of their own nll), num_samples, num_tokens.
    """
    nll_sums = [0.0] * len(samples)
    hits = done = 0
    for packed in pack_samples(samples, batch.micro_batch_tokens, policy.device):
        nll_N, hit_N = _predictions(policy, packed.batch, batch.logprob_chunk_tokens)
        sums_S = torch.zeros(packed.batch.num_sequences, dtype=torch.float64, device=policy.device)
        sums_S.index_add_(0, packed.batch.sequence_N, nll_N.double())
        for index, value in zip(packed.sequence_indices, sums_S.tolist(), strict=True):
            nll_sums[index] = value
        hits += int(hit_N.sum())
        done += len(packed.sequence_indices)
        if on_progress is not None:
            on_progress(done, len(samples))
    lengths = [int(sample.trained.sum()) for sample in samples]
    nll = sum(nll_sums) / sum(lengths)
    return {
        "nll": nll,
        "perplexity": perplexity(nll),
        "token_accuracy": hits / sum(lengths),
        "sample_nll": sum(s / n for s, n in zip(nll_sums, lengths, strict=True)) / len(samples),
        "num_samples": len(samples),
        "num_tokens": sum(lengths),
    }


def _predictions(policy: Policy, batch: PackedBatch, chunk_tokens: int) -> tuple[Tensor, Tensor]:
    """Negative log-probs (N,) float32 of the targets, and (N,) bool, whether each is the likeliest token."""
    hidden_ND = policy.hidden_states(batch).index_select(0, batch.source_N)
    head = policy.head
    rows = chunk_rows(min(chunk_tokens, _EVALUATED_AT_ONCE), head.weight_VD.shape[0])
    nlls, hits = [], []
    for hidden_CD, targets_C in zip(hidden_ND.split(rows), batch.target_ids_N.split(rows), strict=True):
        logits_CV = head.logits(hidden_CD)
        target_logits_C = logits_CV.gather(1, targets_C[:, None])[:, 0]
        nlls.append(torch.logsumexp(logits_CV, -1) - target_logits_C)
        hits.append(logits_CV.argmax(-1) == targets_C)
    return torch.cat(nlls), torch.cat(hits)
