"""The engine's log-probs are the trainer's, whatever the filters, the batch's make-up and the order of the work."""

from itertools import chain

import pytest
import torch

from dunwu.config.training import EmbeddedEngine as EngineConfig
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine

SAMPLINGS = [
    SamplingParams(14, temperature=1.0),
    SamplingParams(14, temperature=0.6, top_p=0.8),
    SamplingParams(14, temperature=1.3, top_k=20, min_p=0.01, stop_token_ids=tuple(range(20))),
]


@pytest.fixture
def requests(random_ids):
    return [
        GenerationRequest(tuple(random_ids(length, length)), tuple(range(100 * length, 100 * length + count)))
        for length, count in [(8, 3), (23, 2), (2, 4)]
    ]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["plain", "top_p", "top_k_min_p_stop"])
def test_logprobs_agree(family, sampling, tiny_policy, make_batch, requests):
    policy = tiny_policy(family)
    engine = EmbeddedEngine(policy, EngineConfig(max_sequences=4))
    groups = engine.generate(requests, sampling)
    batch = make_batch(
        [
            (list(request.token_ids), [list(completion.token_ids) for completion in group])
            for request, group in zip(requests, groups, strict=True)
        ]
    )
    trainer, _ = policy.logprobs(batch, temperature=sampling.temperature, chunk_tokens=32)
    sampler = torch.tensor(
        [value for group in groups for completion in group for value in completion.logprobs]
    )
    torch.testing.assert_close(sampler, trainer.detach(), atol=1e-4, rtol=0)


def test_samples_do_not_depend_on_their_company(family, tiny_policy, requests):
    policy = tiny_policy(family)
    sampling = SAMPLINGS[2]
    together = EmbeddedEngine(policy).generate(requests, sampling)
    queued = EmbeddedEngine(policy, EngineConfig(max_sequences=2)).generate(requests, sampling)
    alone = [
        EmbeddedEngine(policy).generate([GenerationRequest(request.token_ids, (seed,))], sampling)[0][0]
        for request in requests
        for seed in request.seeds
    ]
    tokens = [[completion.token_ids for completion in group] for group in together]
    assert tokens == [[completion.token_ids for completion in group] for group in queued]
    assert list(chain(*tokens)) == [completion.token_ids for completion in alone]
    assert len({len(ids) for ids in chain(*tokens)}) > 1, "the test needs completions of different lengths"


def test_after_an_update_the_new_weights_are_sampled(tiny_policy, make_batch, requests):
    policy = tiny_policy("llama")
    engine = EmbeddedEngine(policy)
    before = engine.generate(requests, SAMPLINGS[0])
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(5)))
    engine.sync_weights(policy)
    after = engine.generate(requests, SAMPLINGS[0])
    assert before != after
    batch = make_batch(
        [(list(r.token_ids), [list(c.token_ids) for c in g]) for r, g in zip(requests, after, strict=True)]
    )
    trainer, _ = policy.logprobs(batch, temperature=1.0, chunk_tokens=32)
    sampler = torch.tensor(
        [value for group in after for completion in group for value in completion.logprobs]
    )
    torch.testing.assert_close(sampler, trainer.detach(), atol=1e-4, rtol=0)
