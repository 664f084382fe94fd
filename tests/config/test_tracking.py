"""Trackers in a recipe: a name alone or a table; what is unknown or not installed is said before anything runs."""

import pytest
from pydantic import ValidationError

from dunwu.config import tracking
from dunwu.config.check import recipe_problems
from dunwu.config.dump import plain
from dunwu.config.recipe import Recipe

DATA = {"name": "r", "model": {"path": "micro"}, "stages": [{"kind": "r1_zero", "task": {"kind": "world"}}]}


def test_a_name_or_a_table() -> None:
    recipe = Recipe.model_validate({**DATA, "trackers": ["tensorboard", {"kind": "wandb", "mode": "online"}]})
    first, second = recipe.trackers
    assert first == tracking.TensorBoardTracker()
    assert isinstance(second, tracking.WandbTracker)
    assert second.mode == "online"
    assert Recipe.model_validate(plain(recipe)) == recipe
    assert Recipe.model_validate(DATA).trackers == ()


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(ValidationError, match="tensorboard"):
        Recipe.model_validate({**DATA, "trackers": ["tensorbord"]})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Recipe.model_validate({**DATA, "trackers": [{"kind": "mlflow", "url": "x"}]})


def test_a_library_that_is_not_installed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    problems = recipe_problems(Recipe.model_validate({**DATA, "trackers": ["mlflow"]}))
    assert problems.missing == (
        "trackers: mlflow is not installed here; run: pip install mlflow-skinny sqlalchemy alembic, or leave it out of trackers",
    )
