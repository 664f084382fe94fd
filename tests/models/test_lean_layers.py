"""Lean norms, MLPs and attention: the same forward, the same gradients, less kept; to the bit where there are no kernels."""

import copy

import pytest
import torch
from torch import nn

from dunwu.kernels import build
from dunwu.models.attention import ATTENTION_NAME, register_attention
from dunwu.models.lean_attention import is_known_attention
from dunwu.models.lean_layers import make_lean
from dunwu.models.packed_plan import make_plan
from dunwu.records import Segment


def kept_bytes(module, hidden):
    """Bytes of distinct activations that autograd keeps for a module's backward pass."""
    parameters = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = (storage.nbytes(), storage)  # holding it keeps its address its own
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        module(hidden)
    return sum(size for size, _ in kept.values())


def run_packed(model, ids):
    """Hidden states of a prompt and its continuation in one row, and a gradient in every parameter."""
    segments = [Segment(0, 8), Segment(8, len(ids), 0, 8)]
    hidden = model.base_model(
        input_ids=torch.tensor([ids]),
        position_ids=torch.arange(len(ids))[None],
        use_cache=False,
        dunwu_context=make_plan(segments, len(ids), torch.device("cpu")),
    ).last_hidden_state
    (hidden.float() * torch.linspace(-1, 1, hidden.shape[-1])).sum().backward()
    return hidden.detach()


@pytest.fixture(params=["kernels", "no kernels"])
def has_kernels(request, monkeypatch):
    """Runs a test with the kernels, then without."""
    if request.param == "no kernels":
        monkeypatch.setattr(build, "library", lambda: None)
    elif build.library() is None:
        pytest.skip(build.explain())
    return request.param == "kernels"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_same_forward_and_gradients(family, tiny_model, random_ids, dtype, has_kernels):
    register_attention()
    plain = tiny_model(family, seed=1).to(dtype)
    plain.set_attn_implementation(ATTENTION_NAME)
    lean = copy.deepcopy(plain)
    assert make_lean(lean) > 0
    expected, actual = (run_packed(model, random_ids(40, 2)) for model in (plain, lean))
    if has_kernels:
        rounding = 1e-5 if dtype == torch.float32 else 5e-2
        assert float((actual - expected).abs().max()) <= rounding * float(expected.abs().max())
    else:
        assert torch.equal(actual, expected)
    tolerance = 2e-5 if dtype == torch.float32 else 8e-2
    for (name, expected), actual in zip(plain.named_parameters(), lean.parameters(), strict=True):
        assert (expected.grad is None) == (actual.grad is None), name
        if expected.grad is not None:
            scale = float(expected.grad.abs().max()) + 1e-3
            assert float((actual.grad - expected.grad).abs().max()) <= tolerance * scale, name


@torch.no_grad()
def test_without_gradients_the_same_is_computed(family, tiny_model, random_ids, has_kernels):
    plain = tiny_model(family, seed=1)
    lean = copy.deepcopy(plain)
    make_lean(lean)
    ids = torch.tensor([random_ids(40, 2)])
    expected, actual = (model.base_model(input_ids=ids).last_hidden_state for model in (plain, lean))
    assert float((actual - expected).abs().max()) <= (1e-5 if has_kernels else 0) * float(
        expected.abs().max()
    )


def test_every_norm_dense_mlp_and_known_attention_is_recognised(family, tiny_model, has_kernels):
    model = tiny_model(family)
    wanted = [
        m for m in model.modules() if type(m).__name__.endswith(("RMSNorm", "MLP")) or is_known_attention(m)
    ]
    assert make_lean(model) == len(wanted)
    assert make_lean(model) == len(wanted)  # a second time changes nothing


def test_a_norm_keeps_its_input_and_a_number_per_row(tiny_model):
    model = tiny_model("llama").to(torch.bfloat16)
    make_lean(model)
    norm = model.model.layers[0].input_layernorm
    hidden = torch.randn(64, norm.weight.shape[0]).bfloat16().requires_grad_()
    assert kept_bytes(norm, hidden) == 64 * (2 * norm.weight.shape[0] + 4)


def test_an_mlp_keeps_its_input_and_two_projections(tiny_model):
    model = tiny_model("llama").to(torch.bfloat16)
    make_lean(model)
    mlp = model.model.layers[0].mlp
    size, inner = mlp.gate_proj.in_features, mlp.gate_proj.out_features
    hidden = torch.randn(64, size).bfloat16().requires_grad_()
    assert kept_bytes(mlp, hidden) == 64 * 2 * (size + 2 * inner)


def test_a_copy_runs_on_its_own_weights(tiny_model, random_ids):
    model = tiny_model("llama")
    make_lean(model)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    ids = torch.tensor([random_ids(8, 4)])
    assert not twin.base_model(input_ids=ids).last_hidden_state.any()
    assert model.base_model(input_ids=ids).last_hidden_state.any()


def test_gradient_of_hidden_states_by_finite_differences(tiny_model):
    model = tiny_model("gemma3").double()
    make_lean(model)
    norm = next(m for m in model.modules() if type(m).__name__.endswith("RMSNorm"))
    mlp = next(m for m in model.modules() if type(m).__name__.endswith("MLP"))
    nn.init.normal_(norm.weight)
    hidden = torch.randn(3, norm.weight.shape[0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        mlp, (torch.randn(1, 3, mlp.gate_proj.in_features, dtype=torch.float64, requires_grad=True),)
    )
    # a norm computes in float32 whatever it is given, as transformers' does: coarse differences
    assert torch.autograd.gradcheck(norm, (hidden,), eps=1e-2, atol=2e-2, rtol=2e-2)


class _OtherRMSNorm(nn.Module):
    """Looks like a norm that is known, and computes something else."""

    def __init__(self, compute):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))
        self.variance_epsilon = 1e-6
        self.compute = compute

    def forward(self, hidden):
        return self.weight * self.compute(hidden)


def normalised(hidden, eps):
    return hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)


OTHERS = {
    "sigmoid": torch.sigmoid,
    "centred": lambda hidden: normalised(hidden - hidden.mean(-1, keepdim=True), 1e-6),
    "other epsilon": lambda hidden: normalised(hidden, 2e-6),
    "a little more": lambda hidden: normalised(hidden, 1e-6) * (1 + 1e-5),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_module_that_computes_otherwise_is_left_alone(other, has_kernels):
    model = nn.Sequential(_OtherRMSNorm(OTHERS[other]))
    before = model[0].weight.detach().clone()
    assert make_lean(model) == 0
    assert torch.equal(model[0](torch.zeros(8)), OTHERS[other](torch.zeros(8)))
    assert torch.equal(model[0].weight, before)


@torch.no_grad()
def test_an_mlp_that_computes_otherwise_is_left_alone(tiny_model, has_kernels):
    mlp = tiny_model("llama").model.layers[0].mlp
    own = type(mlp)

    class Swapped(own):
        def forward(self, hidden):
            return self.down_proj(self.gate_proj(hidden) * self.act_fn(self.up_proj(hidden)))

    mlp.__class__ = Swapped
    assert make_lean(mlp) == 0
    mlp.__class__ = own
    assert make_lean(mlp) == 1
