from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from dunwu.functional.head_chunks import REFERENCE_VOCAB
from dunwu.functional.reverse_kl import HeadInputs, chunked_reverse_kl


def logits_of(side: HeadInputs) -> Tensor:
    logits_NV = side.hidden_ND.double() @ side.weight_VD.double().T
    if side.bias_V is not None:
        logits_NV = logits_NV + side.bias_V.double()
    if side.softcap is not None:
        logits_NV = side.softcap * torch.tanh(logits_NV / side.softcap)
    return logits_NV


def full_reverse_kl(student: HeadInputs, teacher: HeadInputs) -> tuple[Tensor, Tensor]:
    """The same from the full logits of both, in float64, by torch's own divergence."""
    log_p_NV, log_q_NV = (torch.log_softmax(logits_of(side), -1) for side in (student, teacher))
    # kl_div(input, target) is KL(target || input), element by element
    kl_N = torch.nn.functional.kl_div(log_q_NV.detach(), log_p_NV, reduction="none", log_target=True).sum(-1)
    return kl_N, -(log_p_NV.exp() * log_p_NV).sum(-1)


def make_side(
    num: int,
    vocab: int,
    width: int,
    dtype: torch.dtype,
    *,
    seed: int,
    bias: bool = False,
    softcap: float | None = None,
) -> HeadInputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_()

    return HeadInputs(draw(num, width), draw(vocab, width), draw(vocab) if bias else None, softcap)


def leaves(side: HeadInputs) -> list[Tensor]:
    return [leaf for leaf in (side.hidden_ND, side.weight_VD, side.bias_V) if leaf is not None]


def value_and_gradient(
    function: Callable[..., tuple[Tensor, Tensor]], student: HeadInputs, teacher: HeadInputs, **options: Any
) -> list[Tensor]:
    kl, entropy = function(student, teacher, **options)
    upstream = torch.linspace(-1, 2, len(kl), dtype=kl.dtype)
    return [kl.detach(), entropy.detach(), *torch.autograd.grad((kl * upstream).sum(), leaves(student))]


@pytest.mark.parametrize("chunk_tokens", [1, 4, 7, 50])
@pytest.mark.parametrize(
    ("bias", "softcap", "teacher_softcap"),
    [(False, None, None), (True, None, None), (True, 2.5, 4.0), (False, 3.0, None)],
)
def test_equals_the_full_logits_in_value_and_gradient(
    chunk_tokens: int, bias: bool, softcap: float | None, teacher_softcap: float | None
) -> None:
    student = make_side(13, 37, 5, torch.float64, seed=1, bias=bias, softcap=softcap)
    teacher = make_side(13, 37, 8, torch.float64, seed=2, bias=not bias, softcap=teacher_softcap)
    result = value_and_gradient(chunked_reverse_kl, student, teacher, chunk_tokens=chunk_tokens)
    expected = value_and_gradient(full_reverse_kl, student, teacher)
    for ours, reference in zip(result, expected, strict=True):
        assert ours.dtype == torch.float64
        torch.testing.assert_close(ours, reference, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_gradient_is_that_of_finite_differences(softcap: float | None) -> None:
    student = make_side(5, 6, 3, torch.float64, seed=3, bias=True)
    teacher = make_side(5, 6, 4, torch.float64, seed=4)

    def kl(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return chunked_reverse_kl(HeadInputs(hidden, weight, bias, softcap), teacher, chunk_tokens=2)[0]

    assert torch.autograd.gradcheck(kl, leaves(student))


def test_two_words_by_hand_and_the_direction() -> None:
    """p = (1/2, 1/2), q = (3/4, 1/4): KL(p || q) = ln 2 - ln 3 / 2; KL(q || p) = 3/4 ln 3 - ln 2 is another number."""
    one = torch.ones(1, 1)
    even = HeadInputs(one, torch.zeros(2, 1))
    skewed = HeadInputs(one, torch.tensor([[3.0], [1.0]]).log())
    kl, entropy = chunked_reverse_kl(even, skewed, chunk_tokens=1)
    assert kl.item() == pytest.approx(0.143841, abs=1e-6)
    assert entropy.item() == pytest.approx(0.693147, abs=1e-6)
    other, _ = chunked_reverse_kl(skewed, even, chunk_tokens=1)
    assert other.item() == pytest.approx(0.130812, abs=1e-6)


def test_it_is_the_mean_over_draws_of_the_student() -> None:
    """sum over v of p[v] (log p[v] - log q[v]) is what log p - log q of drawn tokens has as its mean."""
    student, teacher = (make_side(1, 9, 4, torch.float64, seed=seed) for seed in (5, 6))
    log_p, log_q = (torch.log_softmax(logits_of(side), -1)[0].detach() for side in (student, teacher))
    drawn = torch.multinomial(
        log_p.exp(), 200_000, replacement=True, generator=torch.Generator().manual_seed(0)
    )
    kl, _ = chunked_reverse_kl(student, teacher, chunk_tokens=4)
    differences = (log_p - log_q)[drawn]
    assert kl.item() == pytest.approx(
        differences.mean().item(), abs=4 * differences.std().item() / 200_000**0.5
    )


def test_a_student_that_is_its_teacher_has_neither_divergence_nor_gradient() -> None:
    student = make_side(6, 30, 4, torch.float32, seed=7, bias=True)
    kl, _, *gradients = value_and_gradient(chunked_reverse_kl, student, student, chunk_tokens=4)
    assert kl.abs().max() < 1e-6
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-5


def test_float32_is_exact_to_its_last_digits() -> None:
    student = make_side(64, 1000, 32, torch.float32, seed=8, bias=True)
    teacher = make_side(64, 1000, 48, torch.float32, seed=9)
    result = value_and_gradient(chunked_reverse_kl, student, teacher, chunk_tokens=10)
    expected = value_and_gradient(full_reverse_kl, student, teacher)
    for ours, reference in zip(result, expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours.double(), reference.double(), rtol=2e-5, atol=1e-4)


def test_bfloat16_products_with_a_float32_softmax() -> None:
    student = make_side(40, 300, 16, torch.bfloat16, seed=10, bias=True)
    teacher = make_side(40, 300, 24, torch.float32, seed=11)  # a teacher of another dtype
    result = value_and_gradient(chunked_reverse_kl, student, teacher, chunk_tokens=7)
    assert [tensor.dtype for tensor in result] == [torch.float32] * 2 + [torch.bfloat16] * 3
    for ours, reference in zip(result, value_and_gradient(full_reverse_kl, student, teacher), strict=True):
        assert (ours.double() - reference.double()).norm() / reference.double().norm() < 0.02


def test_frozen_parts_and_the_teacher_get_no_gradient() -> None:
    student, teacher = (make_side(6, 9, 4, torch.float64, seed=seed, bias=True) for seed in (12, 13))
    expected = value_and_gradient(full_reverse_kl, student, teacher)[2:]
    for trained in range(3):
        parts = [leaf.detach().clone() for leaf in leaves(student)]
        parts[trained].requires_grad_()
        kl, entropy = chunked_reverse_kl(HeadInputs(*parts), teacher, chunk_tokens=4)
        assert not entropy.requires_grad
        (kl * torch.linspace(-1, 2, 6)).sum().backward()
        assert [part.grad is not None for part in parts] == [place == trained for place in range(3)]
        torch.testing.assert_close(parts[trained].grad, expected[trained])
    assert all(leaf.grad is None for leaf in leaves(teacher))


def test_tokens_without_incoming_gradient_are_skipped() -> None:
    student, teacher = (make_side(8, 9, 4, torch.float64, seed=seed) for seed in (14, 15))
    kept = torch.tensor([1, 4, 5])
    with torch.no_grad():
        student.hidden_ND[0] = torch.nan  # would spoil the weight's gradient if it took part
    kl, _ = chunked_reverse_kl(student, teacher, chunk_tokens=2)
    kl[kept].sum().backward()
    assert student.weight_VD.grad is not None
    assert torch.isfinite(student.weight_VD.grad).all()
    assert student.hidden_ND.grad is not None
    assert student.hidden_ND.grad[[0, 2, 3, 6, 7]].eq(0).all()
    assert student.hidden_ND.grad[kept].ne(0).any()


def test_logits_far_apart_neither_overflow_nor_become_nan() -> None:
    student = HeadInputs(torch.tensor([[1.0]]), torch.tensor([[300.0], [0.0], [-300.0]]))
    teacher = HeadInputs(torch.tensor([[-1.0]]), torch.tensor([[300.0], [0.0], [-300.0]]))
    kl, entropy = chunked_reverse_kl(student, teacher, chunk_tokens=1)
    assert kl.tolist() == [600.0]
    assert entropy.tolist() == [0.0]


def test_no_tokens_at_all() -> None:
    student, teacher = (make_side(0, 9, 4, torch.float32, seed=seed) for seed in (16, 17))
    kl, entropy = chunked_reverse_kl(student, teacher, chunk_tokens=4)
    assert kl.shape == entropy.shape == (0,)
    kl.sum().backward()
    assert student.weight_VD.grad is not None
    assert student.weight_VD.grad.eq(0).all()


def test_inputs_are_left_as_they_were() -> None:
    student, teacher = (
        make_side(6, 9, 4, torch.float32, seed=seed, bias=True, softcap=2.0) for seed in (18, 19)
    )
    copies = [leaf.detach().clone() for side in (student, teacher) for leaf in leaves(side)]
    value_and_gradient(chunked_reverse_kl, student, teacher, chunk_tokens=4)
    after = [leaf for side in (student, teacher) for leaf in leaves(side)]
    assert all(torch.equal(one, other) for one, other in zip(copies, after, strict=True))


def test_the_largest_tensor_is_a_chunk_and_not_the_batch() -> None:
    """Under torch's own dispatch: nothing as large as a third of the full logits is ever made."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            result = func(*args, **(kwargs or {}))
            for leaf in torch.utils._pytree.tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self.size = max(self.size, leaf.numel())
            return result

    vocab, num = 4 * REFERENCE_VOCAB, 200
    student = HeadInputs(torch.zeros(num, 2, requires_grad=True), torch.zeros(vocab, 2))
    teacher = HeadInputs(torch.zeros(num, 3), torch.zeros(vocab, 3))
    with Largest() as meter:
        chunked_reverse_kl(student, teacher, chunk_tokens=64)[0].sum().backward()
    assert meter.size == max(64 // 4 * vocab, 3 * vocab)
    assert meter.size < num * vocab / 3


@pytest.mark.parametrize(
    ("student", "teacher", "chunk_tokens", "message"),
    [
        ((torch.zeros(6, 4), torch.zeros(9, 5)), None, 4, r"must be \(N, D\) and \(V, D\)"),
        ((torch.zeros(6, 4), torch.zeros(9, 4), torch.zeros(8)), None, 4, r"a bias \(V,\)"),
        ((torch.zeros(6, 4), torch.zeros(9, 4).bfloat16()), None, 4, "share one floating-point dtype"),
        ((torch.zeros(6, 4), torch.zeros(9, 4), None, 0.0), None, 4, "softcap is 0"),
        (None, (torch.zeros(5, 4), torch.zeros(9, 4)), 4, r"\(6, 5\) tokens"),
        (None, (torch.zeros(6, 4), torch.zeros(10, 4)), 4, r"\(9, 10\) words"),
        (None, (torch.zeros(6, 4), torch.zeros(9, 4), None, -1.0), 4, "softcap is -1"),
        (None, None, 0, "chunk_tokens is 0"),
    ],
)
def test_wrong_inputs_are_refused(student: Any, teacher: Any, chunk_tokens: int, message: str) -> None:
    fine = (torch.zeros(6, 4), torch.zeros(9, 4))
    with pytest.raises(ValueError, match=message):
        chunked_reverse_kl(
            HeadInputs(*(student or fine)), HeadInputs(*(teacher or fine)), chunk_tokens=chunk_tokens
        )
