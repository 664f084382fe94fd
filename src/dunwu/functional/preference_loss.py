"""The losses of reward models, on scores alone.

Shape legend: P pairs, B responses.
"""

import torch
from torch import Tensor
from torch.nn import functional


def pairwise_loss(chosen_P: Tensor, rejected_P: Tensor) -> Tensor:
    """How little a model prefers the chosen response of each pair.

        l[p] = -log sigmoid(chosen[p] - rejected[p])

    Args:
        chosen_P, rejected_P: (P,) float, scores; any real numbers.
    Returns:
        (P,), > 0; log 2 where the two are equal.
    Source: DeepSeek-R1 v2, section 3.1 (pairwise loss); Bradley-Terry, as in arXiv 2009.01325, eq. 1.
    Departures: the formula is not stated there.
    """
    return -functional.logsigmoid(chosen_P - rejected_P)


def pointwise_loss(scores_B: Tensor, safe_B: Tensor) -> Tensor:
    """How wrong a model's scores, as log-odds of "safe", are about each response.

        l[b] = -log sigmoid(s[b])  if safe[b],  else  -log sigmoid(-s[b])

    Args:
        scores_B: (B,) float, any real numbers.
        safe_B: (B,) bool.
    Returns:
        (B,), > 0; log 2 at a score of 0.
    Source: DeepSeek-R1 v2, section 3.1 (point-wise).
    Departures: the formula is not stated there.
    """
    return -functional.logsigmoid(torch.where(safe_B, scores_B, -scores_B))
