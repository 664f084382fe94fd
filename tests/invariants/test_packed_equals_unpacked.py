"""A packed row gives what transformers gives each sequence alone: hidden states, loss and gradient, for every family."""

import copy

import pytest
import torch

from dunwu.models import packed_plan, pieces
from dunwu.models.loading import make_policy

# (prompt length, completion lengths): prompts shorter and much longer than their completions, one without company
SHAPES = [(6, (9, 14, 4)), (30, (3, 7)), (1, (5,)), (11, (12, 12))]


def groups_of(random_ids, shapes=SHAPES):
    return [
        (
            random_ids(prompt, seed),
            [random_ids(length, 10 * seed + i) for i, length in enumerate(completions)],
        )
        for seed, (prompt, completions) in enumerate(shapes)
    ]


def sequences_of(groups):
    return [(prompt, completion) for prompt, completions in groups for completion in completions]


def unpacked_logprobs(model, prompt, completion, temperature):
    ids = torch.tensor([prompt + completion])
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float() / temperature
    return torch.log_softmax(logits, -1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def gradients(model):
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def assert_gradients_equal(actual, expected, tolerance):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        scale = float(value.abs().max()) + 1e-3
        assert float((actual[name] - value).abs().max()) <= tolerance * scale, name


def test_hidden_states(family, tiny_model, tiny_tokenizer, make_batch, random_ids):
    model = tiny_model(family)
    reference = copy.deepcopy(model)
    groups = groups_of(random_ids)
    batch = make_batch(groups)
    hidden = make_policy(model, tiny_tokenizer).hidden_states(batch)
    for n, (prompt, completion) in enumerate(sequences_of(groups)):
        alone = reference.base_model(input_ids=torch.tensor([prompt + completion])).last_hidden_state[0]
        rows = batch.source_N[batch.sequence_N == n]
        torch.testing.assert_close(hidden[rows], alone[len(prompt) - 1 : -1], atol=2e-5, rtol=2e-5)


def test_loss_and_gradient(family, tiny_model, tiny_tokenizer, make_batch, random_ids):
    model = tiny_model(family, seed=3)
    reference = copy.deepcopy(model)
    groups = groups_of(random_ids)
    batch = make_batch(groups)
    weights = torch.randn(len(batch.target_ids_N), generator=torch.Generator().manual_seed(0))

    expected = torch.cat([unpacked_logprobs(reference, p, c, 0.8) for p, c in sequences_of(groups)])
    (weights * expected).sum().backward()
    policy = make_policy(model, tiny_tokenizer)
    logprobs, entropies = policy.logprobs(batch, temperature=0.8, chunk_tokens=16)
    (weights * logprobs).sum().backward()

    torch.testing.assert_close(logprobs, expected, atol=1e-4, rtol=0)
    assert entropies.shape == logprobs.shape
    assert not entropies.requires_grad
    assert_gradients_equal(gradients(policy.model), gradients(reference), 1e-4)


def test_gradient_checkpointing_changes_nothing(family, tiny_policy, make_batch, random_ids):
    batch = make_batch(groups_of(random_ids, SHAPES[:2]))
    results = []
    for checkpointing in (False, True):
        policy = tiny_policy(family)
        calls = []
        policy.model.base_model.layers[0].self_attn.register_forward_hook(
            lambda *_, calls=calls: calls.append(1)
        )
        if checkpointing:
            policy.enable_gradient_checkpointing()
        logprobs, _ = policy.logprobs(batch, temperature=1.0, chunk_tokens=64)
        logprobs.sum().backward()
        results.append((logprobs.detach(), gradients(policy.model), len(calls)))
    (plain, plain_gradients, once), (checked, checked_gradients, twice) = results
    assert (once, twice) == (1, 2)
    torch.testing.assert_close(checked, plain, atol=0, rtol=0)
    assert_gradients_equal(checked_gradients, plain_gradients, 1e-6)


def test_order_of_groups_does_not_matter(tiny_policy, make_batch, random_ids):
    policy = tiny_policy("llama")
    groups = groups_of(random_ids)
    forwards, _ = policy.logprobs(make_batch(groups), temperature=1.0, chunk_tokens=64)
    backwards, _ = policy.logprobs(make_batch(groups[::-1]), temperature=1.0, chunk_tokens=64)
    lengths = [sum(len(c) for c in completions) for _, completions in groups]
    pieces = backwards.split(lengths[::-1])
    torch.testing.assert_close(forwards, torch.cat(pieces[::-1]), atol=1e-5, rtol=0)


def test_neighbours_cannot_be_seen(family, tiny_policy, make_batch, random_ids):
    policy = tiny_policy(family)
    groups = groups_of(random_ids)
    changed = [*groups[:-1], (random_ids(11, 77), [random_ids(12, 78), random_ids(12, 79)])]
    hidden = policy.hidden_states(make_batch(groups))
    other = policy.hidden_states(make_batch(changed))
    rows = sum(len(prompt) + sum(map(len, completions)) for prompt, completions in groups[:-1])
    torch.testing.assert_close(other[:rows], hidden[:rows], atol=1e-5, rtol=0)
    assert float((other[rows:] - hidden[rows:]).detach().abs().max()) > 0.1


def test_biases_in_small_pieces_give_the_same(family, tiny_policy, make_batch, random_ids, monkeypatch):
    batch = make_batch(groups_of(random_ids))
    policy = tiny_policy(family)
    expected = policy.hidden_states(batch)
    monkeypatch.setattr(packed_plan, "kernels_for", lambda *parts: None)
    for module in (pieces, packed_plan):
        monkeypatch.setattr(module, "MAX_BIAS_CELLS", 100)
    torch.testing.assert_close(policy.hidden_states(batch), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "deepseek_v3"])
def test_bfloat16_is_as_close_to_float32_as_transformers(
    kind, tiny_model, tiny_tokenizer, make_batch, random_ids
):
    groups = groups_of(random_ids)
    batch = make_batch(groups)
    exact = make_policy(tiny_model(kind), tiny_tokenizer).hidden_states(batch)
    half = tiny_model(kind).to(torch.bfloat16)
    reference = copy.deepcopy(half)
    ours = make_policy(half, tiny_tokenizer).hidden_states(batch).float()
    rows, theirs = [], []
    for n, (prompt, completion) in enumerate(sequences_of(groups)):
        alone = (
            reference.base_model(input_ids=torch.tensor([prompt + completion])).last_hidden_state[0].float()
        )
        rows.append(batch.source_N[batch.sequence_N == n])
        theirs.append(alone[len(prompt) - 1 : -1])
    picked = torch.cat(rows)
    error_ours = (ours[picked] - exact[picked]).pow(2).mean().sqrt()
    error_theirs = (torch.cat(theirs) - exact[picked]).pow(2).mean().sqrt()
    assert 0 < error_ours < 1.3 * error_theirs
