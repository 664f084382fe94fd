"""AdamW's step in C on split masters: that of torch, for any length, and the same bits in one thread or several."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dunwu.kernels.build import explain, library
from dunwu.training import master_weights
from dunwu.training.master_weights import SplitMaster

pytestmark = pytest.mark.skipif(library() is None, reason=f"no kernels: {explain()}")

SETTINGS: dict[str, Any] = {
    "lr": 3e-3,
    "beta1": 0.9,
    "beta2": 0.99,
    "eps": 1e-8,
    "weight_decay": 0.1,
    "amsgrad": False,
    "maximize": False,
    "foreach": False,
    "capturable": False,
    "differentiable": False,
    "fused": True,
}


def steps(size: int, grads: list[Tensor], masters: Tensor | None = None, **changed: Any) -> list[Tensor]:
    """Weights, masters and moments after a step with each gradient."""
    generator = torch.Generator().manual_seed(size)
    start = torch.randn(size, generator=generator) * 0.02 if masters is None else masters
    master = SplitMaster(nn.Parameter(start.bfloat16()))
    master.restore(start)
    moments = {"exp_avg": torch.zeros(size), "exp_avg_sq": torch.zeros(size), "step": torch.tensor(0.0)}
    for grad in grads:
        master.param.grad = grad.bfloat16()
        master.take_grad(master.param)
        master.update(moments, SETTINGS | changed)
        master.clear_grad()
    return [master.param.detach(), master.master().clone(), *moments.values()]


def make_grads(size: int, count: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(size + 1)
    return [torch.randn(size, generator=generator) * 1e-3 for _ in range(count)]


def same_bits(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        torch.equal(one.nan_to_num(7), two.nan_to_num(7)) for one, two in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("size", [1, 63, 64, 65, 1024, 1088, 5003, 2**20 + 100])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_the_step_is_that_of_torch(size: int, weight_decay: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU whose torch contracts products and sums as the kernel does, to the bit."""
    found = steps(size, make_grads(size), weight_decay=weight_decay)
    monkeypatch.setattr(master_weights, "library", lambda: None)
    _, *expected = steps(size, make_grads(size), weight_decay=weight_decay)
    for ours, theirs in zip(found[1:], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-12)
    assert found[0].equal(found[1].bfloat16())


def test_the_step_is_that_of_float64() -> None:
    size, grads = 640, make_grads(640)
    found = steps(size, grads)
    weight = torch.randn(size, generator=torch.Generator().manual_seed(size)).mul(0.02).double()
    mean = square = torch.zeros(size, dtype=torch.float64)
    for step, grad in enumerate((g.bfloat16().double() for g in grads), start=1):
        mean, square = 0.9 * mean + 0.1 * grad, 0.99 * square + 0.01 * grad**2
        denominator = (square / (1 - 0.99**step)).sqrt() + 1e-8
        weight = weight * (1 - 3e-3 * 0.1) - 3e-3 * mean / (1 - 0.9**step) / denominator
    for ours, expected in zip(found[1:4], (weight, mean, square), strict=True):
        torch.testing.assert_close(ours.double(), expected, rtol=2e-6, atol=1e-9)
    assert found[0].equal(found[1].bfloat16())


@pytest.mark.parametrize("size", [64, 4096])
def test_masters_that_16_bits_do_not_hold_are_kept(size: int) -> None:
    """A step of rate 0 leaves every master as it was, also where all are ties, half of which round up."""
    start = (torch.randn(size, generator=torch.Generator().manual_seed(0))).bfloat16().float()
    start.view(torch.int32).add_(2**15)
    assert (start.bfloat16().float() > start).any()
    found = steps(size, make_grads(size), masters=start, lr=0.0)
    assert found[1].equal(start)


def test_what_is_not_finite_stays_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    grads = make_grads(2048)
    grads[0][5], grads[0][1500] = math.nan, math.inf
    found = steps(2048, grads)
    assert (~found[1].isfinite()).nonzero()[:, 0].tolist() == [5, 1500]
    monkeypatch.setattr(master_weights, "library", lambda: None)
    assert same_bits(found, steps(2048, grads))


def test_any_number_of_threads_gives_the_same_bits() -> None:
    threads, results = torch.get_num_threads(), []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            results.append(steps(5003, make_grads(5003)))
    finally:
        torch.set_num_threads(threads)
    assert same_bits(*results)
