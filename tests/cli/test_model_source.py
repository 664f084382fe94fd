import pytest

from dunwu.cli.model_source import find_model
from dunwu.config.recipe import Recipe
from dunwu.errors import ConfigError, RunError
from dunwu.runs.folder import RunFolder


@pytest.mark.parametrize("name", ["smollm2", "owner/name"])
def test_names_stay_names(name):
    source = find_model(name)
    assert (source.path, source.recipe, source.stage) == (name, None, None)


def test_the_embedded_model_is_found():
    assert find_model("micro").path == "micro"


def test_a_run_folder_means_its_last_finished_stage_with_its_settings(finished_run, recipe):
    source = find_model(str(finished_run))
    assert source.path == str(finished_run / "r1_zero" / "model")
    assert source.recipe == recipe
    assert source.stage == recipe.stages[0]


def test_a_run_that_ends_with_data_means_the_model_before(finished_run, recipe):
    stages = [
        *recipe.model_dump()["stages"],
        {"kind": "cold_start", "start": "r1_zero", "task": {"kind": "world"}},
    ]
    longer = Recipe.model_validate({**recipe.model_dump(), "stages": stages})
    with RunFolder.open(finished_run, longer) as run:
        run.adopt_recipe()
        run.stage("cold_start").begin({})
        run.stage("cold_start").finish({"name": "cold_start"})
    assert find_model(str(finished_run)).path == str(finished_run / "r1_zero" / "model")


def test_a_student_trained_last_does_not_hide_the_recipe_s_own_model(finished_run, recipe):
    student = {"kind": "r1_zero", "name": "small", "start": "nano", "task": {"kind": "world"}}
    stages = [*recipe.model_dump()["stages"], student]
    data = {**recipe.model_dump(), "models": {"nano": {"path": "nano"}}, "stages": stages}
    with RunFolder.open(finished_run, Recipe.model_validate(data)) as run:
        run.adopt_recipe()
        run.stage("small").begin({})
        run.stage("small").save_model(lambda path: (path / "config.json").write_text("{}"))
        run.stage("small").finish({"name": "small"})
    assert find_model(str(finished_run)).path == str(finished_run / "r1_zero" / "model")


def test_a_model_inside_a_run_comes_with_its_settings_too(finished_run, recipe):
    source = find_model(str(finished_run / "r1_zero" / "model"))
    assert source.stage == recipe.stages[0]


def test_a_folder_elsewhere_has_no_settings(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    source = find_model(str(tmp_path))
    assert (source.path, source.stage) == (str(tmp_path), None)


def test_what_is_nowhere_is_told():
    with pytest.raises(ConfigError, match="there is no model micor; did you mean micro"):
        find_model("micor")


def test_an_unfinished_run_names_its_newest_checkpoint(tmp_path, recipe):
    with RunFolder.open(tmp_path / "r", recipe) as run:
        with pytest.raises(RunError, match="it has no checkpoint yet"):
            find_model(str(run.path))
        run.stage("r1_zero").begin({})
        for step in (2, 4):
            run.stage("r1_zero").save_checkpoint(step, lambda path: (path / "model").mkdir(), keep_last=2)
    with pytest.raises(RunError, match=r"its newest checkpoint is .*step-000004/model"):
        find_model(str(tmp_path / "r"))
