"""When the best checkpoint can be kept."""

import pytest
from pydantic import ValidationError

from dunwu.config.sft import SftStage
from dunwu.config.stage import R1ZeroStage

DATA = {"kind": "messages", "train": "a.jsonl"}


def rl(**changes):
    return R1ZeroStage.model_validate({"task": {"kind": "world"}, **changes})


def sft(**changes):
    return SftStage.model_validate({"data": DATA, **changes})


@pytest.mark.parametrize("stage", [rl, sft])
def test_the_best_checkpoint_needs_an_evaluation_wherever_there_is_a_checkpoint(stage):
    best = {"every_steps": 20, "keep_best": True}
    for every in (5, 20):
        assert stage(checkpoint=best, evaluation={"every_steps": every}).checkpoint.keep_best
    for evaluation, said in (
        ({}, "it is none"),
        ({"every_steps": 8}, "it is 8"),
        ({"every_steps": 40}, "it is 40"),
    ):
        with pytest.raises(ValidationError, match=f"divide checkpoint.every_steps = 20; {said}"):
            stage(checkpoint=best, evaluation=evaluation)
    assert not stage(evaluation={"every_steps": 8}).checkpoint.keep_best


def test_by_default_nothing_but_the_model_of_a_finished_stage_stays():
    assert rl().checkpoint.keep_finished == sft().checkpoint.keep_finished == 0
    assert rl().checkpoint.keep_last == 2
