"""The reward models' losses against numbers worked out by hand."""

import math

import pytest
import torch

from dunwu.functional.preference_loss import pairwise_loss, pointwise_loss


def test_pairwise_loss_by_hand():
    chosen, rejected = torch.tensor([2.0, 0.0, -1.0]), torch.tensor([0.0, 0.0, 1.0])
    expected = [math.log(1 + math.exp(-2)), math.log(2), math.log(1 + math.exp(2))]
    assert pairwise_loss(chosen, rejected).tolist() == pytest.approx(expected)
    # only the difference counts
    assert pairwise_loss(chosen + 5, rejected + 5).tolist() == pytest.approx(expected)


def test_pointwise_loss_by_hand():
    scores, safe = torch.tensor([3.0, 3.0, 0.0]), torch.tensor([True, False, False])
    expected = [math.log(1 + math.exp(-3)), math.log(1 + math.exp(3)), math.log(2)]
    assert pointwise_loss(scores, safe).tolist() == pytest.approx(expected)


def test_far_scores_stay_finite():
    far = torch.tensor([1e4])
    assert pairwise_loss(far, -far).tolist() == [0.0]
    assert pairwise_loss(-far, far).tolist() == [2e4]
    assert pointwise_loss(far, torch.tensor([False])).tolist() == [1e4]


def test_gradients_by_hand():
    """d/ds of -log sigmoid(s) is sigmoid(s) - 1."""
    chosen, rejected = (torch.tensor([value], requires_grad=True) for value in (1.0, 0.5))
    pairwise_loss(chosen, rejected).sum().backward()
    slope = 1 / (1 + math.exp(-0.5)) - 1
    assert chosen.grad.item() == pytest.approx(slope)
    assert rejected.grad.item() == pytest.approx(-slope)
    score = torch.tensor([1.0], requires_grad=True)
    pointwise_loss(score, torch.tensor([False])).sum().backward()
    assert score.grad.item() == pytest.approx(1 / (1 + math.exp(-1)))
