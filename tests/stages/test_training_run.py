import pytest

from dunwu.config.recipe import Recipe
from dunwu.errors import RunError
from dunwu.runs.folder import RunFolder
from dunwu.runs.progress import QuietProgress
from dunwu.stages.context import StageContext
from dunwu.stages.decontamination import Decontamination
from dunwu.stages.training_run import (
    evaluate_once,
    save_checkpoint,
    wall_seconds,
    without_evaluation,
)


@pytest.fixture
def context(tmp_path):
    stage = {
        "kind": "r1_zero",
        "task": {"kind": "world"},
        "evaluation": {"every_steps": 1},
        "checkpoint": {"every_steps": 1, "keep_last": 1, "keep_best": True},
    }
    recipe = Recipe.model_validate({"name": "x", "model": {"path": "micro"}, "stages": [stage]})
    with RunFolder.open(tmp_path / "run", recipe) as run:
        folder = run.stage("r1_zero")
        folder.begin({})
        yield StageContext(recipe.model, {}, 1, folder, QuietProgress(), Decontamination(recipe))


def test_a_checkpoint_is_scored_by_the_evaluation_after_its_step(context):
    config = context.folder.run.recipe.stages[0].checkpoint
    for step, figure in ((1, 0.5), (2, 0.75), (3, 0.25), (4, None)):
        if figure is not None:
            context.folder.write_evaluation(f"step-{step:06d}", {"pass_at_1": figure}, [], step=step)
        save_checkpoint(
            context, config, step, lambda path: (path / "w").write_text("w"), lambda found: found["pass_at_1"]
        )
    assert context.folder.checkpoint_steps() == [2, 4]
    assert context.folder.best_checkpoint()[1] == 0.75


def test_an_evaluation_is_made_once(context):
    made = []

    def evaluate():
        made.append(1)
        return {"pass_at_1": 0.5}, ()

    for _ in range(2):
        assert evaluate_once(context, "before", 0, evaluate, state_step=0) == {"pass_at_1": 0.5, "step": 0}
    assert len(made) == 1


def test_seconds_are_those_of_steps_and_evaluations_since_the_stage_began(context):
    folder = context.folder
    folder.append_timings(1, {"wall_seconds": 2.0})
    for label, seconds in (
        ("before", 4.0),
        ("before", 1.0),
        ("after", 0.5),
    ):  # the first one was killed before it was written
        folder.run.log("evaluated", stage="r1_zero", label=label, seconds=seconds)
    folder.run.log("evaluated", stage="another", label="before", seconds=100.0)
    assert wall_seconds(context) == 3.5
    folder.run.log("stage begun", stage="r1_zero")
    assert wall_seconds(context) == 2.0


def test_an_evaluation_is_never_made_with_a_later_model(context):
    def evaluate():
        raise AssertionError("the model has changed since")

    with pytest.raises(
        RunError, match=r"before of stage r1_zero, made after step 0, is missing.*delete .*r1_zero"
    ):
        evaluate_once(context, "before", 0, evaluate, state_step=3)
    context.folder.write_evaluation("before", {"pass_at_1": 0.5}, (), step=0)
    assert evaluate_once(context, "before", 0, evaluate, state_step=3)["pass_at_1"] == 0.5


def test_steps_without_their_evaluation_are_found(context):
    context.folder.write_evaluation("step-000002", {}, (), step=2)
    assert without_evaluation(context, (2, 4)) == [4]
