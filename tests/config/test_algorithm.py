"""What the objective's configuration refuses."""

import pytest
from pydantic import ValidationError

from dunwu.config.algorithm import Grpo, KlConfig


def test_k1_belongs_in_the_reward() -> None:
    assert KlConfig(estimator="k1", placement="reward").estimator == "k1"
    assert KlConfig(estimator="k1", coef=0).coef == 0
    with pytest.raises(ValidationError, match="pulls the policy nowhere"):
        KlConfig(estimator="k1")


@pytest.mark.parametrize("bound", [1.0, 0.5])
def test_a_dual_clip_is_above_one(bound: float) -> None:
    assert Grpo(dual_clip=3).dual_clip == 3
    with pytest.raises(ValidationError, match="must be above 1"):
        Grpo(dual_clip=bound)
