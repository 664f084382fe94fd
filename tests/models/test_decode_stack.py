"""The stack computes what the modules compute, for families that it knows, and leaves the others alone."""

import pytest
import torch
from torch import nn

from dunwu.models import decode_kernels
from dunwu.models import policy as policy_module
from dunwu.models.decode_stack import decode_stack
from dunwu.records import GenerationRequest, SamplingParams
from dunwu.rollout.embedded import EmbeddedEngine

from ..conftest import FAMILIES

KNOWN = {"llama", "llama31", "smollm2", "qwen2", "qwen3"}


def test_it_knows_the_llama_like_families_and_no_other(family, tiny_policy):
    assert (decode_stack(tiny_policy(family).model) is not None) == (family in KNOWN)


@pytest.fixture
def requests(random_ids):
    return [
        GenerationRequest(tuple(random_ids(length, length)), tuple(range(100 * length, 100 * length + count)))
        for length, count in [(8, 3), (23, 2), (2, 4)]
    ]


def together(groups):
    return [completion for group in groups for completion in group]


def tokens(groups):
    return [completion.token_ids for completion in together(groups)]


def without_stack(policy, requests, sampling):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policy_module, "decode_stack", lambda model: None)
        return EmbeddedEngine(policy).generate(requests, sampling)


@pytest.mark.parametrize(
    ("dtype", "kernels"),
    [
        (torch.float32, True),
        (torch.float32, False),
        (torch.bfloat16, False),
    ],  # in 16 bit, kernels round less often
)
@pytest.mark.parametrize("known", sorted(KNOWN))
def test_it_samples_what_the_modules_sample(known, dtype, kernels, tiny_policy, requests, monkeypatch):
    if not kernels:
        monkeypatch.setattr(decode_kernels, "library", lambda: None)
    policy = tiny_policy(known, dtype=dtype)
    sampling = SamplingParams(30, temperature=0.8, stop_token_ids=tuple(range(12)))
    ours, theirs = (
        EmbeddedEngine(policy).generate(requests, sampling),
        without_stack(policy, requests, sampling),
    )
    lengths = set()
    for one, other in zip(together(ours), together(theirs), strict=True):
        assert one.token_ids == other.token_ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5 if dtype == torch.float32 else 0.03)
        lengths.add(len(one.token_ids))
    assert len(lengths) > 1, "the test needs sequences that end at different times"


def test_sliding_windows_and_head_norms_are_kept(tiny_policy, requests):
    policy = tiny_policy("qwen3")
    assert hasattr(policy.model.base_model.layers[0].self_attn, "q_norm")
    policy.model.base_model.layers[0].self_attn.sliding_window = 3
    sampling = SamplingParams(12, temperature=0.0)
    narrow = EmbeddedEngine(policy).generate(requests, sampling)
    assert tokens(narrow) == tokens(without_stack(policy, requests, sampling))
    policy.model.base_model.layers[0].self_attn.sliding_window = None
    assert narrow != EmbeddedEngine(policy).generate(requests, sampling)


def test_weights_trained_between_calls_are_seen(tiny_policy, requests):
    policy = tiny_policy("llama")
    engine, sampling = EmbeddedEngine(policy), SamplingParams(6, temperature=0.0)
    before = engine.generate(requests, sampling)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2))
    after = engine.generate(requests, sampling)
    assert after != before
    assert tokens(after) == tokens(without_stack(policy, requests, sampling))
    assert policy._stack is None


@pytest.mark.parametrize("change", ["adapter", "child", "bias", "class"])
def test_a_layer_that_is_not_quite_the_family_s_is_not_taken_for_it(change, tiny_policy):
    model = tiny_policy("llama").model
    layer = model.base_model.layers[1]
    match change:
        case "adapter":
            layer.mlp.up_proj = nn.Sequential(layer.mlp.up_proj)
        case "child":
            layer.extra_norm = nn.Identity()
        case "bias":
            layer.self_attn.q_proj.bias = nn.Parameter(torch.zeros(layer.self_attn.q_proj.out_features))
        case "class":
            layer.mlp.__class__ = type("OtherMLP", (type(layer.mlp),), {})
    assert decode_stack(model) is None


@pytest.mark.parametrize("kernels", [True, False])
def test_the_window_of_a_mistral_is_kept(kernels, tiny_policy, requests, monkeypatch):
    """Its modules read the window from their configuration."""
    if not kernels:
        monkeypatch.setattr(decode_kernels, "library", lambda: None)
    monkeypatch.setitem(FAMILIES, "mistral", {"model_type": "mistral", "head_dim": 8, "sliding_window": 3})
    policy = tiny_policy("mistral")
    assert decode_stack(policy.model) is not None
    sampling = SamplingParams(12, temperature=0.0)
    narrow = EmbeddedEngine(policy).generate(requests, sampling)
    assert tokens(narrow) == tokens(without_stack(policy, requests, sampling))
    FAMILIES["mistral"]["sliding_window"] = None
    wide = EmbeddedEngine(tiny_policy("mistral")).generate(requests, sampling)
    assert tokens(narrow) != tokens(wide)
