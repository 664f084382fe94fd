"""The optimizer of bfloat16 weights: the bits of plain torch on float32 masters, in half their memory, and its state."""

import copy
import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dunwu.config.training import OptimizerConfig, ScheduleConfig
from dunwu.errors import NonFiniteError
from dunwu.training import master_weights
from dunwu.training.optimizer import MasterAdamW

NUM_STEPS, NUM_ROWS = 5, 3


class PlainAdamW:
    """The same in torch's own words: whole float32 masters, gradients added up in float32, one call of torch's optimizer."""

    def __init__(self, module: nn.Module, config: OptimizerConfig) -> None:
        self.params, self.config = list(module.parameters()), config
        self.masters = [nn.Parameter(p.detach().float()) for p in self.params]
        groups = [
            {"params": [m for m in self.masters if m.ndim >= 2], "weight_decay": config.weight_decay},
            {"params": [m for m in self.masters if m.ndim < 2], "weight_decay": 0.0},
        ]
        betas = (config.beta1, config.beta2)
        self.inner = torch.optim.AdamW(groups, config.learning_rate, betas, config.eps, fused=True)

    def backward(self, loss: Tensor) -> None:
        loss.backward()
        for param, master in zip(self.params, self.masters, strict=True):
            if param.grad is not None:
                grad = param.grad.float()
                master.grad = grad if master.grad is None else master.grad + grad
                param.grad = None

    def step(self, learning_rate: float) -> float:
        grads = [m.grad for m in self.masters if m.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads])))
        if self.config.max_grad_norm is not None and norm > self.config.max_grad_norm:
            for grad in grads:
                grad.mul_(self.config.max_grad_norm / (norm + 1e-6))
        for group in self.inner.param_groups:
            group["lr"] = learning_rate
        self.inner.step()
        with torch.no_grad():
            for param, master in zip(self.params, self.masters, strict=True):
                param.copy_(master)
                master.grad = None
        return norm


def losses(model: Any, step: int) -> list[Tensor]:
    """One for each row; computed when asked for."""
    generator = torch.Generator().manual_seed(step)
    rows = torch.randint(0, 250, (NUM_ROWS, 2, 9), generator=generator)
    return [model(input_ids=ids, labels=ids).loss / NUM_ROWS for ids in rows]


def same(found: Any, expected: Any) -> bool:
    """Equal to the bit."""
    if isinstance(expected, Tensor):
        return found.dtype == expected.dtype and found.tolist() == expected.tolist()
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


def close(found: Any, expected: Any) -> bool:
    """Equal but for the last bits, which another CPU's torch may round otherwise than a kernel does."""
    if isinstance(expected, Tensor):
        rtol = 2**-7 if found.dtype == torch.bfloat16 else 1e-4
        return found.dtype == expected.dtype and torch.allclose(found, expected, rtol=rtol, atol=1e-7)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(close(found[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    return bool(found == (pytest.approx(expected, rel=1e-4) if isinstance(expected, float) else expected))


def saved(optimizer: MasterAdamW) -> dict[str, Any]:
    """The optimizer's state by way of a file."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    state: dict[str, Any] = torch.load(file, weights_only=True)
    return state


@pytest.fixture(params=["kernels", "torch"], autouse=True)
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """All of this holds with the kernels, where there are some, and with torch alone."""
    if request.param == "torch":
        monkeypatch.setattr(master_weights, "library", lambda: None)
    way: str = request.param
    return way


@pytest.fixture(params=[64, 2**20], ids=["cut", "whole"], autouse=True)
def pieces(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(master_weights, "_PIECE_ELEMENTS", request.param)


CONFIGS = {
    "clipped": {"max_grad_norm": 0.05, "learning_rate": 3e-3},
    "unclipped": {"max_grad_norm": None, "learning_rate": 1e-5},
    "decayed": {"weight_decay": 0.1, "learning_rate": 1e-2, "eps": 1e-6},
}


@pytest.mark.parametrize("kind", ["llama", "smollm2"])
@pytest.mark.parametrize("name", CONFIGS)
def test_weights_masters_and_moments_are_those_of_plain_torch(
    name: str, kind: str, way: str, tiny_model: Any
) -> None:
    agree = same if way == "torch" else close
    config = OptimizerConfig.model_validate({**CONFIGS[name], "schedule": {"kind": "cosine"}})
    model = tiny_model(kind, seed=1, dtype=torch.bfloat16)
    plain_model = copy.deepcopy(model)
    optimizer, plain = MasterAdamW(model, config, NUM_STEPS), PlainAdamW(plain_model, config)
    for step in range(1, NUM_STEPS + 1):
        for loss, plain_loss in zip(losses(model, step), losses(plain_model, step), strict=True):
            optimizer.backward(loss)
            assert all(param.grad is None for param in model.parameters())
            plain.backward(plain_loss)
        assert agree(optimizer.step(step), plain.step(optimizer.learning_rate(step)))
        for found, expected in zip(model.parameters(), plain_model.parameters(), strict=True):
            assert agree(found.detach(), expected.detach())
    state = saved(optimizer)
    assert agree(state, {"inner": plain.inner.state_dict(), "masters": [m.detach() for m in plain.masters]})
    assert any((m.bfloat16().float() != m).any() for m in state["masters"])


def test_a_restored_optimizer_goes_on_with_the_same_bits(tiny_model: Any) -> None:
    config = OptimizerConfig(learning_rate=1e-3, weight_decay=0.01)
    model = tiny_model("smollm2", seed=1, dtype=torch.bfloat16)
    optimizer = MasterAdamW(model, config, NUM_STEPS)
    for step in (1, 2):
        train(model, optimizer, step)
    state, other = saved(optimizer), copy.deepcopy(model)
    restored = MasterAdamW(other, config, NUM_STEPS)
    restored.load_state_dict(state)
    assert same(saved(restored), state)
    for step in (3, 4, 5):
        train(model, optimizer, step)
        train(other, restored, step)
    assert same(saved(restored), saved(optimizer))
    assert same([*other.parameters()], [*model.parameters()])


def train(model: Any, optimizer: MasterAdamW, step: int) -> None:
    for loss in losses(model, step):
        optimizer.backward(loss)
    optimizer.step(step)


def test_masters_that_16_bits_do_not_hold_come_back(tiny_model: Any) -> None:
    model = tiny_model("llama", seed=1, dtype=torch.bfloat16)
    optimizer = MasterAdamW(model, OptimizerConfig(), NUM_STEPS)
    state = saved(optimizer)
    for master, param in zip(state["masters"], model.parameters(), strict=True):
        master.view(torch.int32).add_(2**15)  # ties, half of which round up
        param.data.copy_(master)
    optimizer.load_state_dict(state)
    assert same(saved(optimizer), state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gradient_that_is_not_finite_changes_nothing(dtype: torch.dtype, tiny_model: Any) -> None:
    model = tiny_model("llama", seed=1, dtype=dtype)
    optimizer = MasterAdamW(model, OptimizerConfig(), NUM_STEPS)
    before = copy.deepcopy(model.state_dict())
    optimizer.backward(losses(model, 1)[0] * float("inf"))
    with pytest.raises(NonFiniteError, match="the gradient norm of step 1 is"):
        optimizer.step(1)
    assert same(dict(model.state_dict()), dict(before))
    assert all(not state["exp_avg"].any() and state["step"] == 0 for state in optimizer.inner.state.values())


def test_frozen_and_unused_parameters_stay(tiny_model: Any) -> None:
    model = tiny_model("llama", seed=1, dtype=torch.bfloat16)
    first = next(model.parameters()).requires_grad_(False)
    model.unused = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    before = first.clone()
    config = OptimizerConfig(learning_rate=0.1, weight_decay=0.1, schedule=ScheduleConfig())
    optimizer = MasterAdamW(model, config, NUM_STEPS)
    train(model, optimizer, 1)
    assert same(first, before)
    assert model.unused.tolist() == [1, 1, 1]
    assert optimizer.inner.state[model.unused]["step"] == 0


def test_an_earlier_optimizer_of_the_same_model_takes_nothing(tiny_model: Any) -> None:
    model = tiny_model("llama", seed=1, dtype=torch.bfloat16)
    earlier, later = (MasterAdamW(model, OptimizerConfig(), NUM_STEPS) for _ in range(2))
    earlier.backward(losses(model, 1)[0])
    assert earlier.step(1) > 0
    train(model, later, 1)
    assert all(master.grad is None for master in earlier.masters)


def test_a_step_without_gradients_does_nothing(tiny_model: Any) -> None:
    model = tiny_model("llama", seed=1, dtype=torch.bfloat16)
    before = copy.deepcopy(model.state_dict())
    assert MasterAdamW(model, OptimizerConfig(weight_decay=1.0), NUM_STEPS).step(1) == 0.0
    assert same(dict(model.state_dict()), dict(before))
