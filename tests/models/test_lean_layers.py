"""Lean norms and MLPs: the same bits forward, the same gradients, less kept."""

import copy

import pytest
import torch
from torch import nn

from dunwu.models.lean_layers import make_lean


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_same_bits_and_gradients(family, tiny_model, random_ids, dtype):
    plain = tiny_model(family, seed=1).to(dtype)
    lean = copy.deepcopy(plain)
    assert make_lean(lean) > 0
    ids = torch.tensor([random_ids(40, 2)])
    outputs = []
    for model in (plain, lean):
        hidden = model.base_model(input_ids=ids).last_hidden_state
        (hidden.float() * torch.linspace(-1, 1, hidden.shape[-1])).sum().backward()
        outputs.append(hidden.detach())
    assert torch.equal(*outputs)
    tolerance = 2e-5 if dtype == torch.float32 else 4e-2
    for (name, expected), actual in zip(plain.named_parameters(), lean.parameters(), strict=True):
        assert (expected.grad is None) == (actual.grad is None), name
        if expected.grad is not None:
            scale = float(expected.grad.abs().max()) + 1e-3
            assert float((actual.grad - expected.grad).abs().max()) <= tolerance * scale, name


def test_every_norm_and_dense_mlp_is_recognised(family, tiny_model):
    model = tiny_model(family)
    wanted = [
        m for m in model.modules() if type(m).__name__.endswith("RMSNorm") or type(m).__name__.endswith("MLP")
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

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(8))
        self.variance_epsilon = 1e-6

    def forward(self, hidden):
        return self.weight * torch.sigmoid(hidden)


def test_a_module_that_computes_otherwise_is_left_alone():
    model = nn.Sequential(_OtherRMSNorm())
    before = model[0].weight.detach().clone()
    assert make_lean(model) == 0
    assert torch.equal(model[0](torch.zeros(8)), torch.full((8,), 0.5))
    assert torch.equal(model[0].weight, before)
