import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from dunwu.functional import head_chunks
from dunwu.functional.head_chunks import REFERENCE_VOCAB, Workspace, chunk_rows
from dunwu.functional.logprobs import chunked_logprobs
from dunwu.kernels.build import library

pytestmark = pytest.mark.usefixtures("way")


def full_logprobs(
    hidden_ND: Tensor,
    weight_VD: Tensor,
    targets_N: Tensor,
    *,
    temperature: float,
    bias_V: Tensor | None = None,
    softcap: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The same from the full logits, in float64, written the obvious way."""
    logits_NV = hidden_ND.double() @ weight_VD.double().T
    if bias_V is not None:
        logits_NV = logits_NV + bias_V.double()
    if softcap is not None:
        logits_NV = softcap * torch.tanh(logits_NV / softcap)
    logprobs_NV = torch.log_softmax(logits_NV / temperature, -1)
    entropy_N = -(logprobs_NV.exp() * logprobs_NV).sum(-1)
    return logprobs_NV[torch.arange(len(targets_N)), targets_N], entropy_N


def make_inputs(
    num: int, vocab: int, width: int, dtype: torch.dtype, *, bias: bool = False
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(num * vocab + width)
    hidden = torch.randn(num, width, generator=generator, dtype=torch.float64)
    weight = torch.randn(vocab, width, generator=generator, dtype=torch.float64)
    targets = torch.randint(vocab, (num,), generator=generator)
    bias_V = torch.randn(vocab, generator=generator, dtype=torch.float64) if bias else None
    leaves = [x.to(dtype).requires_grad_() if x is not None else None for x in (hidden, weight, bias_V)]
    assert leaves[0] is not None
    assert leaves[1] is not None
    return leaves[0], leaves[1], targets, leaves[2]


def gradients(function: Callable[..., Any], inputs: tuple[Any, ...], **options: Any) -> list[Tensor]:
    hidden, weight, targets, bias = inputs
    logprobs, entropy = function(hidden, weight, targets, bias_V=bias, **options)
    upstream = torch.linspace(-1, 2, len(targets), dtype=logprobs.dtype)
    leaves = [leaf for leaf in (hidden, weight, bias) if leaf is not None]
    return [
        logprobs.detach(),
        entropy.detach(),
        *torch.autograd.grad((logprobs * upstream).sum(), leaves),
    ]


@pytest.mark.parametrize("chunk_tokens", [1, 4, 7, 50])
@pytest.mark.parametrize(
    ("temperature", "softcap", "bias"),
    [(1.0, None, False), (0.6, None, True), (1.7, 2.5, True), (1.0, 3.0, False)],
)
def test_equals_the_full_logits_in_value_and_gradient(
    chunk_tokens: int, temperature: float, softcap: float | None, bias: bool
) -> None:
    inputs = make_inputs(13, 37, 5, torch.float64, bias=bias)
    options = {"temperature": temperature, "softcap": softcap}
    result = gradients(chunked_logprobs, inputs, chunk_tokens=chunk_tokens, **options)
    expected = gradients(full_logprobs, inputs, **options)
    for ours, reference in zip(result, expected, strict=True):
        assert ours.dtype == torch.float64
        torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_gradient_is_that_of_finite_differences(softcap: float | None) -> None:
    hidden, weight, targets, bias = make_inputs(5, 6, 3, torch.float64, bias=True)

    def logprobs(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return chunked_logprobs(
            hidden, weight, targets, temperature=0.7, chunk_tokens=2, bias_V=bias, softcap=softcap
        )[0]

    assert torch.autograd.gradcheck(logprobs, (hidden, weight, bias))


def test_one_token_of_three_words_by_hand() -> None:
    hidden = torch.tensor([[1.0, 2.0]])
    weight = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # logits 0, 1, 2; at temperature 0.5: 0, 2, 4
    logprobs, entropy = chunked_logprobs(hidden, weight, torch.tensor([1]), temperature=0.5, chunk_tokens=8)
    # e^0 + e^2 + e^4 = 62.98721; p = 0.015876, 0.117310, 0.866814
    assert logprobs.item() == pytest.approx(2 - 4.142932, abs=1e-5)
    assert entropy.item() == pytest.approx(4.142932 - (2 * 0.117310 + 4 * 0.866814), abs=1e-5)


def test_float32_is_exact_to_its_last_digits() -> None:
    inputs = make_inputs(64, 1000, 32, torch.float32, bias=True)
    result = gradients(chunked_logprobs, inputs, temperature=0.8, chunk_tokens=10)
    expected = gradients(full_logprobs, inputs, temperature=0.8)
    for ours, reference in zip(result, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), reference.double(), rtol=1e-5, atol=2e-5)


def test_logits_far_apart_neither_overflow_nor_lose_the_target() -> None:
    hidden = torch.tensor([[1.0], [-1.0]])
    weight = torch.tensor([[300.0], [0.0], [-300.0]])
    logprobs, entropy = chunked_logprobs(
        hidden, weight, torch.tensor([2, 2]), temperature=1.0, chunk_tokens=1
    )
    assert logprobs.tolist() == [-600.0, 0.0]
    assert entropy.tolist() == [0.0, 0.0]


def test_bfloat16_products_with_a_float32_softmax() -> None:
    inputs = make_inputs(40, 300, 16, torch.bfloat16, bias=True)
    result = gradients(chunked_logprobs, inputs, temperature=1.3, chunk_tokens=7)
    hidden, weight, targets, bias = inputs
    assert bias is not None
    logits = torch.addmm(bias, hidden, weight.T).float() / 1.3  # rounded to bfloat16 once, then float32
    expected = torch.log_softmax(logits, -1)[torch.arange(40), targets]
    torch.testing.assert_close(result[0], expected, rtol=1e-5, atol=1e-5)
    assert [tensor.dtype for tensor in result] == [torch.float32] * 2 + [torch.bfloat16] * 3
    for ours, reference in zip(
        result[2:], gradients(full_logprobs, inputs, temperature=1.3)[2:], strict=True
    ):
        error = (ours.double() - reference.double()).norm() / reference.double().norm()
        assert error < 0.02


def test_the_weight_s_gradient_does_not_stall_over_many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_chunks, "_WEIGHT_BLOCK_ROWS", 2)  # several blocks, the last one not full
    hidden = torch.ones(4000, 1, dtype=torch.bfloat16)
    weight = torch.zeros(3, 1, dtype=torch.bfloat16, requires_grad=True)
    targets = torch.zeros(4000, dtype=torch.int64)
    logprobs, _ = chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=1)
    logprobs.sum().backward()
    assert weight.grad is not None
    # 4000 * (1 - 1/3); a running sum in bfloat16 would stop growing near 170
    assert weight.grad[:, 0].tolist() == pytest.approx([2667, -1333, -1333], rel=0.01)


def test_frozen_parts_get_no_gradient() -> None:
    hidden, weight, targets, bias = make_inputs(6, 9, 4, torch.float64, bias=True)
    expected = gradients(full_logprobs, (hidden, weight, targets, bias), temperature=1.0)[2:]
    for trained in range(3):
        leaves = [leaf.detach().clone() for leaf in (hidden, weight, bias) if leaf is not None]
        leaves[trained].requires_grad_()
        logprobs, _ = chunked_logprobs(
            leaves[0], leaves[1], targets, temperature=1.0, chunk_tokens=4, bias_V=leaves[2]
        )
        (logprobs * torch.linspace(-1, 2, 6)).sum().backward()
        assert [leaf.grad is not None for leaf in leaves] == [place == trained for place in range(3)]
        torch.testing.assert_close(leaves[trained].grad, expected[trained])


def test_entropy_has_no_gradient_and_second_derivatives_are_refused() -> None:
    hidden, weight, targets, _ = make_inputs(6, 9, 4, torch.float64)
    logprobs, entropy = chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=4)
    assert logprobs.requires_grad
    assert not entropy.requires_grad
    (gradient,) = torch.autograd.grad(logprobs.square().sum(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_tokens_without_incoming_gradient_are_skipped() -> None:
    hidden, weight, targets, _ = make_inputs(8, 9, 4, torch.float64)
    kept = torch.tensor([1, 4, 5])
    with torch.no_grad():
        hidden[0] = torch.nan  # would spoil the weight's gradient if it took part
    logprobs, _ = chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=2)
    logprobs[kept].sum().backward()
    part = hidden.detach()[kept].requires_grad_()
    expected, _ = full_logprobs(part, weight, targets[kept], temperature=1.0)
    hidden_grad, weight_grad = torch.autograd.grad(expected.sum(), (part, weight))
    assert weight.grad is not None
    assert hidden.grad is not None
    torch.testing.assert_close(weight.grad, weight_grad)
    torch.testing.assert_close(hidden.grad[kept], hidden_grad)
    assert hidden.grad[[0, 2, 3, 6, 7]].eq(0).all()


def test_no_tokens_at_all() -> None:
    hidden, weight, targets, _ = make_inputs(0, 9, 4, torch.float32)
    logprobs, entropy = chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=4)
    assert logprobs.shape == entropy.shape == (0,)
    logprobs.sum().backward()
    assert weight.grad is not None
    assert weight.grad.eq(0).all()


def test_inputs_are_left_as_they_were() -> None:
    inputs = make_inputs(6, 9, 4, torch.float32, bias=True)
    copies = [x.detach().clone() if x is not None else None for x in inputs]
    gradients(chunked_logprobs, inputs, temperature=0.5, chunk_tokens=4, softcap=2.0)
    for before, after in zip(copies, inputs, strict=True):
        assert before is not None
        assert torch.equal(before, after)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"temperature": 0.0}, "temperature is 0"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"softcap": 0.0}, "softcap is 0"),
        ({"chunk_tokens": 0}, "chunk_tokens is 0"),
        ({"weight_VD": torch.zeros(9, 5)}, r"must be \(N, D\) and \(V, D\)"),
        ({"hidden_ND": torch.zeros(4)}, r"must be \(N, D\) and \(V, D\)"),
        ({"targets_N": torch.zeros(5, dtype=torch.int64)}, r"must be \(N,\)"),
        ({"targets_N": torch.zeros(6, dtype=torch.int32)}, r"torch.int32 must be \(N,\)"),
        ({"targets_N": torch.tensor([0, 1, 2, 3, 4, 9])}, r"from 0 to 9; they must lie in \[0, 9\)"),
        ({"targets_N": torch.tensor([0, 1, 2, 3, 4, -1])}, "from -1 to 4"),
        ({"bias_V": torch.zeros(8)}, r"a bias \(V,\)"),
        ({"weight_VD": torch.zeros(9, 4, dtype=torch.bfloat16)}, "share one floating-point dtype"),
        ({"bias_V": torch.zeros(9, dtype=torch.float64)}, "share one floating-point dtype"),
    ],
)
def test_wrong_inputs_are_refused(changed: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "hidden_ND": torch.zeros(6, 4),
        "weight_VD": torch.zeros(9, 4),
        "targets_N": torch.zeros(6, dtype=torch.int64),
        "temperature": 1.0,
        "chunk_tokens": 4,
    } | changed
    positional = [arguments.pop(name) for name in ("hidden_ND", "weight_VD", "targets_N")]
    with pytest.raises(ValueError, match=message):
        chunked_logprobs(*positional, **arguments)


def test_integer_hidden_states_are_refused() -> None:
    integers = torch.zeros(6, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match="floating-point dtype"):
        chunked_logprobs(integers, integers, integers[:, 0], temperature=1.0, chunk_tokens=4)


@pytest.mark.parametrize(
    ("chunk_tokens", "vocab", "rows"),
    [(1024, 500, 1024), (1024, 8192, 1024), (1024, 16384, 512), (1024, 151936, 55), (1, 151936, 1)],
)
def test_rows_of_a_chunk_shrink_as_the_vocabulary_grows(chunk_tokens: int, vocab: int, rows: int) -> None:
    assert chunk_rows(chunk_tokens, vocab) == rows


def test_the_last_chunk_is_whole() -> None:
    assert list(head_chunks.chunks(10, 4)) == [slice(0, 2), slice(2, 6), slice(6, 10)]
    assert list(head_chunks.chunks(8, 4)) == [slice(0, 4), slice(4, 8)]
    assert list(head_chunks.chunks(3, 4)) == [slice(0, 3)]
    assert list(head_chunks.chunks(0, 4)) == []


class MemoryMeter(TorchDispatchMode):
    """Bytes of the tensors that operations made and that are still alive: the peak, and the largest one."""

    def __init__(self) -> None:
        super().__init__()
        self.live: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = set(self._storages((args, kwargs)))
        result = func(*args, **(kwargs or {}))
        for id_, storage in self._storages(result).items():
            if id_ not in before:
                self.live[id_] = (StorageWeakRef(storage), storage.nbytes())
                self.largest = max(self.largest, storage.nbytes())
        self.live = {id_: entry for id_, entry in self.live.items() if not entry[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.live.values()))
        return result

    def _storages(self, tree: Any) -> dict[int, Any]:
        leaves = torch.utils._pytree.tree_leaves(tree)
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        return {tensor.untyped_storage()._cdata: tensor.untyped_storage() for tensor in tensors}


@pytest.fixture(params=[torch.float32, torch.bfloat16])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param  # type: ignore[no-any-return]


def measure(vocab: int, dtype: torch.dtype, *, train_weight: bool) -> tuple[int, int]:
    hidden = torch.zeros(520, 4, dtype=dtype, requires_grad=True)
    weight = torch.zeros(vocab, 4, dtype=dtype, requires_grad=train_weight)
    with MemoryMeter() as meter:
        logprobs, _ = chunked_logprobs(
            hidden, weight, torch.zeros(520, dtype=torch.int64), temperature=0.9, chunk_tokens=512
        )
        logprobs.sum().backward()
    return meter.peak, meter.largest


def test_peak_memory_does_not_grow_with_the_vocabulary(dtype: torch.dtype, way: str) -> None:
    peaks = [measure(vocab, dtype, train_weight=False)[0] for vocab in (8192, 49152, 151936)]
    assert max(peaks) <= 1.1 * min(peaks), peaks
    in_place = way == "kernels" and library() is not None
    at_hand = 0 if in_place else 3 * 4 * head_chunks._SLICE_ELEMENTS  # the rows that are worked on
    assert peaks[0] <= 1.05 * (512 * REFERENCE_VOCAB * dtype.itemsize + at_hand)


def test_the_largest_tensor_is_a_chunk_or_the_weight_s_gradient(dtype: torch.dtype) -> None:
    vocab = 49152
    _, largest = measure(vocab, dtype, train_weight=True)
    assert largest <= max(512 * REFERENCE_VOCAB * 4, vocab * 4 * 4)
    assert largest < 520 * vocab * 2 / 3  # a third of the full logits in 16 bits


def test_one_chunk_at_most_outlives_the_forward_pass_and_none_the_backward() -> None:
    hidden, weight, targets, _ = make_inputs(64, 500, 4, torch.float32)
    kept: list[weakref.ref[Tensor]] = []
    original = Workspace.__init__

    def spy(self: Any, *args: Any) -> None:
        original(self, *args)
        kept.append(weakref.ref(self.product_CV))

    def alive() -> int:
        return sum(ref() is not None for ref in kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace, "__init__", spy)
        with torch.no_grad():
            chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=16)
        assert alive() == 0
        logprobs, _ = chunked_logprobs(hidden, weight, targets, temperature=1.0, chunk_tokens=16)
        assert (len(kept), alive()) == (2, 1)
        logprobs.sum().backward()
    assert alive() == 0


@pytest.mark.parametrize("chunk_tokens", [3, 5, 8])
def test_a_second_backward_pass_gives_the_same(chunk_tokens: int) -> None:
    """The first one finds the last chunk in its buffer, the second one computes all of them."""
    inputs = make_inputs(8, 30, 4, torch.float64, bias=True)
    hidden, weight, targets, bias = inputs
    logprobs, _ = chunked_logprobs(
        hidden, weight, targets, temperature=0.7, chunk_tokens=chunk_tokens, bias_V=bias
    )
    leaves = [leaf for leaf in (hidden, weight, bias) if leaf is not None]
    upstream = torch.tensor([1.0, 0, 2, 0, -1, 3, 0, 0.5], dtype=torch.float64)  # some tokens are skipped
    first = torch.autograd.grad(logprobs, leaves, upstream, retain_graph=True)
    second = torch.autograd.grad(logprobs, leaves, upstream)
    expected = torch.autograd.grad(
        full_logprobs(hidden, weight, targets, temperature=0.7, bias_V=bias)[0], leaves, upstream
    )
    for one, two, reference in zip(first, second, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(one, reference, rtol=1e-12, atol=1e-13)


def test_confident_tokens_keep_their_gradient_in_bfloat16() -> None:
    """1 - p of the target is far smaller than what bfloat16 tells apart near 1."""
    hidden = torch.tensor([[8.0]], dtype=torch.bfloat16, requires_grad=True)
    weight = torch.tensor([[1.0], [0.0]], dtype=torch.bfloat16)
    logprobs, _ = chunked_logprobs(hidden, weight, torch.tensor([0]), temperature=1.0, chunk_tokens=4)
    logprobs.sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.item() == pytest.approx(3.3535e-4, rel=0.01)  # 1 - 1 / (1 + e^-8)
