"""Shaping rewards that could never do what they say are refused with the stage."""

from typing import Any

import pytest
from pydantic import ValidationError

from dunwu.config.stage import R1ZeroStage


def stage(*rewards: dict[str, Any], **keys: Any) -> R1ZeroStage:
    return R1ZeroStage.model_validate({"task": {"kind": "world"}, "rewards": list(rewards), **keys})


def test_every_kind_is_read_from_a_recipe() -> None:
    kinds = [
        {"kind": "accuracy"},
        {"kind": "language", "target": "zh", "languages": ["en", "zh", "fr"]},
        {"kind": "repetition", "ngram_size": 20, "max_penalty": -0.5},
        {"kind": "overlong", "max_tokens": 400, "cache_tokens": 100},
        {"kind": "length", "target_tokens": 300, "wanted": "at_most"},
        {"kind": "cosine_length", "max_tokens": 400, "exceeded": -10},
        {"kind": "tag_count"},
        {"kind": "reasoning_steps", "enough_steps": 5},
    ]
    read = stage(*kinds, sampling={"max_new_tokens": 400}).rewards
    assert [reward.kind for reward in read] == [kind["kind"] for kind in kinds]
    for reward, kind in zip(read, kinds, strict=True):
        assert reward.model_dump(mode="json", include=set(kind)) == kind


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ({"kind": "language", "target": "Chinese"}, "target"),
        ({"kind": "language", "languages": []}, "languages"),
        ({"kind": "repetition", "max_penalty": 0.5}, "max_penalty"),
        ({"kind": "repetition", "ngram_size": 0}, "ngram_size"),
        ({"kind": "overlong", "max_tokens": 400}, "cache_tokens"),
        ({"kind": "overlong", "max_tokens": 100, "cache_tokens": 200}, "cache_tokens is 200"),
        ({"kind": "cosine_length", "max_tokens": 400}, "verdict of an accuracy reward"),
        ({"kind": "length", "wanted": "long"}, "wanted"),
    ],
)
def test_values_that_make_no_sense_are_refused(reward: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        stage(reward)


def test_an_overlong_reward_that_could_never_bite_is_refused() -> None:
    late = {"kind": "overlong", "max_tokens": 600, "cache_tokens": 100}
    with pytest.raises(
        ValidationError, match=r"begins after 500 tokens.*max_new_tokens is 500.*set its max_tokens to 500"
    ):
        stage(late, sampling={"max_new_tokens": 500})
    assert stage(late, sampling={"max_new_tokens": 501})
    assert stage({**late, "cache_tokens": 0}, sampling={"max_new_tokens": 500})
