"""The loops in C behind the lean layers, against float64 and against the torch operations that they replace."""

import pytest
import torch
from torch.nn import functional
from transformers.activations import SiLUActivation
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from dunwu.kernels import build
from dunwu.kernels.call import kernels_for
from dunwu.models import lean_kernels
from dunwu.models.lean_attention import _Rotation
from dunwu.models.lean_layers import _LinearOfGated, _RmsNorm

pytestmark = pytest.mark.skipif(build.library() is None, reason=build.explain())
DTYPES = [torch.float32, torch.bfloat16]
SHAPES = [(1, 2), (1, 7), (3, 5), (33, 36), (70, 64), (129, 577)]


def draw(*shape, dtype, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(shape, generator=generator)).to(dtype)


def outcome(function, inputs, grad):
    """The value and the gradients of a function of leaf tensors."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    value = function(*leaves)
    value.backward(grad.to(value.dtype))
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def with_and_without(function, inputs, grad, monkeypatch):
    """What a lean function gives by kernels, and by torch."""
    kernels = outcome(function, inputs, grad)
    with monkeypatch.context() as patch:
        patch.setattr(build, "library", lambda: None)
        return kernels, outcome(function, inputs, grad)


def assert_as_good_as_torch(by_kernel, by_torch, exact):
    """No further from float64 than torch is, up to a small factor and a few units in the last place."""
    for one, other, truth in zip(by_kernel, by_torch, exact, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        error, error_of_torch = ((value.double() - truth).abs().max() for value in (one, other))
        floor = torch.finfo(one.dtype).eps * truth.abs().max()
        assert error <= 2 * error_of_torch + 2 * floor, (float(error), float(error_of_torch))


def exact_norm(hidden, weight, unit_offset):
    scale = 1 + weight if unit_offset else weight
    return scale * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("unit_offset", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_norm_and_its_gradients(shape, unit_offset, dtype, monkeypatch):
    inputs = draw(*shape, dtype=dtype, scale=3), draw(shape[1], dtype=dtype, seed=1)
    grad = draw(*shape, dtype=dtype, seed=2)
    results = with_and_without(
        lambda hidden, weight: _RmsNorm.apply(hidden, weight, 1e-5, unit_offset), inputs, grad, monkeypatch
    )
    wide = [tensor.double() for tensor in inputs]
    exact = outcome(lambda hidden, weight: exact_norm(hidden, weight, unit_offset), wide, grad.double())
    assert_as_good_as_torch(*results, exact)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gate_and_its_gradients(shape, dtype, monkeypatch):
    """The matrix behind the gate is the identity, so that the product itself is seen, and the gradient of the matrix."""
    size = shape[1]
    inputs = (
        draw(*shape, dtype=dtype, scale=4),
        draw(*shape, dtype=dtype, seed=1),
        torch.eye(size, dtype=dtype),
        draw(size, dtype=dtype, seed=4),
    )
    grad = draw(*shape, dtype=dtype, seed=2)
    results = with_and_without(
        lambda *leaves: _LinearOfGated.apply(*leaves, SiLUActivation()), inputs, grad, monkeypatch
    )
    exact = outcome(
        lambda gate, up, weight, bias: (functional.silu(gate) * up) @ weight.T + bias,
        [tensor.double() for tensor in inputs],
        grad.double(),
    )
    assert_as_good_as_torch(*results, exact)


def test_gate_in_place():
    gate, up = draw(5, 7, dtype=torch.float32), draw(5, 7, dtype=torch.float32, seed=1)
    apart = lean_kernels.silu_gate(build.library(), gate, up)
    assert lean_kernels.silu_gate(build.library(), gate, up, in_place=True) is gate
    assert torch.equal(gate, apart)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [2, 6, 8, 32, 64, 80, 128])
@pytest.mark.parametrize("rows", [1, 5, 33])
def test_rotation_and_its_gradient(rows, size, dtype):
    """Against transformers: the same bits in bfloat16, whose roundings are repeated; cos and sin differ between the halves."""
    heads, grad = draw(rows, 3, size, dtype=dtype), draw(rows, 3, size, dtype=dtype, seed=1)
    angles = draw(rows, size, dtype=torch.float32, seed=2)
    cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)

    def by_transformers(heads_THD):
        turned = heads_THD.transpose(0, 1)[None]
        return apply_rotary_pos_emb(turned, turned, cos.to(heads_THD)[None], sin.to(heads_THD)[None])[0][
            0
        ].transpose(0, 1)

    by_kernel = outcome(lambda heads_THD: _Rotation.apply(heads_THD, cos, sin), [heads], grad)
    by_torch = outcome(by_transformers, [heads], grad)
    if dtype == torch.bfloat16:
        assert torch.equal(by_kernel[0], by_torch[0])
    assert_as_good_as_torch(by_kernel, by_torch, outcome(by_transformers, [heads.double()], grad.double()))


def test_inputs_that_are_not_contiguous():
    kernels = build.library()
    wide, weight = draw(6, 10, dtype=torch.float32), draw(20, dtype=torch.float32, seed=1)[::2]
    grad, other = draw(10, 6, dtype=torch.float32, seed=2).T, draw(6, 20, dtype=torch.float32, seed=3)[:, ::2]
    for rows in (wide, other):
        normed, inverse = lean_kernels.norm(kernels, rows, weight, 1e-5, False)
        plain = lean_kernels.norm(kernels, rows.contiguous(), weight.contiguous(), 1e-5, False)[0]
        assert torch.equal(normed, plain)
        options = {"unit_offset": False, "weight_too": True}
        gradients = lean_kernels.norm_backward(kernels, grad, (rows, weight, inverse), **options)
        saved = (rows.contiguous(), weight.contiguous(), inverse)
        expected = lean_kernels.norm_backward(kernels, grad.contiguous(), saved, **options)
        assert all(map(torch.equal, gradients, expected))
    assert torch.equal(
        lean_kernels.silu_gate(kernels, grad, other),
        lean_kernels.silu_gate(kernels, grad.contiguous(), other.contiguous()),
    )
    expected = lean_kernels.silu_gate_backward(kernels, wide.clone(), grad.contiguous(), other.contiguous())
    assert all(
        map(torch.equal, lean_kernels.silu_gate_backward(kernels, wide.clone(), grad, other), expected)
    )
    heads, angle = draw(3, 4, 6, dtype=torch.float32).transpose(0, 1), draw(6, 4, dtype=torch.float32).T
    turned = lean_kernels.rotate(kernels, heads, angle, angle, backward=False)
    plain = lean_kernels.rotate(
        kernels, heads.contiguous(), angle.contiguous(), angle.contiguous(), backward=False
    )
    assert torch.equal(turned, plain)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_stay_where_torch_has_them(value, dtype, monkeypatch):
    hidden, other = draw(4, 36, dtype=dtype), draw(4, 36, dtype=dtype, seed=1)
    hidden[1, 3] = value
    weight, grad = draw(36, dtype=dtype, seed=2), draw(4, 36, dtype=dtype, seed=3)
    identity = torch.eye(36, dtype=dtype)
    cases = [
        (lambda x, w: _RmsNorm.apply(x, w, 1e-5, False), (hidden, weight)),
        (lambda x, y: _LinearOfGated.apply(x, y, identity, None, SiLUActivation()), (hidden, other)),
        (lambda x, y: _LinearOfGated.apply(x, y, identity, None, SiLUActivation()), (other, hidden)),
    ]
    for function, inputs in cases:
        for one, two in zip(*with_and_without(function, inputs, grad, monkeypatch), strict=True):
            assert torch.equal(one.isfinite(), two.isfinite())
    angle = torch.ones(4, 12, dtype=dtype)
    turned = lean_kernels.rotate(build.library(), hidden.view(4, 3, 12), angle, angle, backward=False)
    assert turned.isfinite().logical_not().nonzero().tolist() == [[1, 0, 3], [1, 0, 9]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_number_of_threads_changes_no_bit(dtype):
    hidden, other, grad = (draw(101, 384, dtype=dtype, seed=seed) for seed in range(3))
    weight = draw(384, dtype=dtype, seed=3)
    angle = draw(101, 64, dtype=dtype, seed=5)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            kernels = build.library()
            results.append(
                [
                    *outcome(lambda x, w: _RmsNorm.apply(x, w, 1e-5, True), (hidden, weight), grad),
                    lean_kernels.silu_gate(kernels, hidden, other),
                    *lean_kernels.silu_gate_backward(kernels, grad.clone(), hidden, other),
                    lean_kernels.rotate(kernels, hidden.view(101, 6, 64), angle, angle, backward=True),
                ]
            )
    finally:
        torch.set_num_threads(before)
    assert all(map(torch.equal, *results))


def test_what_kernels_are_there_for():
    single, half = torch.ones(2), torch.ones(2, dtype=torch.bfloat16)
    assert kernels_for(single, single) is build.library()
    assert kernels_for(half) is build.library()
    for tensors in [
        (single, half),
        (single.double(),),
        (single[:0],),
        (single.to("meta"),),
        (single.half(),),
    ]:
        assert kernels_for(*tensors) is None
