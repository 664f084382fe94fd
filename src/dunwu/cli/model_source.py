"""What a user means by MODEL: `micro`, `nano`, `smollm2`, a folder, a hub name, or a run folder, whose last model is
meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dunwu.config.chain import BASE
from dunwu.config.check import model_problems
from dunwu.config.recipe import Recipe
from dunwu.config.stage import Stage
from dunwu.errors import ConfigError, RunError

if TYPE_CHECKING:
    from dunwu.runs.folder import RunFolder


@dataclass(frozen=True)
class ModelSource:
    """A model's path, and the recipe and stage that made it, if a run folder tells."""

    path: str
    recipe: Recipe | None = None
    stage: Stage | None = None


def find_model(name: str) -> ModelSource:
    """Find a model; one that lies in a run folder comes with the recipe's settings.

    Raises:
        ConfigError: there is no such model.
        RunError: it is a run folder without a stage that made a model; the message names its newest checkpoint.
    """
    from dunwu.runs.folder import (
        RunFolder,
        is_run_folder,
    )  # here: it loads pyarrow, which other commands do without

    path = Path(name).expanduser()
    if is_run_folder(path):
        run = RunFolder.read(path)
        finished = finished_model(run)
        if finished is None:
            raise RunError(_unfinished(run))
        path = finished
    else:
        problems = list(model_problems(name))
        if problems:
            raise ConfigError("; ".join(problems))
    for folder in path.resolve().parents:
        if is_run_folder(folder):
            run = RunFolder.read(folder)
            stage_name = path.resolve().relative_to(folder.resolve()).parts[0]
            stage = next((s for s in run.recipe.stages if s.name == stage_name), None)
            return ModelSource(str(path), run.recipe, stage)
    return ModelSource(str(path) if path.exists() else name)


def finished_model(run: RunFolder) -> Path | None:
    """Return the language model of the last finished stage that made one; None if there is none yet.

    The recipe's own model comes before others: a student that was trained last does not hide what it learned from.
    """
    made = [
        config for config in run.recipe.stages if "model" in config.makes and run.stage(config.name).finished
    ]
    own = [config for config in made if _origin(run.recipe, config) == BASE]
    return run.stage((own or made)[-1].name).model_path if made else None


def _origin(recipe: Recipe, stage: Stage) -> str:
    """The model that a stage's model began as: "base" or a name of [models.NAME]."""
    stages = {config.name: config for config in recipe.stages}
    name = stage.name
    while name in stages:
        name = getattr(stages[name], "start", BASE)
    return name


def _unfinished(run: RunFolder) -> str:
    for stage in reversed(run.stages()):
        models = sorted(stage.path.glob("checkpoints/step-*/model"))
        if models:
            return f"no stage of the run {run.path} has finished; its newest checkpoint is {models[-1]}"
    return f"no stage of the run {run.path} has finished, and it has no checkpoint yet"
