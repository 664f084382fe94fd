"""The embedded engine: what a sample's end, seed, place and company mean."""

import gc
import weakref

import numpy as np
import pytest
import torch

from dunwu.config.training import EmbeddedEngine as EngineConfig
from dunwu.errors import ConfigError
from dunwu.functional.seeds import uniforms
from dunwu.records import Completion, GenerationRequest, SamplingParams
from dunwu.rollout import batch
from dunwu.rollout.embedded import EmbeddedEngine


@pytest.fixture
def policy(tiny_policy):
    return tiny_policy("llama")


@pytest.fixture
def prompt(random_ids):
    return tuple(random_ids(7, 1))


def generate_one(policy, prompt, sampling, seed=5):
    return EmbeddedEngine(policy).generate([GenerationRequest(prompt, (seed,))], sampling)[0][0]


def test_length_is_the_end(policy, prompt):
    completion = generate_one(policy, prompt, SamplingParams(9))
    assert len(completion.token_ids) == len(completion.logprobs) == 9
    assert completion.finish_reason == "length"
    assert all(value <= 0 for value in completion.logprobs)


def test_the_cache_is_given_back_at_once(policy, prompt, monkeypatch):
    """Training begins right after, and would wait long for a collector of cycles."""
    made, original = [], type(policy).new_cache

    def noted(self, size):
        cache = original(self, size)
        made.append(weakref.ref(cache))
        return cache

    monkeypatch.setattr(type(policy), "new_cache", noted)
    gc.disable()
    try:
        generate_one(policy, prompt, SamplingParams(3))
        assert [cache() for cache in made] == [None]
    finally:
        gc.enable()


def test_one_token(policy, prompt):
    full = generate_one(policy, prompt, SamplingParams(9))
    completion = generate_one(policy, prompt, SamplingParams(1))
    assert completion == Completion(full.token_ids[:1], full.logprobs[:1], "length")


def test_a_stop_token_is_kept_and_is_the_last(policy, prompt):
    full = generate_one(policy, prompt, SamplingParams(30))
    stop = full.token_ids[12]
    cut = generate_one(policy, prompt, SamplingParams(30, stop_token_ids=(stop, 271)))
    length = full.token_ids.index(stop) + 1
    assert cut.token_ids == full.token_ids[:length]
    assert cut.finish_reason == "stop"


def test_a_stop_token_as_the_last_possible_token_is_a_stop(policy, prompt):
    full = generate_one(policy, prompt, SamplingParams(30))
    length = full.token_ids.index(full.token_ids[12]) + 1
    cut = generate_one(policy, prompt, SamplingParams(length, stop_token_ids=(full.token_ids[12],)))
    assert cut.finish_reason == "stop"


def test_a_stop_string_ends_at_the_token_that_completes_it(policy, prompt):
    full = generate_one(policy, prompt, SamplingParams(30))
    text = policy.tokenizer.decode(full.token_ids[10:12])
    cut = generate_one(policy, prompt, SamplingParams(30, stop_strings=(text,)))
    assert cut.finish_reason == "stop"
    assert policy.tokenizer.decode(cut.token_ids).endswith(text)
    assert cut.token_ids == full.token_ids[: len(cut.token_ids)]
    assert len(cut.token_ids) <= 12


def test_stop_strings_may_change_between_calls(policy, prompt):
    engine = EmbeddedEngine(policy)
    request = [GenerationRequest(prompt, (5,))]
    full = engine.generate(request, SamplingParams(30))[0][0]
    text = policy.tokenizer.decode(full.token_ids[10:12])
    cut = engine.generate(request, SamplingParams(30, stop_strings=(text,)))[0][0]
    assert cut.finish_reason == "stop"
    assert engine.generate(request, SamplingParams(30))[0][0] == full


def test_seeds_decide(policy, prompt):
    engine = EmbeddedEngine(policy)
    request = GenerationRequest(prompt, (1, 2, 1, 3))
    first, second, again, third = (c.token_ids for c in engine.generate([request], SamplingParams(12))[0])
    assert first == again
    assert len({first, second, third}) == 3


def test_tokens_follow_the_seed_s_uniform_numbers(policy, prompt):
    """Redraw a long completion by hand from plain softmax and one uniform number per token."""
    length = batch._UNIFORMS_AT_ONCE + 10
    completion = generate_one(policy, prompt, SamplingParams(length, temperature=0.9), seed=11)
    numbers = uniforms(11, length)
    ids = torch.tensor([prompt + completion.token_ids])
    policy.model.set_attn_implementation("eager")
    with torch.no_grad():
        logits = policy.model(input_ids=ids).logits[0, len(prompt) - 1 : -1].double()
    cumulative = torch.softmax(logits / 0.9, -1).cumsum(-1).numpy()
    expected = [
        int(np.searchsorted(row, u, side="right")) for row, u in zip(cumulative, numbers, strict=True)
    ]
    assert list(completion.token_ids) == expected


@pytest.mark.parametrize(
    ("config", "width"),
    [
        (EngineConfig(max_sequences=2), 2),
        (EngineConfig(cache_tokens=15), 1),
        (EngineConfig(cache_tokens=44), 2),
        (EngineConfig(cache_tokens=64), 4),  # three prompts of 5 tokens, 4 sequences of 10
    ],
)
def test_waiting_samples_start_when_a_slot_falls_free(policy, random_ids, config, width):
    requests = [GenerationRequest(tuple(random_ids(n, n)), (n, n + 1, n + 2)) for n in (3, 5, 4)]
    sampling = SamplingParams(10, stop_token_ids=tuple(range(30)))
    widths = []
    decode = policy.decode

    def watched(token_ids, *rest):
        widths.append(len(token_ids))
        return decode(token_ids, *rest)

    policy.decode = watched
    queued = EmbeddedEngine(policy, config).generate(requests, sampling)
    assert max(widths) == width
    policy.decode = decode
    together = EmbeddedEngine(policy).generate(requests, sampling)
    assert [[c.token_ids for c in g] for g in queued] == [[c.token_ids for c in g] for g in together]


def test_a_prompt_is_computed_once_for_all_its_samples(policy, prompt, random_ids):
    computed = []
    prefill = policy.prefill

    def watched(prompts, cache):
        computed.extend(tuple(p.token_ids) for p in prompts)
        return prefill(prompts, cache)

    policy.prefill = watched
    requests = [
        GenerationRequest(prompt, tuple(range(9))),
        GenerationRequest(tuple(random_ids(4, 4)), (1, 2)),
    ]
    EmbeddedEngine(policy, EngineConfig(max_sequences=2)).generate(
        requests, SamplingParams(8, stop_token_ids=tuple(range(60)))
    )
    assert computed == [requests[0].token_ids, requests[1].token_ids]


def test_prompts_are_computed_in_portions(policy, random_ids, monkeypatch):
    portions = []
    prefill = policy.prefill

    def watched(prompts, cache):
        portions.append([len(p.token_ids) for p in prompts])
        return prefill(prompts, cache)

    policy.prefill = watched
    requests = [GenerationRequest(tuple(random_ids(n, n)), (1,)) for n in (6, 5, 12, 3, 3)]
    whole = EmbeddedEngine(policy).generate(requests, SamplingParams(3))
    monkeypatch.setattr(batch, "MAX_PREFILL_TOKENS", 11)
    assert [
        [c.token_ids for c in g] for g in EmbeddedEngine(policy).generate(requests, SamplingParams(3))
    ] == [[c.token_ids for c in g] for g in whole]
    assert portions == [[6, 5, 12, 3, 3], [6, 5], [12], [3, 3]]


def test_callbacks_come_as_things_happen(policy, prompt):
    events = []
    engine = EmbeddedEngine(policy)
    groups = engine.generate(
        [GenerationRequest(prompt, (1, 2)), GenerationRequest(prompt[:3], (3,))],
        SamplingParams(25, stop_token_ids=tuple(range(20))),
        on_finished=lambda request, sample, completion: events.append(("end", request, sample, completion)),
        on_token=lambda request, sample, token: events.append(("token", request, sample, token)),
    )
    assert len({len(c.token_ids) for g in groups for c in g}) > 1, "the test needs different lengths"
    for request, group in enumerate(groups):
        for sample, completion in enumerate(group):
            mine = [(kind, what) for kind, r, s, what in events if (r, s) == (request, sample)]
            assert mine == [("token", token) for token in completion.token_ids] + [("end", completion)]
    ends = [i for i, event in enumerate(events) if event[0] == "end"]
    assert ends[0] < len(events) - 3, "a completion is handed over before the others have ended"


def test_completions_are_in_the_order_of_requests_and_seeds(policy, prompt, random_ids):
    requests = [GenerationRequest(prompt, (4, 9)), GenerationRequest(tuple(random_ids(3, 3)), (4,))]
    groups = EmbeddedEngine(policy).generate(requests, SamplingParams(6))
    assert [len(group) for group in groups] == [2, 1]
    assert groups[0][1].token_ids == generate_one(policy, prompt, SamplingParams(6), seed=9).token_ids
    assert groups[0][0].token_ids != groups[0][1].token_ids


def test_nothing_to_do(policy, prompt):
    engine = EmbeddedEngine(policy)
    assert engine.generate([], SamplingParams(4)) == []
    assert engine.generate([GenerationRequest(prompt, ())], SamplingParams(4)) == [[]]


def test_a_request_without_seeds_beside_others(policy, prompt):
    requests = [GenerationRequest(prompt, ()), GenerationRequest(prompt, (1,))]
    groups = EmbeddedEngine(policy).generate(requests, SamplingParams(4))
    assert [len(group) for group in groups] == [0, 1]


def test_sync_weights_copies_those_of_another_policy(policy, tiny_policy, prompt):
    other = tiny_policy("llama", seed=9)
    engine = EmbeddedEngine(policy)
    request = [GenerationRequest(prompt, (1,))]
    engine.sync_weights(other)
    assert engine.generate(request, SamplingParams(6)) == EmbeddedEngine(other).generate(
        request, SamplingParams(6)
    )
    engine.sync_weights(policy)
    engine.close()


def test_training_and_sampling_take_turns(policy, prompt, make_batch):
    """Sampling leaves no inference tensors or modes behind that a backward pass would meet."""
    policy.enable_gradient_checkpointing()
    completion = generate_one(policy, prompt, SamplingParams(6))
    logprobs, _ = policy.logprobs(
        make_batch([(list(prompt), [list(completion.token_ids)])]), temperature=1.0, chunk_tokens=8
    )
    logprobs.sum().backward()
    assert generate_one(policy, prompt, SamplingParams(6)) == completion
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize(
    ("request_", "sampling", "message"),
    [
        (GenerationRequest((), (1,)), SamplingParams(4), "prompt of request 0 is empty"),
        (GenerationRequest((3, 272), (1,)), SamplingParams(4), "outside 0 .. 271"),
        (GenerationRequest((-1,), (1,)), SamplingParams(4), "outside 0 .. 271"),
        (GenerationRequest((3,), (1,)), SamplingParams(0), "max_new_tokens is 0"),
        (GenerationRequest((3,), (1,)), SamplingParams(4, stop_strings=("",)), "empty string"),
    ],
)
def test_impossible_requests(policy, request_, sampling, message):
    with pytest.raises(ValueError, match=message):
        EmbeddedEngine(policy).generate([request_], sampling)


def test_a_cache_too_small_for_one_sequence(policy, prompt):
    with pytest.raises(
        ConfigError, match="cache_tokens is 20, and the longest prompt with max_new_tokens = 14 needs 21"
    ):
        EmbeddedEngine(policy, EngineConfig(cache_tokens=20)).generate(
            [GenerationRequest(prompt, (1,))], SamplingParams(14)
        )
