import math

import pytest
import torch

from dunwu.functional.kl import kl_estimate, kl_reward_penalties, sequence_kl_estimate, sum_by_sequence

LOG2 = math.log(2)
POLICY = torch.tensor([[0.5, 0.3, 0.2]], dtype=torch.float64).log()
REFERENCE = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("estimator", "value"),
    [("k1", LOG2), ("k2", LOG2**2 / 2), ("k3", 0.5 + LOG2 - 1)],
)
def test_a_token_twice_as_likely_as_under_the_reference(estimator: str, value: float) -> None:
    result = kl_estimate(torch.tensor([0.8]).double().log(), torch.tensor([0.4]).double().log(), estimator)  # type: ignore[arg-type]
    assert result.item() == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_the_unbiased_ones_have_the_kl_as_their_mean(estimator: str) -> None:
    kl = (POLICY.exp() * (POLICY - REFERENCE)).sum().item()
    mean = (POLICY.exp() * kl_estimate(POLICY, REFERENCE, estimator)).sum().item()  # type: ignore[arg-type]
    assert mean == pytest.approx(kl, rel=1e-12)


@pytest.mark.parametrize(
    ("estimator", "gradient_of"), [("k1", "nothing"), ("k2", "forward"), ("k3", "reverse")]
)
def test_the_gradient_that_each_has_as_a_loss(estimator: str, gradient_of: str) -> None:
    logits = torch.tensor([0.7, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    logprobs = torch.log_softmax(logits, -1)
    loss = (logprobs.detach().exp() * kl_estimate(logprobs, REFERENCE[0], estimator)).sum()  # type: ignore[arg-type]
    (gradient,) = torch.autograd.grad(loss, logits)
    logprobs = torch.log_softmax(logits, -1)
    divergence = {
        "nothing": (logits * 0).sum(),
        "forward": (logprobs.exp() * (logprobs - REFERENCE[0])).sum(),
        "reverse": (REFERENCE[0].exp() * (REFERENCE[0] - logprobs)).sum(),
    }[gradient_of]
    (expected,) = torch.autograd.grad(divergence, logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-15)


def test_k3_keeps_its_digits_near_zero_in_float32() -> None:
    distance = torch.tensor([1e-4, -1e-4, 1e-3], dtype=torch.float32)
    expected = torch.expm1(distance.double()) - distance.double()
    result = kl_estimate(-distance, torch.zeros(3), "k3")
    assert (result >= 0).all()
    torch.testing.assert_close(result.double(), expected, rtol=5e-3, atol=0)


def test_no_gradient_flows_into_the_reference() -> None:
    reference = REFERENCE.clone().requires_grad_()
    policy = POLICY.clone().requires_grad_()
    kl_estimate(policy, reference, "k3").sum().backward()
    assert reference.grad is None
    assert policy.grad is not None


def test_an_unknown_estimator_is_refused() -> None:
    with pytest.raises(ValueError, match="k1, k2 or k3"):
        kl_estimate(POLICY, REFERENCE, "k4")  # type: ignore[arg-type]


def test_the_estimate_of_an_output_uses_its_whole_log_prob() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -0.5], dtype=torch.float64)
    ref_logprobs = torch.tensor([-1.5, -1.0, -0.7], dtype=torch.float64)
    sequence_N = torch.tensor([0, 1, 0])
    result = sequence_kl_estimate(logprobs, ref_logprobs, "k3", sequence_N, 2)
    first = math.exp(-2.2 + 1.5) - (-2.2 + 1.5) - 1
    second = math.exp(1.0) - 1.0 - 1
    assert result.tolist() == pytest.approx([first, second, first], rel=1e-12)


def test_the_penalty_of_an_output_is_the_sum_over_its_tokens() -> None:
    logprobs = torch.tensor([-1.0, -2.0, -0.5], requires_grad=True)
    ref_logprobs = torch.tensor([-1.5, -1.0, -0.7])
    result = kl_reward_penalties(logprobs, ref_logprobs, "k1", torch.tensor([0, 2, 0]), 3)
    assert result.tolist() == pytest.approx([0.7, 0.0, -1.0], rel=1e-6)
    assert not result.requires_grad


def test_sums_by_sequence_pass_the_gradient_on() -> None:
    values = torch.tensor([1.0, 2.0, 4.0], requires_grad=True)
    sums = sum_by_sequence(values, torch.tensor([1, 0, 1]), 3)
    assert sums.tolist() == [2.0, 5.0, 0.0]
    (sums * torch.tensor([10.0, 1.0, 7.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1.0, 10.0, 1.0]
