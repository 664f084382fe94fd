"""The rules that the recipe models themselves enforce."""

import pytest
from pydantic import ValidationError

from dunwu.config.algorithm import Dapo, DrGrpo, Grpo, Gspo, KlConfig
from dunwu.config.recipe import Recipe
from dunwu.config.stage import R1ZeroStage
from dunwu.config.task import ChatTemplate, PlainTemplate, WorldTask
from dunwu.config.training import SamplingConfig

WORLD = WorldTask()


def test_defaults_are_those_of_the_paper():
    stage = R1ZeroStage(task=WORLD)
    assert (stage.num_steps, stage.prompts_per_step, stage.group_size) == (10400, 32, 16)
    assert stage.prompts_per_step * stage.group_size * stage.steps_per_rollout == 8192
    assert (stage.inner_epochs, stage.split_rollout_by) == (1, "completion")
    assert (stage.kl.coef, stage.kl.refresh_every_steps) == (0.001, 400)
    assert (stage.optimizer.learning_rate, stage.sampling.temperature) == (3e-6, 1.0)
    assert stage.sampling.max_new_tokens == 32768
    assert [reward.kind for reward in stage.rewards] == ["accuracy", "format"]


def test_variants_differ_where_their_papers_do():
    assert (Grpo().clip_low, Grpo().clip_high, Grpo().advantage_scale) == (0.2, 0.2, "population_std")
    assert (DrGrpo().advantage_scale, DrGrpo().aggregation) == ("none", "fixed_length")
    assert (Dapo().clip_low, Dapo().clip_high, Dapo().aggregation) == (0.2, 0.28, "token_mean")
    assert (Gspo().clip_low, Gspo().clip_high) == (3e-4, 4e-4)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: Grpo(dual_clip=1.0), "must be above 1"),
        (lambda: Grpo(clip_low=0), "greater than 0"),
        (lambda: KlConfig(coef=-0.1), "greater than or equal to 0"),
        (lambda: KlConfig(coef=float("inf")), "finite"),
        (lambda: SamplingConfig(top_p=0), "greater than 0"),
        (lambda: PlainTemplate(text="no place"), r"no \{question\}"),
        (lambda: WorldTask(kinds=()), "at least 1"),
        (lambda: WorldTask(languages=()), "at least 1"),
        (lambda: R1ZeroStage(task=WORLD, sampling=SamplingConfig(temperature=0)), "completions that differ"),
        (
            lambda: R1ZeroStage(task=WORLD, rewards=[{"kind": "format"}] * 2),
            "two rewards are called 'format'",
        ),
        (
            lambda: R1ZeroStage(task=WORLD, rewards=[{"kind": "format", "weight": 0}]),
            "every reward has weight 0",
        ),
        (lambda: R1ZeroStage(task=WORLD, rewards=[]), "rewards is empty"),
        (
            lambda: R1ZeroStage(task=WORLD, combine="normalise_then_sum", objective=DrGrpo()),
            "divides by no spread",
        ),
        (
            lambda: R1ZeroStage(task=WORLD, combine="normalise_then_sum", kl=KlConfig(placement="reward")),
            "a sum that is not used",
        ),
        (lambda: R1ZeroStage(task=WORLD, group_size=1), "greater than or equal to 2"),
        (lambda: R1ZeroStage(task=WORLD, num_steps=24), r"multiple of .* = 16"),
        (lambda: R1ZeroStage(task=WORLD, num_steps=16, inner_epochs=2), r"multiple of .* = 32"),
        (lambda: R1ZeroStage(task=WORLD, name="../up"), "pattern"),
        (lambda: R1ZeroStage(task=WORLD, unknown=1), "Extra inputs"),
    ],
)
def test_impossible_values_are_refused(build, said):
    with pytest.raises(ValidationError, match=said):
        build()


def test_two_stages_of_one_name_are_refused():
    stages = [R1ZeroStage(task=WORLD), R1ZeroStage(task=WORLD)]
    with pytest.raises(ValidationError, match="two stages have the same name"):
        Recipe(name="x", model={"path": "micro"}, stages=stages)
    stages[1] = R1ZeroStage(task=WORLD, name="again")
    assert len(Recipe(name="x", model={"path": "micro"}, stages=stages).stages) == 2


def test_the_word_none_switches_off_what_may_be_off_and_stays_text_elsewhere():
    assert KlConfig(refresh_every_steps="none").refresh_every_steps is None
    assert PlainTemplate(text="none {question}").text == "none {question}"
    assert ChatTemplate(system="none").system == "none"
    assert Recipe(name="none", model={"path": "none"}, stages=[R1ZeroStage(task=WORLD)]).model.path == "none"
    with pytest.raises(ValidationError, match="coef"):
        KlConfig(coef="none")


def test_values_cannot_change_after_loading():
    with pytest.raises(ValidationError, match="frozen"):
        KlConfig().coef = 1.0
