"""The policy's own promises: prefill and decode, copies, checkpointing, and what it knows of its model."""

import pytest
import torch

from dunwu.models.decode_attention import Running
from dunwu.models.kv_cache import CacheSize
from dunwu.models.policy import PlacedPrompt
from dunwu.records import SamplingParams


@pytest.fixture
def policy(tiny_policy):
    return tiny_policy("llama")


def own_logits(policy, token_ids):
    """transformers' logits after each of some tokens."""
    policy.model.set_attn_implementation("eager")
    with torch.no_grad():
        logits = policy.model(input_ids=torch.tensor([token_ids])).logits[0]
    policy.model.set_attn_implementation("dunwu")
    return logits


def test_prefill_then_decode(policy, random_ids):
    prompts = [random_ids(n, n) for n in (5, 9)]
    new = [random_ids(3, 30 + slot) for slot in range(3)]
    owner = [0, 0, 1]
    cache = policy.new_cache(CacheSize(2, 9, 3, 3))
    logits = policy.prefill([PlacedPrompt(prompts[0], 1), PlacedPrompt(prompts[1], 0)], cache)
    for p, prompt in enumerate(prompts):
        torch.testing.assert_close(logits[p], own_logits(policy, prompt)[-1], atol=1e-4, rtol=0)
    running = Running.of([1, 1, 0], [5, 5, 9], policy.device)
    for step in range(3):
        token_ids = torch.tensor([ids[step] for ids in new])
        logits = policy.decode(token_ids, torch.full((3,), step), running, cache)
        for slot, p in enumerate(owner):
            expected = own_logits(policy, prompts[p] + new[slot][: step + 1])[-1]
            torch.testing.assert_close(logits[slot], expected, atol=1e-4, rtol=0)
    assert logits.dtype == torch.float32


def test_a_frozen_copy_stays_as_it_was(policy, make_batch, random_ids):
    batch = make_batch([(random_ids(5, 0), [random_ids(6, 1)])])
    reference = policy.frozen_copy()
    before, _ = reference.logprobs(batch, temperature=1.0, chunk_tokens=8)
    assert not before.requires_grad
    assert not any(value.requires_grad for value in reference.model.parameters())
    assert all(value.requires_grad for value in policy.model.parameters())
    with torch.no_grad():
        policy.head.weight_VD.mul_(1.5)
    after, _ = reference.logprobs(batch, temperature=1.0, chunk_tokens=8)
    torch.testing.assert_close(after, before, atol=0, rtol=0)
    moved, _ = policy.logprobs(batch, temperature=1.0, chunk_tokens=8)
    assert float((moved - before).detach().abs().max()) > 0.01
    reference.copy_weights_from(policy)
    caught_up, _ = reference.logprobs(batch, temperature=1.0, chunk_tokens=8)
    torch.testing.assert_close(caught_up, moved.detach(), atol=0, rtol=0)
    assert not any(value.requires_grad for value in reference.model.parameters())


def test_a_frozen_copy_of_a_checkpointed_policy_does_not_checkpoint(policy):
    policy.enable_gradient_checkpointing()
    assert policy.model.training
    assert not policy.frozen_copy().model.training


def test_weights_of_another_architecture_are_refused(policy, tiny_policy):
    with pytest.raises(ValueError, match="differ in name or shape"):
        policy.copy_weights_from(tiny_policy("qwen3"))


def test_temperature_and_chunks(policy, make_batch, random_ids):
    prompt, completion = random_ids(5, 0), random_ids(6, 1)
    batch = make_batch([(prompt, [completion])])
    logits = own_logits(policy, prompt + completion)[4:-1] / 0.7
    expected = torch.log_softmax(logits, -1)
    for chunk_tokens in (1, 4, 100):
        logprobs, entropies = policy.logprobs(batch, temperature=0.7, chunk_tokens=chunk_tokens)
        torch.testing.assert_close(
            logprobs.detach(), expected.gather(1, batch.target_ids_N[:, None])[:, 0], atol=1e-5, rtol=0
        )
        torch.testing.assert_close(entropies, -(expected.exp() * expected).sum(-1), atol=1e-5, rtol=0)


def test_a_scaled_head_reaches_the_logprobs(tiny_policy, make_batch, random_ids):
    policy = tiny_policy("granite")
    prompt, completion = random_ids(5, 0), random_ids(6, 1)
    logprobs, _ = policy.logprobs(make_batch([(prompt, [completion])]), temperature=1.0, chunk_tokens=8)
    expected = torch.log_softmax(own_logits(policy, prompt + completion)[4:-1], -1)
    torch.testing.assert_close(
        logprobs.detach(), expected.gather(1, torch.tensor(completion)[:, None])[:, 0], atol=1e-5, rtol=0
    )


def test_eos_token_ids_are_gathered_once_each(policy):
    policy.model.generation_config.eos_token_id = [260, 257]
    policy.config.eos_token_id = 261
    assert policy.eos_token_ids == (260, 257, 261)
    policy.model.generation_config.eos_token_id = None
    policy.config.eos_token_id = None
    assert policy.eos_token_ids == (policy.tokenizer.eos_token_id,)
    policy.tokenizer.eos_token = None
    assert policy.eos_token_ids == ()
    assert SamplingParams(1, stop_token_ids=policy.eos_token_ids).stop_token_ids == ()


def test_facts(policy):
    assert policy.num_tokens == 272
    assert policy.config is policy.model.config
    assert policy.dtype == torch.float32
    assert policy.device == torch.device("cpu")
